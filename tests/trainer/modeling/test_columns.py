"""The table of `trainer.modeling.columns`, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from detectron2.structures import Boxes, Instances
from torch import Tensor
from torch.nn import functional as F

from trainer.modeling.columns import ColumnBuilder

VECTORS = {
    "brown dog": [1.0, 0.0, 0.0],
    "puppy": [0.95, 0.3122, 0.0],  # cosine 0.95 to "brown dog"
    "black dog": [0.0, 0.0, 1.0],
    "cars": [0.0, 1.0, 0.0],
    "tree": [0.0, 0.6, 0.8],
    "dog": [0.6, 0.0, 0.8],
}


class Table:
    dim = 3

    def classes(self, names: Sequence[str]) -> Tensor:
        return F.normalize(torch.tensor([VECTORS[n] for n in names]).reshape(-1, 3), dim=1)

    phrases = classes


def alp_item(*phrases: tuple[str, str, bool]) -> dict:
    """Each phrase with its head and whether it is plural, one ALP each."""
    instances = Instances((10, 10))
    instances.gt_boxes = Boxes(torch.tensor([[0.0, 0.0, 5.0, 5.0]]).repeat(len(phrases), 1))
    instances.gt_classes = torch.arange(len(phrases))
    instances.is_plural = torch.tensor([p[2] for p in phrases], dtype=torch.bool)
    return {
        "source": "alp",
        "instances": instances,
        "phrases": [p[0] for p in phrases],
        "phrase_heads": [p[1] for p in phrases],
    }


def builder(**changes: object) -> ColumnBuilder:
    return ColumnBuilder(Table(), **{"base_names": ("tree",), **changes})  # type: ignore[arg-type]


BATCH = [
    alp_item(("brown dog", "dog", False), ("cars", "car", True)),
    alp_item(("puppy", "puppy", False), ("tree", "tree", False)),
    alp_item(("black dog", "dog", False)),
]


def test_columns_are_the_batch_s_phrases_in_order() -> None:
    columns = builder()(BATCH)
    assert columns.texts == ("brown dog", "cars", "puppy", "tree", "black dog")
    assert [c.tolist() for c in columns.of_class] == [[0, 1], [2, 3], [4]]
    assert not columns.exhaustive


def test_weights_of_negatives_by_hand() -> None:
    outside = builder()(BATCH).outside
    foreign = 0.125
    expected = [
        # brown dog, cars,     puppy, tree,  black dog
        [1.0, 0.0, 0.0, 0.0, 0.0],  # cars plural; puppy cosine; tree base; black dog same head
        [0.0, foreign, 1.0, 1.0, foreign],  # brown dog cosine; own tree counts although base
        [0.0, foreign, foreign, 0.0, 1.0],  # brown dog same head; tree base
    ]
    torch.testing.assert_close(outside, torch.tensor(expected))


@pytest.mark.parametrize(
    ("change", "row", "column", "weight"),
    [
        ({"plural_everywhere": True}, 0, 1, 1.0),
        ({"synonym_cosine": 2.0}, 0, 2, 0.125),
        ({"same_head_is_synonym": False}, 0, 4, 0.125),
        ({"base_weight": 0.5}, 0, 3, 0.5),
        ({"foreign_weight": 1.0}, 2, 1, 1.0),
        ({"base_names": ()}, 0, 3, 0.125),
    ],
)
def test_each_choice_is_an_option(change: dict, row: int, column: int, weight: float) -> None:
    outside = builder(**change)(BATCH).outside
    assert outside[row, column].item() == pytest.approx(weight)


def test_a_phrase_whose_head_is_a_base_name_is_no_foreign_negative() -> None:
    outside = builder(base_names=("dog",), synonym_cosine=2.0, same_head_is_synonym=False)(BATCH)
    assert outside.outside[1].tolist() == [0.0, 0.125, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("phrase", "head", "weight"),
    [
        ("red traffic light", "light", 0.0),
        ("Traffic lights", "light", 0.0),
        ("two red traffic lights", "light", 0.0),
        ("light", "light", 0.125),
        ("traffic", "traffic", 0.125),
        ("traffic light pole", "pole", 0.125),
        ("cup of coffee", "cup", 0.0),
    ],
)
def test_a_base_name_of_two_words_is_found_at_the_end_of_a_phrase(
    phrase: str, head: str, weight: float
) -> None:
    class Any(Table):
        def phrases(self, phrases: Sequence[str]) -> Tensor:
            return torch.eye(3)[: len(phrases)]

    names = ColumnBuilder(Any(), base_names=("Traffic light", "cup"))
    batch = [alp_item(("tree", "tree", False)), alp_item((phrase, head, False))]
    assert names(batch).outside[0, 1].item() == weight


def test_base_names_can_be_columns_of_their_own() -> None:
    columns = builder(base_names=("dog", "tree"), base_columns=True, base_weight=0.25)(BATCH)
    assert columns.texts[-1] == "dog"  # tree is a phrase already
    assert len(columns) == 6
    assert columns.outside[1, 5].item() == 0.25


@pytest.mark.parametrize(
    ("phrase", "head", "name", "weight"),
    [
        ("brown dog", "dog", "Dog", 0.0),
        ("yellow checked bag", "bag", "checked bag", 0.0),
        ("checked bags", "bag", "checked bag", 0.0),
        ("striped bag", "bag", "checked bag", 0.25),
    ],
)
def test_a_base_name_that_a_phrase_of_the_image_names_is_no_negative_there(
    phrase: str, head: str, name: str, weight: float
) -> None:
    class Apart(Table):
        def phrases(self, phrases: Sequence[str]) -> Tensor:
            return torch.eye(3)[: len(phrases)]

        def classes(self, names: Sequence[str]) -> Tensor:
            return torch.eye(3)[-len(names) :]

    names = ColumnBuilder(Apart(), base_names=(name,), base_columns=True, base_weight=0.25)
    columns = names([alp_item((phrase, head, False)), alp_item(("tree", "tree", False))])
    assert columns.texts == (phrase, "tree", name)
    assert columns.outside[:, 2].tolist() == [weight, 0.25]


def test_two_synonyms_in_one_image_do_not_push_each_other_away() -> None:
    both = [alp_item(("brown dog", "dog", False), ("black dog", "dog", False))]
    assert builder()(both).outside.tolist() == [[0.0, 0.0]]


def test_a_phrase_of_two_images_is_one_column_and_an_own_one_in_both() -> None:
    same = [alp_item(("tree", "tree", False)), alp_item(("tree", "tree", False))]
    columns = builder()(same)
    assert columns.texts == ("tree",)
    assert columns.outside.tolist() == [[1.0], [1.0]]


def test_mask_batches_are_scored_against_the_base_names() -> None:
    instances = Instances(
        (10, 10), gt_boxes=Boxes(torch.tensor([[0.0, 0.0, 5.0, 5.0]])), gt_classes=torch.tensor([1])
    )
    columns = builder(base_names=("tree", "dog"))([{"source": "mask", "instances": instances}])
    assert columns.texts == ("tree", "dog")
    assert columns.exhaustive
    assert columns.relabel([instances])[0].gt_classes.tolist() == [1]


def test_relabelling_leaves_the_given_instances_alone() -> None:
    columns = builder()(BATCH)
    relabelled = columns.relabel([item["instances"] for item in BATCH])
    assert relabelled[2].gt_classes.tolist() == [4]
    assert BATCH[2]["instances"].gt_classes.tolist() == [0]


def test_box_batches_have_names_of_their_own() -> None:
    instances = Instances((10, 10))
    columns = builder(box_names=("dog", "cars"))([{"source": "box", "instances": instances}])
    assert columns.texts == ("dog", "cars")


def test_no_phrases_at_all_give_no_columns() -> None:
    columns = builder()([alp_item(), alp_item()])
    assert len(columns) == 0
    assert columns.outside.shape == (2, 0)


def test_a_batch_of_two_sources_is_refused() -> None:
    with pytest.raises(ValueError, match="one source"):
        builder()([alp_item(), {"source": "mask"}])
    with pytest.raises(ValueError, match="one source"):
        builder()([{"source": "video"}])


COMMON = (("brown dog", "dog"), ("cars", "car"), ("puppy", "puppy"), ("tree", "tree"))


def mask_item() -> dict:
    return {"source": "mask"}


def test_common_phrases_are_negatives_at_things_of_base_classes_alone() -> None:
    names = builder(base_names=("tree", "black dog"), known_weight=0.5, common_phrases=COMMON)
    columns = names([mask_item(), mask_item()])
    # "tree" is a base name, so it is no phrase beside them.
    assert columns.texts == ("tree", "black dog", "brown dog", "cars", "puppy")
    assert columns.outside.tolist() == [[1.0, 1.0, 0.0, 0.0, 0.0]] * 2
    assert columns.known is not None
    assert columns.known.tolist() == [[1.0, 1.0, 0.5, 0.5, 0.5]] * 2
    assert not columns.exhaustive
    assert [c.tolist() for c in columns.of_class] == [[0, 1], [0, 1]]


def test_a_common_phrase_is_no_negative_at_a_thing_it_is_a_synonym_of() -> None:
    names = builder(base_names=("puppy",), known_weight=1.0, common_phrases=COMMON)
    columns = names([mask_item()])
    assert columns.texts == ("puppy", "brown dog", "cars", "tree")
    assert columns.known is not None
    assert columns.known.tolist() == [[1.0, 0.0, 1.0, 1.0]]  # brown dog: cosine 0.95


def test_a_phrase_with_two_heads_is_one_column() -> None:
    twice = (("cars", "car"), ("cars", "cars"), ("puppy", "puppy"))
    names = builder(known_weight=1.0, common_phrases=twice)
    assert names([mask_item()]).texts == ("tree", "cars", "puppy")


def test_the_commonest_phrases_are_taken() -> None:
    names = builder(known_weight=1.0, max_phrases=2, common_phrases=COMMON)
    assert names([mask_item()]).texts == ("tree", "brown dog", "cars")


@pytest.mark.parametrize(
    "changes", [{"known_weight": 0.0, "common_phrases": COMMON}, {"known_weight": 1.0}]
)
def test_without_weight_or_phrases_a_mask_batch_has_base_names(changes: dict) -> None:
    columns = builder(**changes)([mask_item()])
    assert columns.texts == ("tree",)
    assert columns.exhaustive
    assert columns.known is None


def test_other_sources_have_no_common_phrases() -> None:
    names = builder(known_weight=1.0, common_phrases=COMMON)
    assert names([{"source": "box"}]).texts == ("tree",)
    assert names(BATCH).known is None


def test_phrases_of_base_classes_can_be_left_to_the_masks() -> None:
    assert builder()(BATCH).taught is None
    columns = builder(base_names=("tree", "dog"), base_phrases=False)(BATCH)
    assert columns.texts == ("brown dog", "cars", "puppy", "tree", "black dog")
    assert columns.taught is not None
    assert columns.taught.tolist() == [0.0, 1.0, 1.0, 0.0, 0.0]


def test_base_names_as_columns_of_their_own_stay_negatives() -> None:
    names = builder(base_names=("dog", "tree"), base_phrases=False, base_columns=True)(BATCH)
    assert names.texts[-1] == "dog"
    assert names.taught is not None
    assert names.taught[-1].item() == 1.0
