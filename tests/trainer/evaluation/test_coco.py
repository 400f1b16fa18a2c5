from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from alp_builder.errors import BadDataError, UsageError
from tests.trainer.evaluation.helpers import CLASSES, encoded, seen, thing, truth_of
from trainer.data.cocofile import read_coco
from trainer.evaluation.coco import Backend, evaluate_coco, precision_table
from trainer.evaluation.predictions import read_predictions
from trainer.evaluation.splits import ClassSplit, load_split, split_of_all

BACKENDS: tuple[Backend, ...] = ("hotcoco", "pycocotools")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Dogs and a car on two images."""
    file = truth_of(
        thing("dog", 0, 0, 10, 10),
        thing("dog", 0, 0, 10, 10, image=2),
        thing("car", 20, 20, 30, 30),
        images=2,
    )
    path = tmp_path / "truth.json"
    path.write_bytes(msgspec.json.encode(file))
    return path


def published(folder: Path, kind: str) -> dict[str, float]:
    """The published AP figures of a type, from COCO's own text."""
    text = (folder / "val2014_fake_eval_res.txt").read_text()
    block = text.split(f"type={kind}")[1].split("-----")[0]
    lines = re.findall(r"\(AP\).*IoU=(\S+)\s*\| area=\s*(\w+) .*= ([\d.]+)", block)
    names = {"0.50": "AP50", "0.75": "AP75", "0.50:0.95": "AP"}
    areas = {"all": "", "small": "s", "medium": "m", "large": "l"}
    return {names[iou] + areas[area]: float(value) for iou, area, value in lines}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_published_figures(shared_data: Path, kind: Any, backend: Backend) -> None:
    folder = shared_data / "coco_lvis_eval_reference"
    path = folder / "instances_val2014_100.json"
    rows = read_predictions(folder / f"instances_val2014_fake{kind}100_results.json")
    split = split_of_all(category.name for category in read_coco(path).categories)
    metrics = evaluate_coco(path, rows, split, iou_type=kind, backend=backend)
    expected = published(folder, kind)
    assert len(expected) == 6
    assert {name: round(metrics[name]["all"], 3) for name in expected} == expected


def test_backends_agree_on_every_cell(shared_data: Path) -> None:
    folder = shared_data / "coco_lvis_eval_reference"
    path = folder / "instances_val2014_100.json"
    rows = read_predictions(folder / "instances_val2014_fakesegm100_results.json")
    ids = [category.id for category in read_coco(path).categories][::-1]
    ours, oracle = (precision_table(path, rows, ids, backend=name) for name in BACKENDS)
    assert ours.shape == oracle.shape == (10, 101, len(ids), 4)
    np.testing.assert_allclose(ours, oracle, atol=1e-9)


def test_groups_on_real_truth_are_means_of_their_classes(shared_data: Path) -> None:
    folder = shared_data / "coco_lvis_eval_reference"
    path = folder / "instances_val2014_100.json"
    rows = read_predictions(folder / "instances_val2014_fakesegm100_results.json")
    split = load_split("coco_48_17")
    metrics = evaluate_coco(path, rows, split)
    per_class = metrics["per_class"]
    assert len(per_class) == 65
    for group in ("base", "novel"):
        values = [c["AP"] for c in per_class.values() if c["group"] == group]
        known = [value for value in values if not math.isnan(value)]
        assert metrics["AP"][group] == pytest.approx(sum(known) / len(known))
    assert metrics["AP"]["base"] != metrics["AP"]["novel"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_base_and_novel_by_hand(truth: Path, backend: Backend) -> None:
    split = ClassSplit("mine", ("dog", "cat"), ("car",))
    rows = [seen("dog", 0.9, 0, 0, 10, 10), seen("car", 0.9, 20, 20, 30, 30)]
    metrics = evaluate_coco(truth, rows, split, backend=backend)
    # One of two dogs at precision 1: 51 of the 101 recalls.
    assert metrics["AP"]["base"] == pytest.approx(51 / 101)
    assert metrics["AP50"]["novel"] == pytest.approx(1)
    assert metrics["AP"]["all"] == pytest.approx((51 / 101 + 1) / 2)
    assert math.isnan(metrics["per_class"]["cat"]["AP"])
    assert metrics["per_class"]["dog"]["instances"] == 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "small"), [("segm", 0.5), ("bbox", 1.0)])
def test_sizes_are_those_of_what_is_compared(
    tmp_path: Path, kind: Any, small: float, backend: Backend
) -> None:
    square, line = np.zeros((2, 128, 128), bool)
    square[:20, :20] = True
    along = np.arange(100)
    line[20 + along, 20 + along] = line[20 + along, 21 + along] = True
    assert line.sum() == 200
    dog = {"image_id": 1, "category_id": 1}
    record = {
        "images": [{"id": 1, "file_name": "1.jpg", "height": 128, "width": 128}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [
            {"id": 1, "bbox": [0, 0, 20, 20], "area": 400, "iscrowd": 0}
            | {**dog, "segmentation": encoded(square)}
        ],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(record))
    rows = [
        {**dog, "score": 0.9, "segmentation": encoded(line), "bbox": [20, 20, 101, 100]},
        {**dog, "score": 0.8, "segmentation": encoded(square), "bbox": [0, 0, 20, 20]},
    ]
    metrics = evaluate_coco(path, rows, split_of_all(["dog"]), iou_type=kind, backend=backend)
    # The wrong one comes first: one of two is right, at any recall and IoU. Its mask is small (200 pixels,
    # less than 32 * 32), so it counts among the small ones; its box is large (10,100), so there it does not.
    assert metrics["AP"]["all"] == pytest.approx(0.5)
    assert metrics["per_class"]["dog"]["AP"] == pytest.approx(0.5)
    assert metrics["APs"]["all"] == pytest.approx(small)
    assert math.isnan(metrics["APm"]["all"])
    assert math.isnan(metrics["APl"]["all"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_boxes_beside_masks_change_no_cell(shared_data: Path, backend: Backend) -> None:
    folder = shared_data / "coco_lvis_eval_reference"
    path = folder / "instances_val2014_100.json"
    rows = read_predictions(folder / "instances_val2014_fakesegm100_results.json")
    ids = [category.id for category in read_coco(path).categories]
    boxed = [row | {"bbox": mask_utils.toBbox(row["segmentation"]).tolist()} for row in rows]
    without = [{k: v for k, v in row.items() if k != "bbox"} for row in rows]
    one, other = (precision_table(path, r, ids, backend=backend) for r in (boxed, without))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_predictions_score_zero(truth: Path, backend: Backend) -> None:
    metrics = evaluate_coco(truth, [], split_of_all(CLASSES), backend=backend)
    assert metrics["AP"]["all"] == 0
    assert math.isnan(metrics["AP"]["novel"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 77}, "image_id 77 is not in the truth"),
        ({"category_id": 9}, "category_id 9 is not in the truth"),
        ({"score": math.nan}, "score nan is not a finite number"),
        ({"score": "high"}, "score 'high' is not"),
        ({"segmentation": None}, "no segmentation"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6]]}, "no RLE"),
        ({"segmentation": {"size": [40, 40], "counts": [1600]}}, "no compressed counts"),
    ],
)
def test_malformed_predictions_are_named(truth: Path, change: dict[str, Any], message: str) -> None:
    good = seen("dog", 0.9, 0, 0, 10, 10)
    with pytest.raises(BadDataError, match=f"prediction 1: .*{message}"):
        evaluate_coco(truth, [good, good | change], split_of_all(CLASSES))


def test_a_class_in_no_category_is_named(truth: Path) -> None:
    with pytest.raises(UsageError, match=r"class 'dgo' of split mine .*; did you mean 'dog'"):
        evaluate_coco(truth, [], ClassSplit("mine", ("dgo",), ()))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_input_is_left_as_it_was(truth: Path, kind: Any, backend: Backend) -> None:
    rows = [seen("dog", 0.9, 0, 0, 10, 10)]
    before = json.dumps(rows)
    evaluate_coco(truth, rows, split_of_all(CLASSES), iou_type=kind, backend=backend)
    assert json.dumps(rows) == before
