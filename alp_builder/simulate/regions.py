"""Where things and stuff can be pointed at: every region of some images as arrays.

A region is a box and a **cloud**: some tens of places spread evenly over its mask. A pointer is far
less exact than that, and a cloud is cheap enough to narrate thousands of images a second. Masks are
read as runs or as polygons and never drawn; what has neither, or an empty one, is its box.
Coordinates are image sides, origin top left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alp_builder.arrays import Floats, Ints
from alp_builder.simulate.coco import CocoAnnotation, CocoImage
from alp_builder.simulate.polygons import spread_on_polygons
from alp_builder.simulate.rle import spread_pixels

LINES = 16
"""Lines over the longer side of a thing given as polygons."""

CLOUD = 64
"""Most places of a mask given as RLE."""

BACKDROP_GRID = 12
"""Places on a side of a backdrop's cloud, and of a box without a mask."""


@dataclass(frozen=True, slots=True)
class Regions:
    """R regions that can be pointed at, C places in all; a region's places lie together.

    Attributes:
        center: Centre of the box, `(R, 2)`.
        half: Half sides of the box, `(R, 2)`.
        cells: Places of all regions, `(C, 2)`.
        offset: First place of each region, `(R,)`.
        count: Places of each region, at least 1, `(R,)`.
    """

    center: Floats
    half: Floats
    cells: Floats
    offset: Ints
    count: Ints


def regions_of(
    annotations: Sequence[CocoAnnotation], images: Sequence[CocoImage]
) -> tuple[Regions, Floats]:
    """Regions of things.

    Args:
        annotations: n things with polygons, RLE, or neither (then their boxes count).
        images: The image of each.

    Returns:
        The regions, one for each thing, and their boxes, clipped to the images, xyxy, `(n, 4)`.

    Raises:
        BadDataError: If an RLE or a polygon is damaged.
    """
    box, size = _pixels(annotations, images)
    masks = [annotation.segmentation for annotation in annotations]
    runs = np.array([i for i, mask in enumerate(masks) if isinstance(mask, dict)], np.int64)
    drawn = np.array([i for i, mask in enumerate(masks) if isinstance(mask, list)], np.int64)
    pixels, in_runs = spread_pixels([masks[i] for i in runs], CLOUD)
    places, in_drawn = spread_on_polygons([masks[i] for i in drawn], box[drawn], LINES)
    count, offset = np.zeros(len(masks), np.int64), np.zeros(len(masks), np.int64)
    count[runs], count[drawn] = in_runs, in_drawn
    offset[runs] = np.cumsum(in_runs) - in_runs
    offset[drawn] = len(pixels) + np.cumsum(in_drawn) - in_drawn
    cells = np.concatenate([pixels[:, ::-1] + 0.5, places])
    cells /= size[np.concatenate([np.repeat(runs, in_runs), np.repeat(drawn, in_drawn)])]
    clipped = _clipped(box, size)
    bare = np.flatnonzero(count == 0)
    cells, offset[bare] = _with_grids(cells, clipped[bare])
    count[bare] = BACKDROP_GRID**2
    half = (clipped[:, 2:] - clipped[:, :2]) / 2
    return Regions(clipped[:, :2] + half, half, cells, offset, count), clipped


def backdrops_of(images: Sequence[CocoImage]) -> tuple[Regions, Ints]:
    """Regions of the stuff of images, from top to bottom; where it is not known, the whole image.

    Args:
        images: n images.

    Returns:
        The regions, and how many each image has, `(n,)`.
    """
    boxes: list[tuple[float, float, float, float]] = []
    numbers = []
    for image in images:
        numbers.append(max(1, len(image.backdrop)))
        if len(image.backdrop) == 2:
            boxes += [(0.0, 0.0, 1.0, image.horizon), (0.0, image.horizon, 1.0, 1.0)]
        else:
            boxes += [(0.0, 0.0, 1.0, 1.0)] * numbers[-1]
    box = np.array(boxes).reshape(-1, 4)
    half = (box[:, 2:] - box[:, :2]) / 2
    cells, offset = _with_grids(np.empty((0, 2)), box)
    count = np.full(len(box), BACKDROP_GRID**2)
    return Regions(box[:, :2] + half, half, cells, offset, count), np.array(numbers, np.int64)


def interleave(things: Regions, of_thing: Ints, stuff: Regions, of_stuff: Ints) -> Regions:
    """Regions of things and stuff in one table, image by image, things first.

    Args:
        things: Regions of things, by image.
        of_thing: Number of each thing's image, sorted.
        stuff: Regions of stuff, by image.
        of_stuff: Number of each stuff's image, sorted.
    """
    order = np.argsort(np.concatenate([of_thing, of_stuff]), kind="stable")
    offset = np.concatenate([things.offset, len(things.cells) + stuff.offset])
    return Regions(
        np.concatenate([things.center, stuff.center])[order],
        np.concatenate([things.half, stuff.half])[order],
        np.concatenate([things.cells, stuff.cells]),
        offset[order],
        np.concatenate([things.count, stuff.count])[order],
    )


def _pixels(
    annotations: Sequence[CocoAnnotation], images: Sequence[CocoImage]
) -> tuple[Floats, Floats]:
    """Boxes in pixels, xywh, `(n, 4)`, and sides of the images, `(n, 2)`."""
    box = np.array([annotation.bbox for annotation in annotations], dtype=np.float64)
    size = np.array([(image.width, image.height) for image in images], dtype=np.float64)
    return box.reshape(-1, 4), size.reshape(-1, 2)


def _clipped(box: Floats, size: Floats) -> Floats:
    """Boxes in pixels, xywh, as xyxy in image sides, inside the image."""
    corners = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
    return np.clip(corners / np.tile(size, 2), 0.0, 1.0)


def _with_grids(cells: Floats, boxes: Floats) -> tuple[Floats, Ints]:
    """Places with those of a grid over each of some boxes behind them, and where each grid begins."""
    line = (np.arange(BACKDROP_GRID) + 0.5) / BACKDROP_GRID
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    added = boxes[:, None, :2] + grid * (boxes[:, 2:] - boxes[:, :2])[:, None]
    offset = len(cells) + len(grid) * np.arange(len(boxes))
    return np.concatenate([cells, added.reshape(-1, 2)]), offset
