"""The things of the world as vector shapes: what parts a thing has and how they lie to each other.

A shape is a tuple of parts, painted in order, each with a role that says which of the thing's
colours it takes. Shapes are drawn in their own frame, x right and y down, and scaled so that the
longer side of the whole is 2 and its centre the origin. Edges are cut into short pieces so that a
warp bends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from alp_builder.simulate.drawings import DRAWERS

EDGE = 0.12
"""Longest straight piece of an outline, in units of the shape's frame."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a shape.

    Attributes:
        role: Which colour it takes.
        rings: Closed outlines, each `(n, 2)`; the first of a polygon is its outside.
        is_hole: For each ring, whether it is a hole in the ring before it.
    """

    role: int
    rings: tuple[NDArray[np.float64], ...]
    is_hole: tuple[bool, ...]


SHAPES = tuple(DRAWERS)
"""Names of the shapes."""


@cache
def shape(name: str) -> tuple[Part, ...]:
    """Parts of a shape, in the order they are painted.

    Args:
        name: One of `SHAPES`.

    Returns:
        Parts in the shape's frame: centre at the origin, longer side 2.
    """
    drawing = DRAWERS[name]()
    x0, y0, x1, y1 = shapely.total_bounds([geometry for _, geometry in drawing])
    center, scale = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), 2 / max(x1 - x0, y1 - y0)
    parts = []
    for role, geometry in drawing:
        rings: list[NDArray[np.float64]] = []
        holes: list[bool] = []
        fine = shapely.segmentize(geometry, EDGE / scale)
        for polygon in fine.geoms if isinstance(fine, MultiPolygon) else [fine]:
            for index, ring in enumerate([polygon.exterior, *polygon.interiors]):
                rings.append((np.asarray(ring.coords)[:, :2] - center) * scale)
                holes.append(index > 0)
        parts.append(Part(role, tuple(rings), tuple(holes)))
    return tuple(parts)


@cache
def silhouette(name: str) -> BaseGeometry:
    """Union of a shape's parts in the shape's frame."""
    polygons: list[BaseGeometry] = []
    for part in shape(name):
        for ring, hole in zip(part.rings, part.is_hole, strict=True):
            if hole:
                polygons[-1] = polygons[-1].difference(Polygon(ring))
            else:
                polygons.append(Polygon(ring).buffer(0))
    return unary_union(polygons)
