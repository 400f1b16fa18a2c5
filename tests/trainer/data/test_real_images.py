"""The whole path on real COCO photographs: both sources, every augmentation, worker processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.data.conftest import write_shards
from trainer.data.alps import AlpDataset
from trainer.data.augment import AugmentConfig
from trainer.data.images import ImageFinder
from trainer.data.items import AlpMapper, MaskMapper
from trainer.data.leaks import check_leaks, evaluation_keys
from trainer.data.loaders import TrainSource, build_train_loader
from trainer.data.masks import MaskDataset
from trainer.evaluation.splits import load_split

RESIZE = AugmentConfig(short_sides=(128, 160), max_long_side=256)
JITTER = AugmentConfig(mode="jitter", jitter_size=(160, 192))


@pytest.fixture
def sources(shared_data: Path, tmp_path: Path) -> tuple[MaskDataset, AlpDataset]:
    """Masks of the 48 base classes, and ALPs made of the boxes of the 17 novel ones."""
    folder, split = shared_data / "coco_tiny", load_split("coco_48_17")
    path = folder / "annotations" / "instances_train2017.json"
    masks = MaskDataset(path, folder / "train2017", split.base, cache=tmp_path / "cache")
    record = json.loads(path.read_text())
    names = {c["id"]: c["name"] for c in record["categories"]}
    sizes = {i["id"]: (i["width"], i["height"]) for i in record["images"]}
    rows: list[dict[str, Any]] = []
    for a in record["annotations"]:
        if names[a["category_id"]] in split.novel:
            (width, height), (x, y, w, h) = sizes[a["image_id"]], a["bbox"]
            sides = zip(
                ("x0", "y0", "x1", "y1"),
                (x / width, y / height, (x + w) / width, (y + h) / height),
                strict=True,
            )
            name = names[a["category_id"]]
            base = {"dataset_id": "mscoco_train2017", "image_id": str(a["image_id"])}
            rows.append(base | {"phrase_text": name, "head_lemma": name} | dict(sides))
    shards = write_shards(tmp_path / "alps", rows)
    finder = ImageFinder({"coco": folder})
    return masks, AlpDataset.open(shards, finder, cache=tmp_path / "cache")


@pytest.mark.parametrize("augment", [RESIZE, JITTER], ids=["resize", "jitter"])
def test_every_item_is_sound(
    sources: tuple[MaskDataset, AlpDataset], augment: AugmentConfig
) -> None:
    masks, alps = sources
    loader = build_train_loader(
        masks=TrainSource(masks, MaskMapper(augment), 8),
        alps=TrainSource(alps, AlpMapper(augment), 8),
        num_workers=2,
        stop_step=10,
    )
    instances = 0
    for _, source, batch in loader:
        for item in batch:
            found = item["instances"]
            instances += len(found)
            height, width = item["image"].shape[1:]
            if augment.mode == "jitter":
                assert (height, width) == augment.jitter_size
            boxes = found.gt_boxes.tensor
            assert torch.isfinite(boxes).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()
            assert (boxes <= torch.tensor([width, height] * 2)).all()
            if source == "mask":
                assert len(found.gt_masks) == len(found)
            else:
                said = {item["phrases"][label] for label in found.gt_classes.tolist()}
                assert said == set(item["phrases"])
    assert instances > 200


def test_novel_classes_come_from_alps_alone(
    sources: tuple[MaskDataset, AlpDataset], shared_data: Path
) -> None:
    masks, alps = sources
    split = load_split("coco_48_17")
    evaluation = shared_data / "coco_tiny" / "annotations" / "instances_val2017.json"
    check_leaks(masks=masks, alps=alps, novel=split.novel, evaluation=evaluation_keys([evaluation]))
    spoken = {phrase for i in range(len(alps)) for phrase in alps[i].phrases}
    assert spoken == set(split.novel)
    assert not spoken & set(masks.classes)
    assert alps.report.missing == 0
