from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from tests.trainer.evaluation.helpers import SIDE, rle, seen, thing
from trainer.data.cocofile import CocoAnnotation
from trainer.evaluation.shapes import found_shapes, overlap, truth_shape

CORNER = (0, 0, 10, 5)
POLYGON = [[0, 0, 10, 0, 10, 5, 0, 5]]
RUNS = {"size": [SIDE, SIDE], "counts": [0, *[5, SIDE - 5] * 9, 5, SIDE - 5 + SIDE * (SIDE - 10)]}


def annotation(**changes: Any) -> CocoAnnotation:
    """The truth of a dog in the corner."""
    return msgspec.convert(thing("dog", *CORNER) | changes, CocoAnnotation)


@pytest.mark.parametrize("segmentation", [rle(*CORNER), POLYGON, RUNS])
def test_a_mask_in_any_form_is_the_same_shape(segmentation: Any) -> None:
    truth = annotation(segmentation=segmentation)
    mask = truth_shape(truth, SIDE, SIDE, "segm")
    np.testing.assert_array_equal(mask_utils.decode(mask), mask_utils.decode(rle(*CORNER)))
    assert tuple(truth_shape(truth, SIDE, SIDE, "bbox") or ()) == CORNER
    without = msgspec.structs.replace(truth, bbox=None)
    np.testing.assert_allclose(truth_shape(without, SIDE, SIDE, "bbox"), CORNER)


@pytest.mark.parametrize("segmentation", [None, [], rle(0, 0, 0, 0)])
def test_an_empty_mask_is_none(segmentation: Any) -> None:
    truth = annotation(segmentation=segmentation)
    assert truth_shape(truth, SIDE, SIDE, "segm") is None
    assert truth_shape(truth, SIDE, SIDE, "bbox") == CORNER
    without = msgspec.structs.replace(truth, bbox=None)
    assert truth_shape(without, SIDE, SIDE, "bbox") is None


def test_masks_and_boxes_of_rectangles_overlap_alike() -> None:
    found = [seen("dog", 0.9, 0, 0, 10, 10), seen("dog", 0.9, 20, 20, 30, 40)]
    truth = [seen("dog", 0.9, 5, 0, 15, 10), seen("dog", 0.9, 0, 0, 40, 40)]
    for group, expected in ((False, [[1 / 3, 1 / 16], [0, 1 / 8]]), (True, [[0.5, 1], [0, 1]])):
        for kind in ("segm", "bbox"):
            values = overlap(
                found_shapes(found, kind)[0], found_shapes(truth, kind)[0], group=group
            )
            np.testing.assert_allclose(values, expected)
    for one, other in ((0, 0), (0, 2), (2, 0)):
        shapes = found_shapes(found, "bbox")[0]
        assert overlap(shapes[:one], shapes[:other], group=False).shape == (one, other)


def test_empty_detections_are_told() -> None:
    rows = [seen("dog", 0.9, *box) for box in ((0, 0, 5, 5), (3, 3, 3, 9), (0, 0, 0, 0))]
    for kind in ("segm", "bbox"):
        assert found_shapes(rows, kind)[1].tolist() == [True, False, False]
    inside_out = [row | {"bbox": [9, 9, -3, 4]} for row in rows[:1]]
    assert found_shapes(inside_out, "bbox")[1].tolist() == [False]
