from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO

from alp_builder.errors import BadDataError, UsageError
from trainer.data.masks import MaskDataset


@pytest.fixture
def edited(world: Path, tmp_path: Path) -> Callable[..., Path]:
    """The made-up COCO file with the first image's annotations replaced."""

    def write(*annotations: dict[str, Any]) -> Path:
        record = json.loads((world / "instances.json").read_text())
        rest = [a for a in record["annotations"] if a["image_id"] != 1]
        base = {"image_id": 1, "category_id": 1, "iscrowd": 0}
        record["annotations"] = [base | a for a in annotations] + rest
        path = tmp_path / "edited.json"
        path.write_text(json.dumps(record))
        return path

    return write


def test_only_the_given_classes_in_their_order(open_masks: Callable[..., MaskDataset]) -> None:
    masks = open_masks("tree", "dog")
    assert len(masks) == 6
    record = masks[0]
    assert (record.image_id, record.height, record.width) == (1, 60, 80)
    assert record.labels.tolist() == [1, 0]
    assert record.boxes.tolist() == [[5, 10, 17, 30], [40, 10, 52, 30]]
    square = [[40, 10], [52, 10], [52, 30], [40, 30]]
    assert record.masks[1][0].tolist() == square
    assert masks.dropped == {"class ball": 6}
    assert masks.class_counts() == {"tree": 6, "dog": 6}
    assert masks.portrait.tolist() == [False] * 4 + [True] * 2


def test_names_may_differ_in_case_or_be_renamed(open_masks: Callable[..., MaskDataset]) -> None:
    masks = open_masks("Hound", "BALL", rename={"dog": "Hound"})
    assert masks[0].labels.tolist() == [0, 1]


def test_run_lengths_of_both_kinds(
    open_masks: Callable[..., MaskDataset], edited: Callable[..., Path]
) -> None:
    bitmap = np.zeros((60, 80), np.uint8, order="F")
    bitmap[10:30, 5:17] = 1
    code = mask_utils.encode(bitmap)["counts"]
    packed = {"size": [60, 80], "counts": code.decode()}
    edges = np.flatnonzero(np.diff(bitmap.reshape(-1, order="F"))) + 1
    plain = {"size": [60, 80], "counts": np.diff([0, *edges, 4800]).tolist()}
    masks = open_masks("dog", annotations=edited({"segmentation": packed}, {"segmentation": plain}))
    assert masks[0].masks == [code, code]
    # Without a bbox in the file it is made of the mask.
    assert masks[0].boxes.tolist() == [[5, 10, 17, 30]] * 2


def test_what_cannot_be_used_is_counted(
    open_masks: Callable[..., MaskDataset], edited: Callable[..., Path]
) -> None:
    square = [5, 10, 17, 10, 17, 30, 5, 30]
    good = {"segmentation": [square], "bbox": [5, 10, 12, 20]}
    path = edited(
        good,
        good | {"iscrowd": 1},
        good | {"segmentation": [[1, 2, 3, 4]]},
        good | {"segmentation": []},
        {"bbox": [5, 10, 12, 20]},
        good | {"segmentation": {"size": [8, 8], "counts": "04"}},
        good | {"segmentation": {"size": [60, 80], "counts": "04"}},
        good | {"segmentation": {"size": [60, 80], "counts": [4, 4]}},
        good | {"bbox": [90, 10, 12, 20]},
        good | {"image_id": 99},
        good | {"category_id": 77},
    )
    masks = open_masks("dog", annotations=path)
    assert len(masks[0].labels) == 1
    assert masks.dropped == {
        "crowd or group": 1,
        "no mask": 6,
        "no area": 1,
        "image not in the file": 1,
        "class 77": 1,
        "class ball": 5,
        "class tree": 5,
    }


def test_images_without_instances(
    open_masks: Callable[..., MaskDataset], edited: Callable[..., Path]
) -> None:
    path = edited()
    assert len(open_masks("dog", annotations=path)) == 5
    kept = open_masks("dog", annotations=path, keep_empty=True)
    assert len(kept) == 6
    assert kept[0].boxes.shape == (0, 4)
    assert kept[0].masks == []


def test_a_data_set_pickles_as_its_path(open_masks: Callable[..., MaskDataset]) -> None:
    masks = open_masks("dog")
    data = pickle.dumps(masks)
    assert len(data) < 2000
    assert pickle.loads(data)[3].boxes.tolist() == masks[3].boxes.tolist()


def test_mistakes_of_users(
    world: Path, tmp_path: Path, open_masks: Callable[..., MaskDataset]
) -> None:
    with pytest.raises(
        UsageError, match=r"class 'dogg' is in no category of .*; did you mean 'dog'"
    ):
        open_masks("dogg")
    with pytest.raises(UsageError, match="named twice"):
        open_masks("dog", "Dog")
    with pytest.raises(UsageError, match=r"annotations .*none.json: No such file"):
        open_masks("dog", annotations=world / "none.json")
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(BadDataError, match="not a COCO instances file: Expected `object`"):
        open_masks("dog", annotations=tmp_path / "list.json")
    with pytest.raises(UsageError, match="image root wrong"):
        MaskDataset(world / "instances.json", world, ["dog"], cache=tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        MaskDataset(world / "instances.json", world / "nowhere", ["dog"], cache=tmp_path)
    record = json.loads((world / "instances.json").read_text()) | {"annotations": []}
    (tmp_path / "bare.json").write_text(json.dumps(record))
    with pytest.raises(BadDataError, match="no instance with a mask"):
        open_masks("dog", annotations=tmp_path / "bare.json")


def test_hostile_file_names_are_missing(world: Path, tmp_path: Path) -> None:
    record = json.loads((world / "instances.json").read_text())
    record["images"][0]["file_name"] = "../instances.json"
    (tmp_path / "bad.json").write_text(json.dumps(record))
    masks = MaskDataset(
        tmp_path / "bad.json", world / "train", ["dog"], cache=tmp_path, max_missing=0.5
    )
    assert (len(masks), masks.report.missing) == (5, 1)


def test_real_coco_against_pycocotools(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "coco_tiny"
    path = folder / "annotations" / "instances_train2017.json"
    oracle = COCO(str(path))
    names = [category["name"] for category in oracle.cats.values()]
    masks = MaskDataset(path, folder / "train2017", names, cache=tmp_path)
    assert masks.dataset_id == "coco"
    crowds = sum(a["iscrowd"] for a in oracle.anns.values())
    total = sum(len(masks[i].labels) for i in range(len(masks)))
    assert (masks.dropped, total) == ({"crowd or group": crowds}, len(oracle.anns) - crowds)
    for index in range(len(masks)):
        record = masks[index]
        expected = oracle.loadAnns(oracle.getAnnIds([record.image_id], iscrowd=False))
        assert [names[label] for label in record.labels] == [
            oracle.cats[a["category_id"]]["name"] for a in expected
        ]
        for mask, annotation in zip(record.masks, expected, strict=True):
            rings = [
                np.asarray(ring, np.float32).reshape(-1, 2) for ring in annotation["segmentation"]
            ]
            assert all((a == b).all() for a, b in zip(mask, rings, strict=True))
