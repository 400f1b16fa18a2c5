"""COCO files as the narrator reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alp_builder.errors import BadDataError
from alp_builder.simulate.coco import read_coco, things_of


def coco_file(folder: Path, annotations: list[dict[str, Any]], images: int = 3) -> Path:
    path = folder / "coco.json"
    content = {
        "images": [
            {"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 50}
            for number in range(images, 0, -1)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "dog"}],
    }
    path.write_text(json.dumps(content))
    return path


sides = st.floats(-5, 60)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(1, 3), sides, sides), max_size=8), st.floats(0.01, 0.9))
def test_things_are_those_large_enough_to_see(
    tmp_path: Path, rows: list[tuple[int, float, float]], least: float
) -> None:
    annotations = [
        {"id": number, "image_id": image, "category_id": 1, "bbox": [0, 0, w, h]}
        for number, (image, w, h) in enumerate(rows)
    ]
    coco = read_coco(coco_file(tmp_path, annotations))
    assert [image.id for image in coco.images] == [1, 2, 3]
    seen = [thing.id for image in coco.images for thing in things_of(coco, image, least)]
    assert sorted(seen) == [
        number
        for number, (_, w, h) in enumerate(rows)
        if w > 0 and h > 0 and (w / 100 >= least or h / 50 >= least)
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 9}, "image 9"),
        ({"category_id": 4}, "category 4"),
        ({"bbox": [1, 2, 3]}, "no bbox"),
        ({"bbox": "all"}, "not a COCO instance file"),
        ({"id": None}, "not a COCO instance file"),
    ],
)
def test_damaged_annotations_are_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    good = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}
    with pytest.raises(BadDataError, match=words):
        read_coco(coco_file(tmp_path, [good | change]))


def test_a_category_without_a_name_is_refused(tmp_path: Path) -> None:
    """Nothing could be said of its things."""
    path = coco_file(tmp_path, [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}])
    path.write_text(path.read_text().replace('"dog"', '" "'))
    with pytest.raises(BadDataError, match="category 1 has no name"):
        read_coco(path)


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text('{"info": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}")
    with pytest.raises(BadDataError, match="not a COCO instance file"):
        read_coco(path)
