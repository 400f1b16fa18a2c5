"""Regions: boxes and clouds of places against masks that pycocotools draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from alp_builder.simulate.coco import CocoAnnotation, CocoImage
from alp_builder.simulate.regions import BACKDROP_GRID, backdrops_of, interleave, regions_of

IMAGE = CocoImage(1, "1.jpg", 60, 40)


def annotation(segmentation: Any, bbox: list[float]) -> CocoAnnotation:
    return CocoAnnotation(1, 1, 1, bbox, segmentation)


def rle_of(mask: np.ndarray) -> CocoAnnotation:
    code = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    box = mask_utils.toBbox(code).tolist()
    return annotation({"size": list(code["size"]), "counts": code["counts"].decode()}, box)


rectangles = st.tuples(st.integers(0, 50), st.integers(0, 30), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(rectangles, min_size=1, max_size=3), min_size=1, max_size=4))
def test_places_lie_on_the_mask_and_in_the_box(
    shapes: list[list[tuple[int, int, int, int]]],
) -> None:
    masks = []
    for rows in shapes:
        mask = np.zeros((40, 60), bool)
        for x, y, w, h in rows:
            mask[y : y + h, x : x + w] = True
        masks.append(mask)
    regions, boxes = regions_of([rle_of(mask) for mask in masks], [IMAGE] * len(masks))
    assert (regions.count >= 1).all()
    for number, mask in enumerate(masks):
        begin = int(regions.offset[number])
        cells = regions.cells[begin : begin + int(regions.count[number])]
        pixels = np.floor(cells * [60, 40]).astype(int)
        assert mask[pixels[:, 1], pixels[:, 0]].all()
        rows, columns = np.nonzero(mask)
        low = np.array([columns.min() / 60, rows.min() / 40])
        high = np.array([(columns.max() + 1) / 60, (rows.max() + 1) / 40])
        assert boxes[number] == pytest.approx(np.concatenate([low, high]))
        assert regions.center[number] == pytest.approx((low + high) / 2)
        assert regions.half[number] == pytest.approx((high - low) / 2)


def test_polygons_rle_and_bare_boxes_stand_side_by_side() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:10, 5:10] = True
    drawn = annotation([[30, 20, 40, 20, 40, 30, 30, 30]], [30, 20, 10, 10])
    bare = annotation(None, [50, 30, 6, 8])
    regions, _ = regions_of([drawn, rle_of(mask), bare], [IMAGE] * 3)
    for number in range(3):
        begin = int(regions.offset[number])
        cells = regions.cells[begin : begin + int(regions.count[number])]
        assert (np.abs(cells - regions.center[number]) <= regions.half[number] + 1e-9).all()
    assert regions.count[2] == BACKDROP_GRID**2
    assert regions.center[0] == pytest.approx([35 / 60, 25 / 40])


def test_boxes_are_clipped_to_the_image() -> None:
    _, boxes = regions_of([annotation(None, [-5, -5, 100, 20])], [IMAGE])
    assert boxes[0] == pytest.approx([0, 0, 1, 15 / 40])


def test_stuff_lies_above_and_below_the_horizon() -> None:
    known = CocoImage(1, "1.jpg", 60, 40, ["sky", "grass"], 0.4)
    regions, counts = backdrops_of([known, IMAGE])
    assert counts.tolist() == [2, 1]
    low, high = regions.center - regions.half, regions.center + regions.half
    assert np.concatenate([low, high], 1) == pytest.approx(
        np.array([[0, 0, 1, 0.4], [0, 0.4, 1, 1], [0, 0, 1, 1]])
    )


def test_things_come_before_the_stuff_of_their_image() -> None:
    known = CocoImage(1, "1.jpg", 60, 40, ["sky", "grass"], 0.4)
    things, _ = regions_of([annotation(None, [6 * i, 4, 5, 5]) for i in range(3)], [IMAGE] * 3)
    stuff, _ = backdrops_of([known, IMAGE])
    merged = interleave(things, np.array([0, 0, 1]), stuff, np.array([0, 0, 1]))
    expected = [*things.center[:2], *stuff.center[:2], things.center[2], stuff.center[2]]
    assert merged.center == pytest.approx(np.array(expected))
    for number in range(len(merged.count)):
        begin = int(merged.offset[number])
        cells = merged.cells[begin : begin + int(merged.count[number])]
        assert (np.abs(cells - merged.center[number]) <= merged.half[number] + 1e-9).all()
