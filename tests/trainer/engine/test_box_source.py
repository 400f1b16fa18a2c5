"""The oracle's boxes, from Open Images' CSV files to a training step; images and rows are made here."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from detectron2.utils.events import EventStorage

from alp_builder.errors import BadDataError
from tests.trainer.tiny import MODELS, HashEmbedder
from trainer.data.augment import AugmentConfig
from trainer.data.items import MaskMapper
from trainer.data.masks import MaskDataset
from trainer.engine.config import construct, load_config
from trainer.engine.sources import BoxMapper
from trainer.evaluation.open_images_masks import main
from trainer.modeling.columns import ColumnBuilder

DOG, CAT, BALL = "/m/0bt9lr", "/m/01yrx", "/m/018xm"
NAMES = ("Ball", "Cat", "Dog")

ROWS = [
    ("a", DOG, (0.1, 0.1, 0.4, 0.5), 0),
    ("a", DOG, (0.5, 0.1, 0.9, 0.5), 0),
    ("a", CAT, (0.1, 0.6, 0.3, 0.9), 0),
    ("b", DOG, (0.2, 0.2, 0.4, 0.4), 0),
    ("b", DOG, (0.5, 0.5, 0.9, 0.9), 1),  # a pack, beside the one dog that has a box of its own
    ("b", BALL, (0.1, 0.1, 0.5, 0.5), 1),
    ("b", CAT, (0.6, 0.1, 0.7, 0.3), 0),
    ("c", CAT, (0.1, 0.1, 0.9, 0.9), 1),  # nothing but a group: not trained on
]


@pytest.fixture
def boxes(tmp_path: Path) -> tuple[Path, Path]:
    """A CSV file of boxes, and the folder of its images."""
    images = tmp_path / "images"
    images.mkdir()
    for name in "abc":
        noise = np.random.default_rng(ord(name)).integers(0, 255, (96, 128, 3), np.uint8)
        cv2.imwrite(str(images / f"{name}.jpg"), noise)
    with (tmp_path / "boxes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageID", "LabelName", "XMin", "YMin", "XMax", "YMax", "IsGroupOf"])
        writer.writerows([image, label, *box, group] for image, label, box, group in ROWS)
    return tmp_path / "boxes.csv", images


def convert(boxes: tuple[Path, Path], *more: str) -> int:
    csv_file, images = boxes
    out = csv_file.with_name("truth.json")
    return main([f"--boxes={csv_file}", f"--images={images}", f"--out={out}", *more])


@pytest.fixture
def records(boxes: tuple[Path, Path], tmp_path: Path) -> MaskDataset:
    assert convert(boxes) == 0
    truth = tmp_path / "truth.json"
    return MaskDataset(truth, boxes[1], NAMES, cache=tmp_path / "cache", boxes_only=True)


def item(records: MaskDataset, row: int, **augment: Any) -> dict[str, Any]:
    mapper = MaskMapper(AugmentConfig(**augment) if augment else None)
    return BoxMapper(mapper, NAMES)(records[row], np.random.default_rng(0))


def test_boxes_without_masks_are_records(records: MaskDataset) -> None:
    assert len(records) == 2
    assert records.class_counts() == {"Ball": 0, "Cat": 2, "Dog": 3}
    assert records.dropped == {"crowd or group": 3}
    first, second = records[0], records[1]
    assert first.masks is None
    assert first.labels.tolist() == [1, 2, 2]
    assert first.boxes[0].tolist() == pytest.approx([12.8, 57.6, 38.4, 86.4])
    assert first.groups.tolist() == []
    assert second.labels.tolist() == [1, 2]
    assert sorted(second.groups.tolist()) == [0, 2]


def test_masks_of_a_file_count_by_their_boxes(records: MaskDataset, tmp_path: Path) -> None:
    """Nor do they reach an array: the oracle may not see a novel mask."""
    truth = json.loads((tmp_path / "truth.json").read_bytes())
    truth["annotations"][0]["segmentation"] = [[0, 0, 9, 0, 9, 9]]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    images = tmp_path / "images"
    again = MaskDataset(tmp_path / "truth.json", images, NAMES, cache=tmp_path, boxes_only=True)
    assert again[0].masks is None
    np.testing.assert_array_equal(again[0].boxes, records[0].boxes)
    with pytest.raises(KeyError):
        again.store["xy"]


def test_boxes_may_be_missing_where_a_mask_says_them(records: MaskDataset, tmp_path: Path) -> None:
    truth = json.loads((tmp_path / "truth.json").read_bytes())
    first, second = truth["annotations"][:2]
    del first["bbox"], second["bbox"]
    first["segmentation"] = [[10, 20, 30, 20, 30, 50]]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    images = tmp_path / "images"
    again = MaskDataset(tmp_path / "truth.json", images, NAMES, cache=tmp_path, boxes_only=True)
    assert again[0].boxes[0].tolist() == [10, 20, 30, 50]
    assert again.dropped == {"crowd or group": 3, "no box": 1}


@pytest.mark.parametrize(
    "augment", [{}, {"mode": "jitter", "jitter_size": (96, 96), "jitter_scale": (0.5, 0.5)}]
)
def test_a_group_makes_its_class_no_negative(records: MaskDataset, augment: Any) -> None:
    one, two = item(records, 0, **augment), item(records, 1, **augment)
    assert one["source"] == two["source"] == "alp"
    assert not one["instances"].has("gt_masks")
    assert one["phrases"] == ["cat", "dog"]
    assert two["phrases"] == ["ball", "cat", "dog"]
    builder = ColumnBuilder(HashEmbedder(), NAMES, foreign_weight=0.25, base_weight=0.25)
    columns = builder([one, two])
    weight = [dict(zip(columns.texts, row.tolist(), strict=True)) for row in columns.outside]
    assert weight[0] == {"cat": 1.0, "dog": 1.0, "ball": 0.25}
    assert weight[1] == {"cat": 1.0, "dog": 0.0, "ball": 0.0}


def test_boxes_keep_their_classes(records: MaskDataset) -> None:
    for row in range(2):
        found = item(records, row, short_sides=(96,), flip=0.0)
        labels = found["instances"].gt_classes.tolist()
        said = [found["phrases"][label] for label in labels]
        assert said == [NAMES[label].lower() for label in records[row].labels]
        boxes = found["instances"].gt_boxes.tensor
        assert torch.allclose(boxes, torch.from_numpy(records[row].boxes).float())


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_a_step_learns_from_boxes_alone(kind: str, records: MaskDataset) -> None:
    model = MODELS[kind]()
    with EventStorage(0):
        losses = model([item(records, row, short_sides=(96,)) for row in range(2)])
    assert losses
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert "loss_mask" not in losses


def test_the_config_of_the_oracle_reads_boxes_alone(
    records: MaskDataset, boxes: tuple[Path, Path], tmp_path: Path
) -> None:
    config = Path("trainer/configs/maskrcnn_box_r50_coco_openimages.py")
    source = load_config(Path(__file__).parents[3] / config).data.train.alps
    source.records.annotations, source.records.images = (
        str(tmp_path / "truth.json"),
        str(boxes[1]),
    )
    source.records.cache = str(tmp_path / "cache")
    source.records.classes = source.mapper.names = list(NAMES)
    built = construct(source)
    assert len(built.records) == 2
    assert built.mapper(built.records[0], np.random.default_rng(0))["phrases"] == ["cat", "dog"]


def test_images_that_were_not_downloaded(
    boxes: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (boxes[1] / "b.jpg").unlink()
    assert convert(boxes) == BadDataError.exit_code
    assert "image b.jpg is not below" in (said := capsys.readouterr().err)
    assert "--skip-missing leaves such images out" in said
    assert convert(boxes, "--skip-missing") == 0
    truth = json.loads(boxes[0].with_name("truth.json").read_bytes())
    assert [image["file_name"] for image in truth["images"]] == ["a.jpg", "c.jpg"]
    assert len(truth["annotations"]) == 4
    assert truth["info"]["counts"]["images without a file"] == 1
    for image in boxes[1].iterdir():
        image.unlink()
    assert convert(boxes, "--skip-missing") == BadDataError.exit_code
    assert "none of 3 images is below" in capsys.readouterr().err
