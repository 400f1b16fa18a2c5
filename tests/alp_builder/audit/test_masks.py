from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from alp_builder.audit.masks import MaskArea, decode_mask
from alp_builder.errors import BadDataError


def _brute_coverage(mask: np.ndarray, box: np.ndarray) -> float:
    """Share of the mask under the box, pixel by pixel."""
    height, width = mask.shape
    x0, y0, x1, y1 = box * (width, height, width, height)
    under = 0.0
    for row, column in zip(*np.nonzero(mask), strict=True):
        across = max(0.0, min(x1, column + 1) - max(x0, column))
        down = max(0.0, min(y1, row + 1) - max(y0, row))
        under += across * down
    return under / mask.sum() if mask.any() else 0.0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_coverage_is_exact(seed: int, corners: list[float]) -> None:
    mask = np.random.default_rng(seed).random((7, 11)) < 0.4
    box = np.array([*np.minimum(corners[:2], corners[2:]), *np.maximum(corners[:2], corners[2:])])
    found = MaskArea.of(mask).coverage(box[None])[0]
    assert found == pytest.approx(_brute_coverage(mask, box), abs=1e-9)


def test_points_on_the_mask() -> None:
    mask = np.zeros((4, 8), bool)
    mask[1, 2:4] = True
    points = np.array([[2.5 / 8, 1.5 / 4], [4.1 / 8, 1.5 / 4], [0.99, 0.99], [1.0, 1.0]])
    assert MaskArea.of(mask).holds(points).tolist() == [True, False, False, False]
    assert not MaskArea.of(np.zeros((4, 8), bool)).holds(points).any()


def test_every_form_of_segmentation_gives_the_same_mask() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 10:25] = 1
    packed = mask_utils.encode(np.asfortranarray(mask))
    text = {"size": [20, 30], "counts": packed["counts"].decode()}
    runs: list[int] = []
    value = 0
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value or not runs:
            if not runs and pixel:
                runs.append(0)
            runs.append(0)
            value = pixel
        runs[-1] += 1
    polygon = [[10, 5, 25, 5, 25, 15, 10, 15]]
    for segmentation in (text, {"size": [20, 30], "counts": runs}, polygon):
        assert np.array_equal(decode_mask(segmentation, 20, 30), mask.astype(bool))


@pytest.mark.parametrize(
    "segmentation",
    [{"size": [2, 2], "counts": "00"}, {"size": [20, 30], "counts": [5, 5]}, {"size": [20, 30]}, 7],
)
def test_a_damaged_mask_is_told(segmentation: Any) -> None:
    with pytest.raises(BadDataError):
        decode_mask(segmentation, 20, 30)


def test_polygons_without_area_are_empty() -> None:
    assert not decode_mask([[1, 1, 2, 2]], 20, 30).any()
