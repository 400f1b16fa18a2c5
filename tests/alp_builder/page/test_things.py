from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from alp_builder.errors import BadDataError, UsageError
from alp_builder.page.config import PageConfig
from alp_builder.page.document import PageThing
from alp_builder.page.image_files import ImageFiles
from alp_builder.page.things import CocoThings, read_predictions, read_truth
from tests.alp_builder.page.conftest import write_image

CONFIG = PageConfig(mask_side=400)
NONE = ImageFiles([])


def coco(*things: dict[str, Any], size: tuple[int, int] = (40, 30), name: str = "a.jpg") -> Any:
    image = {"id": 5, "file_name": name, "width": size[0], "height": size[1]}
    common = {"image_id": 5, "category_id": 1, "bbox": [4, 3, 20, 15]}
    annotations = [{"id": i, **common, **thing} for i, thing in enumerate(things)]
    categories = [{"id": 1, "name": "dog"}]
    return {"images": [image], "categories": categories, "annotations": annotations}


def put(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def truth_of(tmp_path: Path, thing: dict[str, Any], **options: Any) -> PageThing:
    truth = read_truth(put(tmp_path / "t.json", coco(thing, **options)), NONE)
    (found,), more = truth.of(truth.coco.images[0], CONFIG)
    assert more == 0
    return found


def grid(thing: PageThing) -> np.ndarray:
    assert thing.mask is not None
    columns, rows, *runs = thing.mask
    return np.repeat(np.arange(len(runs)) % 2, runs).reshape(rows, columns).astype(bool)


def ellipse(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    inside = ((x - width / 2) / (width / 3)) ** 2 + ((y - height / 2) / (height / 4)) ** 2 < 1
    return np.asfortranarray(inside.astype(np.uint8))


def rle_of(mask: np.ndarray) -> dict[str, Any]:
    code = mask_utils.encode(mask)
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


@pytest.mark.parametrize("packed", [True, False])
def test_masks_of_run_lengths(packed: bool, tmp_path: Path) -> None:
    mask = ellipse(40, 30)
    edges = np.flatnonzero(np.diff(mask.ravel("F"), prepend=0))
    runs = np.diff([0, *edges, mask.size]).tolist()
    code = rle_of(mask) if packed else {"size": [30, 40], "counts": runs}
    found = truth_of(tmp_path, {"segmentation": code})
    assert (grid(found) == mask).all()
    assert found.box == (0.1, 0.1, 0.6, 0.6)


def test_large_masks_are_sampled(tmp_path: Path) -> None:
    mask = ellipse(1600, 1200)
    found = truth_of(tmp_path, {"segmentation": rle_of(mask)}, size=(1600, 1200))
    assert grid(found).shape == (300, 400)
    assert (grid(found) == mask[2::4, 2::4]).all()


def test_polygons(tmp_path: Path) -> None:
    found = truth_of(tmp_path, {"segmentation": [[10, 5, 30, 5, 30, 25, 10, 25], [0, 0, 1, 1]]})
    assert grid(found)[6:24, 11:29].all()
    assert grid(found).sum() <= 22 * 22  # Pillow draws the outline too


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [30, 40], "counts": [0, 5]},
        {"size": [30, 40], "counts": [0, 2400, -1200]},
        {"size": [30, 40], "counts": [2**70]},
        {"size": [40, 30], "counts": [1200]},
        {"size": [30, 40], "counts": "~~~~\u00ff"},
        {"size": [30, 40], "counts": None},
        {"counts": "04"},
        [[1, 2, 3]],
        [["x", "y"]],
        [[None] * 6],
        "text",
        7,
        [[1e308, -1e308, float("inf"), 0, 1, 1]],
    ],
)
def test_damaged_masks_are_left_out(segmentation: Any, tmp_path: Path) -> None:
    text = json.dumps(coco({"segmentation": segmentation})).replace("Infinity", "1e999")
    file = tmp_path / "t.json"
    file.write_text(text)
    try:
        truth = read_truth(file, NONE)
    except BadDataError:
        return
    (found,), _ = truth.of(truth.coco.images[0], CONFIG)
    assert found.mask is None or not grid(found).any()
    assert found.box == (0.1, 0.1, 0.6, 0.6)


def test_an_image_without_size_has_no_mask(tmp_path: Path) -> None:
    found = truth_of(tmp_path, {"segmentation": {"size": [1, 1], "counts": [1]}}, size=(0, 0))
    assert found.mask is None
    assert all(0 <= side <= 1 for side in found.box)


@pytest.mark.parametrize("size", [(-5, 10), (10**9, 10**9), (60_000, 60_000)])
def test_images_of_impossible_size_are_refused(size: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"t\.json"):
        truth_of(tmp_path, {"segmentation": {"size": [1, 1], "counts": [1]}}, size=size)


def predictions_of(tmp_path: Path, results: Any, **options: Any) -> CocoThings:
    put(tmp_path / "instances.json", coco(**options))
    return read_predictions(put(tmp_path / "results.json", results), None, NONE)


def result(**changes: Any) -> dict[str, Any]:
    return {"image_id": 5, "category_id": 1, "bbox": [4, 3, 20, 15], "score": 0.5} | changes


def test_predictions_best_first_and_bounded(tmp_path: Path) -> None:
    scores = [0.01, 0.3, 0.9, 0.5]
    found = predictions_of(tmp_path, [result(score=score) for score in scores])
    things, more = found.of(found.coco.images[0], PageConfig(max_things=2))
    assert [thing.score for thing in things] == [0.9, 0.5]
    assert more == 2


def test_a_box_is_made_of_a_mask_where_there_is_none(tmp_path: Path) -> None:
    mask = np.zeros((30, 40), np.uint8, order="F")
    mask[6:12, 10:20] = 1
    found = predictions_of(tmp_path, [result(bbox=None, segmentation=rle_of(mask))])
    ((thing,), _) = found.of(found.coco.images[0], CONFIG)
    assert thing.box == (0.25, 0.2, 0.5, 0.4)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, "not a list of COCO results"),
        ([{"image_id": "5"}], "not a list of COCO results"),
        ([result(image_id=6)], "result 0 is of image 6"),
        ([result(category_id=2)], "category 2"),
        ([result(score=1.5)], "has score 1.5, expected 0 to 1"),
        ([result(score=None)], "has score None"),
    ],
)
def test_results_that_are_none(results: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=message):
        predictions_of(tmp_path, results)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no instances.json beside it; say with --predicted-on"):
        read_predictions(tmp_path / "results.json", None, NONE)
    with pytest.raises(UsageError, match="cannot be read"):
        read_truth(tmp_path / "truth.json", NONE)
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    with pytest.raises(BadDataError, match="not a COCO instance file"):
        read_truth(deep, NONE)


def test_images_are_joined_by_name_or_by_file(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write_image(tmp_path / folder / "000000000007.jpg")
    files = ImageFiles([str(tmp_path)])
    images = [
        {"id": i, "file_name": f"{folder}/000000000007.jpg", "width": 8, "height": 6}
        for i, folder in enumerate("xy")
    ]
    record = {"images": images, "categories": [], "annotations": []}
    truth = read_truth(put(tmp_path / "t.json", record), files)
    assert truth.find("7", None) is None  # two images are called so
    found = truth.find("7", tmp_path / "y" / "000000000007.jpg")
    assert found is not None
    assert found.id == 1
    assert truth.find("8", None) is None
    assert truth.find("x/000000000007", None) is not None
