"""Each rule of the protocol by a case worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import hotcoco
import msgspec
import numpy as np
import pytest

from alp_builder.errors import BadDataError
from tests.trainer.evaluation.helpers import CLASSES, rle, seen, thing, truth_of
from trainer.evaluation.hierarchy import Hierarchy
from trainer.evaluation.open_images import average_precision, evaluate_open_images, match
from trainer.evaluation.shapes import IouType
from trainer.evaluation.splits import ClassSplit, split_of_all

TREE = Hierarchy({2: [1], 3: [1]})
ALL = split_of_all(CLASSES)


def ap(
    truth: Any,
    *predictions: dict[str, Any],
    tree: Hierarchy | None = None,
    kinds: Sequence[IouType] = ("segm", "bbox"),
) -> dict[str, float]:
    """AP50 by class: of masks and of boxes, which are equal where all masks are rectangles."""
    first, *others = (
        evaluate_open_images(truth, predictions, ALL, tree, iou_type=kind)["per_class"]
        for kind in kinds
    )
    for other in others:
        assert str(other) == str(first)  # NaN is NaN
    return {name: found["AP50"] for name, found in first.items()}


def test_iou_of_one_half_matches_and_less_does_not() -> None:
    truth = truth_of(thing("dog", 0, 0, 10, 10))
    assert ap(truth, seen("dog", 0.9, 0, 0, 10, 5))["dog"] == 1  # 50 / 100
    assert ap(truth, seen("dog", 0.9, 0, 0, 9, 5))["dog"] == 0  # 45 / 100


def test_a_truth_is_found_once() -> None:
    truth = truth_of(thing("dog", 0, 0, 10, 10), thing("dog", 20, 20, 30, 30))
    twice = seen("dog", 0.9, 0, 0, 10, 10), seen("dog", 0.8, 0, 0, 10, 9)
    # Hit, miss: one of two truths at precision 1.
    assert ap(truth, *twice)["dog"] == 0.5
    # Hit, miss, hit: 1/2 * 1 + 1/2 * 2/3.
    third = seen("dog", 0.7, 20, 20, 30, 30)
    assert ap(truth, *twice, third)["dog"] == pytest.approx(0.5 + 1 / 3)


def test_a_detection_has_one_best_truth() -> None:
    # It overlaps both by half or more, and its best one is taken: no second choice.
    truth = truth_of(thing("dog", 0, 0, 10, 10), thing("dog", 0, 0, 10, 7))
    found = ap(truth, seen("dog", 0.9, 0, 0, 10, 10), seen("dog", 0.8, 0, 0, 10, 9))
    assert found["dog"] == 0.5


def test_group_of_absorbs_and_counts_once() -> None:
    group = thing("dog", 0, 0, 20, 20, group=True)
    inside = [seen("dog", s, x, 0, x + 5, 5) for s, x in ((0.9, 0), (0.8, 5), (0.7, 10))]
    # Three small detections in it are one true positive and no false one.
    assert ap(truth_of(group), *inside)["dog"] == 1
    # Half of the detection inside is enough, less is not.
    assert ap(truth_of(group), seen("dog", 0.9, 10, 0, 30, 10))["dog"] == 1
    assert ap(truth_of(group), seen("dog", 0.9, 11, 0, 31, 10))["dog"] == 0
    # Not found, it is a miss: one of two.
    both = truth_of(group, thing("dog", 30, 30, 40, 40))
    assert ap(both, seen("dog", 0.9, 30, 30, 40, 40))["dog"] == 0.5


def test_group_of_takes_the_best_score_among_the_absorbed() -> None:
    truth = truth_of(thing("dog", 0, 0, 20, 20, group=True))
    wrong = seen("dog", 0.5, 30, 30, 40, 40)
    low, high = seen("dog", 0.4, 0, 0, 5, 5), seen("dog", 0.6, 5, 5, 10, 10)
    assert ap(truth, low, wrong)["dog"] == 0.5  # miss, then group: precision 1/2
    assert ap(truth, low, wrong, high)["dog"] == 1  # group at 0.6 comes first


def test_a_single_truth_goes_before_the_group_round_it() -> None:
    truth = truth_of(thing("dog", 0, 0, 10, 10), thing("dog", 0, 0, 30, 30, group=True))
    # The detection is the single dog; the group stays a miss.
    assert ap(truth, seen("dog", 0.9, 0, 0, 10, 10))["dog"] == 0.5


def mask_ap(truth: Any, *predictions: dict[str, Any]) -> float:
    """AP50 of dogs' masks."""
    return ap(truth, *predictions, kinds=["segm"])["dog"]


def box_ap(truth: Any, *predictions: dict[str, Any]) -> float:
    """AP50 of dogs' boxes."""
    return ap(truth, *predictions, kinds=["bbox"])["dog"]


def test_truth_without_a_mask_is_no_positive_and_its_detection_is_ignored() -> None:
    bare = thing("dog", 20, 20, 40, 40, mask=False)
    masked = thing("dog", 0, 0, 10, 10)
    hit, on_bare = seen("dog", 0.5, 0, 0, 10, 10), seen("dog", 0.9, 20, 20, 40, 40)
    assert mask_ap(truth_of(masked, bare), on_bare, hit) == 1
    # The same detection without that truth is a false positive ahead of the hit.
    assert mask_ap(truth_of(masked), on_bare, hit) == 0.5
    # Box IoU below a half does not excuse it.
    assert mask_ap(truth_of(masked, bare), seen("dog", 0.9, 20, 20, 30, 39), hit) == 0.5
    # One for each such truth: the second is a false positive.
    again = seen("dog", 0.8, 20, 20, 40, 39)
    assert mask_ap(truth_of(masked, bare), on_bare, again, hit) == 0.5
    # A class that has only such truth has no AP.
    assert math.isnan(mask_ap(truth_of(bare), on_bare))


def test_a_group_without_a_mask_ignores_any_number() -> None:
    bare = thing("dog", 20, 20, 40, 40, mask=False, group=True)
    masked = thing("dog", 0, 0, 10, 10)
    many = [seen("dog", 0.9, x, 20, x + 5, 25) for x in (20, 25, 30)]
    assert mask_ap(truth_of(masked, bare), *many, seen("dog", 0.1, 0, 0, 10, 10)) == 1


def test_truth_without_a_mask_is_like_any_other_where_boxes_are_compared() -> None:
    bare = thing("dog", 20, 20, 40, 40, mask=False)
    group = thing("dog", 0, 20, 15, 40, mask=False, group=True)
    masked = thing("dog", 0, 0, 10, 10)
    hit, on_bare = seen("dog", 0.5, 0, 0, 10, 10), seen("dog", 0.9, 20, 20, 40, 40)
    assert box_ap(truth_of(masked, bare), on_bare, hit) == 1
    assert box_ap(truth_of(masked, bare), hit) == 0.5
    assert box_ap(truth_of(masked, group), hit) == 0.5
    assert box_ap(truth_of(masked, group), hit, seen("dog", 0.4, 0, 20, 5, 25)) == 1


def test_many_boxes_in_a_group_cost_nothing() -> None:
    group, single = thing("dog", 0, 0, 20, 20, group=True), thing("dog", 30, 30, 40, 40)
    inside = [seen("dog", 0.9, x, y, x + 5, y + 5) for x, y in ((0, 0), (10, 0), (0, 10), (10, 10))]
    assert box_ap(truth_of(group, single), *inside, seen("dog", 0.5, 30, 30, 40, 40)) == 1


def test_boxes_are_compared_and_not_what_is_in_them() -> None:
    truth = truth_of(thing("dog", 0, 0, 20, 20))
    corner = seen("dog", 0.9, 0, 0, 20, 20) | {"segmentation": rle(0, 0, 5, 5)}
    assert (box_ap(truth, corner), mask_ap(truth, corner)) == (1, 0)
    beside = seen("dog", 0.9, 0, 0, 20, 20) | {"bbox": [20, 20, 20, 20]}
    assert (box_ap(truth, beside), mask_ap(truth, beside)) == (0, 1)
    # Boxes need no masks, and masks no boxes.
    boxed, masked = dict(corner), dict(beside)
    del boxed["segmentation"], masked["bbox"]
    assert (box_ap(truth, boxed), mask_ap(truth, masked)) == (1, 1)
    with pytest.raises(BadDataError, match="prediction 0: no bbox"):
        box_ap(truth, masked)
    # Truth without a box has the one round its mask.
    bare = thing("dog", 0, 0, 20, 20)
    del bare["bbox"]
    assert box_ap(truth_of(bare), boxed) == 1


def test_unverified_classes_are_dropped_and_verified_ones_count() -> None:
    dog, cat = seen("dog", 0.5, 0, 0, 10, 10), seen("cat", 0.9, 0, 0, 10, 10, image=2)
    things = thing("dog", 0, 0, 10, 10), thing("cat", 0, 0, 10, 10)
    found = seen("cat", 0.5, 0, 0, 10, 10)
    # Image 2 says nothing about cats: the detection there does not count.
    assert ap(truth_of(*things, images=2), dog, cat, found)["cat"] == 1
    # Verified absent, or present though not boxed, or exhaustive: it is a false positive.
    assert ap(truth_of(*things, images=2, absent=("cat",)), dog, cat, found)["cat"] == 0.5
    assert ap(truth_of(*things, images=2, present=("cat",)), dog, cat, found)["cat"] == 0.5
    assert ap(truth_of(*things, images=2, absent=None), dog, cat, found)["cat"] == 0.5


def test_truth_is_expanded_to_ancestors() -> None:
    truth = truth_of(thing("dog", 0, 0, 10, 10), thing("cat", 20, 20, 30, 30))
    animal = seen("animal", 0.9, 0, 0, 10, 10)
    assert ap(truth, animal, tree=TREE)["animal"] == 0.5
    assert math.isnan(ap(truth, animal)["animal"])


def test_negative_labels_go_down_and_positive_ones_up() -> None:
    things = thing("dog", 0, 0, 10, 10, image=1), thing("animal", 20, 20, 30, 30, image=1)
    dog, wrong_dog = seen("dog", 0.5, 0, 0, 10, 10), seen("dog", 0.9, 0, 0, 10, 10, image=2)
    # No animal is no dog, so a dog there is wrong.
    assert (
        ap(truth_of(*things, images=2, absent=("animal",)), dog, wrong_dog, tree=TREE)["dog"] == 0.5
    )
    # No dog says nothing about animals.
    animal, elsewhere = seen("animal", 0.5, 0, 0, 10, 10), seen("animal", 0.9, 0, 0, 5, 5, image=2)
    sure = truth_of(*things, images=2, absent=("dog",))
    assert ap(sure, animal, elsewhere, tree=TREE)["animal"] == 0.5
    # A dog is present, so there is an animal somewhere: an animal that fits nothing is wrong.
    sure = truth_of(*things, images=2, present=("dog",))
    assert ap(sure, animal, elsewhere, tree=TREE)["animal"] == 0.25


@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_predictions_are_reported_as_they_stand_and_expanded(kind: IouType) -> None:
    truth = truth_of(thing("dog", 0, 0, 10, 10))
    found = [seen("dog", 0.9, 0, 0, 10, 10)]
    metrics = evaluate_open_images(truth, found, ALL, TREE, iou_type=kind)
    animal = metrics["per_class"]["animal"]
    assert (animal["AP50"], animal["AP50_expanded"]) == (0, 1)
    assert metrics["AP50"]["all"] == 0.5
    assert metrics["AP50_expanded"]["all"] == 1


def test_groups_are_means_over_classes_with_truth() -> None:
    truth = truth_of(thing("dog", 0, 0, 10, 10), thing("car", 0, 0, 10, 10))
    split = ClassSplit("mine", ("dog", "cat"), ("car", "animal"))
    metrics = evaluate_open_images(truth, [seen("dog", 0.9, 0, 0, 10, 10)], split)
    assert metrics["AP50"] == {"base": 1, "novel": 0, "all": 0.5}
    assert metrics["per_class"]["car"]["group"] == "novel"


def test_an_empty_shape_is_dropped_and_a_wrong_size_refused() -> None:
    truth = truth_of(thing("dog", 0, 0, 10, 10))
    assert ap(truth, seen("dog", 0.9, 0, 0, 0, 0), seen("dog", 0.5, 0, 0, 10, 10))["dog"] == 1
    other = seen("dog", 0.9, 0, 0, 5, 5)
    other["segmentation"] = {**other["segmentation"], "size": [20, 80]}
    with pytest.raises(BadDataError, match="prediction 0: mask of 20x80, image 1 is 40x40"):
        ap(truth, other)


def test_average_precision_by_hand() -> None:
    hits = np.array([True, False, True, False, True])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    # Envelope at the hits: 1, 2/3, 3/5; four positives.
    assert average_precision(scores, hits, 4) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    # Order of the rows does not matter; the envelope lifts a dip.
    assert average_precision(scores[::-1], hits[::-1], 4) == average_precision(scores, hits, 4)
    assert average_precision(np.array([3.0, 2, 1]), np.array([False, True, True]), 2) == 2 / 3


def random_scene(rng: np.random.Generator) -> tuple[list[Any], list[dict[str, Any]]]:
    """Truths on three images, and detections: truths moved a little, and some elsewhere."""
    things, found = [], []
    for _ in range(12):
        name, image = CLASSES[rng.integers(1, 4)], int(rng.integers(1, 4))
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 6, 6), (24, 24, 14, 14)))
        group = bool(rng.random() < 0.3)
        things.append(thing(name, x, y, x + w, y + h, image=image, group=group))
        for _ in range(rng.integers(0, 4)):
            u, v, s, t = (int(d) for d in rng.integers(-2, 3, 4))
            box = max(0, x + u), max(0, y + v), x + w + s, y + h + t
            said = CLASSES[rng.integers(0, 4)] if rng.random() < 0.3 else name
            found.append(seen(said, float(rng.random()), *box, image=image))
    return things, found


@pytest.mark.parametrize("seed", range(25))
def test_hotcoco_agrees_where_it_has_the_rules(seed: int) -> None:
    """Expansion, matching, group-of, AP; hotcoco's are boxes, and `ap` holds masks equal to them."""
    things, rows = random_scene(np.random.default_rng(seed))
    truth = truth_of(*things, images=3, absent=None)
    ours = ap(truth, *rows, tree=TREE)
    record = msgspec.to_builtins(truth)
    for image in record["images"]:
        image["neg_category_ids"] = image["pos_category_ids"] = []
    theirs_truth = hotcoco.COCO(record)
    tree = hotcoco.Hierarchy.from_parent_map({2: 1, 3: 1})
    theirs = hotcoco.COCOeval(
        theirs_truth, theirs_truth.loadRes(rows), "bbox", oid_style=True, hierarchy=tree
    )
    with pytest.warns(UserWarning, match="image-level-label rule"):
        theirs.run()
    per_class = theirs.results(per_class=True)["per_class"]
    known = {name: value for name, value in ours.items() if not math.isnan(value)}
    assert any(0 < value < 1 for value in known.values())
    assert known == pytest.approx({name: per_class[name] for name in known}, abs=1e-6)


def by_the_book(
    iou: Any, group_ioa: Any, box_iou: Any, box_group_ioa: Any, scores: Any
) -> list[tuple[float, bool]]:
    """Rules 3 to 6, one detection at a time, as slowly as they read."""
    state = ["left"] * len(scores)
    for overlap, found in ((iou, "hit"), (box_iou, "ignored")):
        taken = set()
        for d, row in enumerate(overlap):
            best = max(range(len(row)), key=lambda g: row[g], default=None)
            if state[d] == "left" and best is not None and row[best] >= 0.5 and best not in taken:
                state[d] = found
                taken.add(best)
        groups = group_ioa if found == "hit" else box_group_ioa
        for d, row in enumerate(groups):
            best = max(range(len(row)), key=lambda g: row[g], default=None)
            if state[d] == "left" and best is not None and row[best] >= 0.5:
                state[d] = f"group {best}" if found == "hit" else "ignored"
    result = [(s, k == "hit") for s, k in zip(scores, state, strict=True) if k in ("hit", "left")]
    for group in range(group_ioa.shape[1]):
        inside = [s for s, k in zip(scores, state, strict=True) if k == f"group {group}"]
        result += [(max(inside), True)] if inside else []
    return sorted(result)


@pytest.mark.parametrize("seed", range(40))
def test_matching_is_what_the_rules_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    detections = int(rng.integers(1, 8))
    overlaps = [rng.random((detections, rng.integers(0, 4))).round(2) for _ in range(4)]
    scores = np.sort(rng.permutation(100)[:detections] / 100)[::-1]
    found, hits = match(*overlaps, scores)
    expected = by_the_book(*overlaps, scores)
    assert sorted(zip(found.tolist(), hits.tolist(), strict=True)) == expected
