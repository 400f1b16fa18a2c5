"""The CSV and PNG reader, on real Open Images photographs and masks; the CSV rows are made here."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

from alp_builder.errors import BadDataError
from trainer.data.cocofile import read_coco
from trainer.evaluation.open_images import evaluate_open_images
from trainer.evaluation.open_images_masks import TruthBuilder, category_ids, main, read_mask
from trainer.evaluation.splits import ClassSplit

LABEL = {"dog": "/m/0bt9lr", "pizza": "/m/0663v", "taxi": "/m/0pg52"}


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def real(shared_data: Path, tmp_path: Path) -> dict[str, Path]:
    """Real photographs and masks in Open Images' layout, and CSV files that describe them."""
    (tmp_path / "images").mkdir()
    masks, boxes, labels = [], [], []
    for name, label in LABEL.items():
        folder = shared_data / "open_images_masks" / name
        for photo in folder.glob("images/*.jpg"):
            (tmp_path / "images" / photo.name).write_bytes(photo.read_bytes())
            labels.append({"ImageID": photo.stem, "LabelName": label, "Confidence": 1})
            labels.append({"ImageID": photo.stem, "LabelName": "/m/015qff", "Confidence": 0})
        for png in sorted(folder.glob("segmentations/*.png")):
            image = png.name.split("_")[0]
            target = tmp_path / "masks" / png.name[0]
            target.mkdir(parents=True, exist_ok=True)
            (target / png.name).write_bytes(png.read_bytes())
            inside = np.argwhere(np.asarray(Image.open(png)))
            height, width = np.asarray(Image.open(png)).shape
            (y0, x0), (y1, x1) = inside.min(axis=0), inside.max(axis=0) + 1
            sides = (x0 / width, x1 / width, y0 / height, y1 / height)
            named = zip(("XMin", "XMax", "YMin", "YMax"), sides, strict=True)
            box = {side: f"{value:.6f}" for side, value in named}
            base = {"ImageID": image, "LabelName": label}
            path = {"MaskPath": png.name}
            masks.append(path | base | {f"Box{k}": v for k, v in box.items()})
            boxes.append(base | box | {"IsGroupOf": 0})
    bare = {"XMin": "0.1", "XMax": "0.2", "YMin": "0.1", "YMax": "0.2", "IsGroupOf": 1}
    boxes.append({"ImageID": masks[0]["ImageID"], "LabelName": LABEL["dog"], **bare})
    boxes.append({"ImageID": masks[0]["ImageID"], "LabelName": "/m/unknown", **bare})
    return {
        "images": tmp_path / "images",
        "mask_folder": tmp_path / "masks",
        "masks": write_csv(tmp_path / "masks.csv", masks),
        "boxes": write_csv(tmp_path / "boxes.csv", boxes),
        "labels": write_csv(tmp_path / "labels.csv", labels),
    }


def test_real_masks_become_truth_of_the_images_size(real: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "truth.json"
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in real.items()]
    assert main([*arguments, f"--out={out}"]) == 0
    truth = read_coco(out)
    with_mask = [a for a in truth.annotations if a.segmentation]
    assert len(with_mask) == 15
    assert [a.is_group_of for a in truth.annotations if not a.segmentation] == [True]
    names = {category.id: category.name for category in truth.categories}
    assert {names[a.category_id] for a in with_mask} == {"Dog", "Pizza", "Taxi"}
    differing = 0
    for image in truth.images:
        photo = cv2.imread(str(real["images"] / image.file_name))
        assert photo.shape[:2] == (image.height, image.width)
        for a in (a for a in with_mask if a.image_id == image.id):
            rle: Any = {"size": list(a.segmentation.size), "counts": a.segmentation.counts}
            assert a.segmentation.size == (image.height, image.width)
            # The mask fills the box of its row to a pixel: scaled right, not transposed or shifted.
            np.testing.assert_allclose(mask_utils.toBbox(rle), a.bbox, atol=1.5)
        pngs = (real["mask_folder"] / image.file_name[0]).glob(f"{image.file_name[:-4]}*.png")
        differing += sum(Image.open(png).size != (image.width, image.height) for png in pngs)
    assert differing > 0
    assert all(category_ids()["/m/015qff"] in (i.neg_category_ids or ()) for i in truth.images)


def test_truth_scores_itself_perfectly(real: dict[str, Path]) -> None:
    builder = TruthBuilder(real["images"], real["mask_folder"])
    builder.add_boxes(real["boxes"])
    builder.add_masks(real["masks"])
    builder.add_labels(real["labels"])
    record = builder.record()
    assert builder.counts["rows of other classes"] == 1
    rows = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "score": 0.9}
        | {"segmentation": a["segmentation"], "bbox": a["bbox"]}
        for a in record["annotations"]
        if "segmentation" in a
    ]
    path = real["images"].parent / "truth.json"
    path.write_text(json.dumps(record))
    split = ClassSplit("three", ("Dog", "Pizza"), ("Taxi",))
    metrics = evaluate_open_images(read_coco(path), rows, split)
    assert metrics["AP50"] == {"base": 1, "novel": 1, "all": 1}


def test_masks_are_scaled_by_nearest_neighbour(tmp_path: Path) -> None:
    mask = np.zeros((8, 4), np.uint8)
    mask[:4, :2] = 255
    Image.fromarray(mask).convert("1").save(tmp_path / "mask.png")
    scaled = read_mask(tmp_path / "mask.png", (16, 12))
    assert scaled.shape == (16, 12)
    assert set(np.unique(scaled)) == {0, 1}
    assert scaled[:8, :6].all()
    assert scaled.sum() == 48


def test_masks_stay_in_their_place_as_they_shrink(tmp_path: Path) -> None:
    mask = np.zeros((1600, 1200), np.uint8)
    cv2.circle(mask, (600, 800), 300, 255, -1)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    rows, columns = np.nonzero(read_mask(tmp_path / "mask.png", (400, 300)))
    centre = np.array([rows.mean() + 0.5, columns.mean() + 0.5])
    np.testing.assert_allclose(centre, [200.125, 150.125], atol=0.13)


def test_what_is_wrong_is_said_in_one_line(
    real: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(csv.DictReader(real["masks"].open()))
    rows[0]["MaskPath"] = "../masks.csv"
    write_csv(real["masks"], rows)
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in real.items()]
    assert main([*arguments, f"--out={tmp_path / 'no.json'}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: mask ../masks.csv is not below")
    assert error.count("\n") == 1
    assert not (tmp_path / "no.json").exists()
    write_csv(tmp_path / "bad.csv", [{"ImageID": 1, "LabelName": 2}])
    with pytest.raises(BadDataError, match="no column Confidence"):
        TruthBuilder(real["images"], None).add_labels(tmp_path / "bad.csv")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(BadDataError, match="not a readable mask"):
        read_mask(tmp_path / "broken.png", (4, 4))
