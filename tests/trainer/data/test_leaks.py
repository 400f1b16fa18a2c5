from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alp_builder.errors import BadDataError
from trainer.data.alps import AlpDataset
from trainer.data.leaks import check_leaks, evaluation_keys
from trainer.data.masks import MaskDataset


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """An evaluation file that holds image 2 of the training split, and one of its own."""
    names = ("000000002.jpg", "000000050.jpg")
    record = {
        "info": {"dataset_id": "simulated_world_train"},
        "images": [
            {"id": i, "file_name": name, "height": 60, "width": 80} for i, name in enumerate(names)
        ],
        "categories": [],
    }
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(record))
    return path


def test_clean_data_passes(alps: AlpDataset, open_masks: Callable[..., MaskDataset]) -> None:
    check_leaks(masks=open_masks("dog"), alps=alps, novel=["tree"], evaluation={"coco/1"})
    check_leaks()


def test_novel_masks_are_refused_by_name(open_masks: Callable[..., MaskDataset]) -> None:
    with pytest.raises(BadDataError, match=r"novel classes with masks .*: tree \(6 masks\)$"):
        check_leaks(masks=open_masks("dog", "tree"), novel=["Tree", "ball"])


def test_novel_annotations_of_a_file_do_not_reach_the_source(
    open_masks: Callable[..., MaskDataset],
) -> None:
    masks = open_masks("dog")
    check_leaks(masks=masks, novel=["tree", "ball"])
    assert masks.dropped == {"class ball": 6, "class tree": 6}
    assert masks.store["label"].max() == 0


def test_evaluation_images_are_refused_by_name(
    alps: AlpDataset, open_masks: Callable[..., MaskDataset], evaluation: Path
) -> None:
    keys = evaluation_keys([evaluation])
    assert keys == {"simulated_world_train/2", "simulated_world_train/50"}
    with pytest.raises(BadDataError) as error:
        check_leaks(masks=open_masks("dog"), alps=alps, evaluation=keys)
    message = str(error.value)
    assert message.count("\n") == 0
    assert "1 mask images are evaluation images: simulated_world_train/2;" in message
    assert "1 images with ALPs are evaluation images: simulated_world_train/2 (leave" in message
    check_leaks(alps=alps.without(keys), evaluation=keys)


def test_coco_photographs_are_known_by_number_in_every_split(shared_data: Path) -> None:
    file = shared_data / "coco_tiny" / "annotations" / "instances_val2017.json"
    keys = evaluation_keys([file])
    assert len(keys) == 80
    assert all(key.startswith("coco/") for key in keys)


def test_many_names_are_cut(alps: AlpDataset) -> None:
    class Many:
        def image_keys(self) -> list[str]:
            return [f"coco/{i}" for i in range(9)]

    with pytest.raises(BadDataError, match=r"9 images .*coco/0, .*coco/4 and 4 more"):
        check_leaks(alps=Many(), evaluation=[f"coco/{i}" for i in range(9)])  # type: ignore[arg-type]
