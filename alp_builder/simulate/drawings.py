"""Drawings of the world's things: for each its parts, in the order they are painted, with their roles.

x goes right and y down; a drawing's size and place do not matter, `shapes` brings all to one frame.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

BODY, ACCENT, DARK, LIGHT = 1, 2, 3, 4
"""Roles of parts: the thing's own colour (with its pattern), its second one, dark and light."""

Drawing = list[tuple[int, BaseGeometry]]


def disc(x: float, y: float, rx: float, ry: float | None = None) -> Polygon:
    """An ellipse round (x, y) with half axes rx, ry."""
    circle = shapely.Point(0, 0).buffer(1.0, quad_segs=8)
    return affinity.translate(affinity.scale(circle, rx, ry or rx, origin=(0, 0)), x, y)


def poly(*points: tuple[float, float]) -> Polygon:
    """A polygon through points."""
    return Polygon(points)


def stroke(width: float, *points: tuple[float, float], round_ends: bool = True) -> Polygon:
    """A line through points of a width."""
    cap = "round" if round_ends else "flat"
    return LineString(points).buffer(width / 2, quad_segs=4, cap_style=cap)


def smooth(shape: BaseGeometry, radius: float) -> BaseGeometry:
    """A shape with its corners rounded."""
    return shape.buffer(-radius, quad_segs=4).buffer(2 * radius, quad_segs=4).buffer(-radius)


def _arc(x: float, y: float, r: float, start: float, end: float) -> list[tuple[float, float]]:
    angles = np.radians(np.linspace(start, end, 16))
    return [(x + r * float(np.cos(a)), y + r * float(np.sin(a))) for a in angles]


def _house() -> Drawing:
    return [
        (BODY, box(-0.8, -0.1, 0.8, 1.0)),
        (ACCENT, poly((-1, -0.1), (0, -0.95), (1, -0.1))),
        (DARK, box(-0.15, 0.4, 0.2, 1.0)),
        (LIGHT, unary_union([box(-0.6, 0.15, -0.3, 0.5), box(0.35, 0.15, 0.62, 0.5)])),
    ]


def _tree() -> Drawing:
    crown = unary_union([disc(-0.35, -0.2, 0.42), disc(0.35, -0.25, 0.45), disc(0, -0.6, 0.42)])
    return [(DARK, poly((-0.13, 0), (0.13, 0), (0.2, 1.0), (-0.2, 1.0))), (BODY, crown)]


def _car() -> Drawing:
    body = poly(
        (-1, 0.3), (-0.95, -0.02), (-0.55, -0.08), (-0.35, -0.42), (0.3, -0.42), (0.55, -0.08),
        (0.95, 0.0), (1, 0.3),
    )  # fmt: skip
    panes = unary_union(
        [
            poly((-0.42, -0.07), (-0.28, -0.34), (-0.03, -0.34), (-0.03, -0.07)),
            poly((0.05, -0.07), (0.05, -0.34), (0.25, -0.34), (0.42, -0.07)),
        ]
    )
    wheels = unary_union([disc(-0.55, 0.3, 0.2), disc(0.55, 0.3, 0.2)])
    return [
        (BODY, body),
        (LIGHT, panes),
        (DARK, wheels),
        (ACCENT, unary_union([disc(-0.55, 0.3, 0.09), disc(0.55, 0.3, 0.09)])),
    ]


def _fish() -> Drawing:
    return [
        (ACCENT, poly((0.45, 0), (1.0, -0.42), (0.85, 0), (1.0, 0.42))),
        (ACCENT, poly((-0.2, -0.3), (0.15, -0.62), (0.3, -0.25))),
        (BODY, disc(-0.2, 0, 0.8, 0.42)),
        (LIGHT, disc(-0.62, -0.1, 0.1)),
        (DARK, disc(-0.63, -0.1, 0.05)),
    ]


def _bottle() -> Drawing:
    body = poly(
        (-0.3, 1), (-0.3, -0.15), (-0.1, -0.5), (-0.1, -0.8), (0.1, -0.8), (0.1, -0.5),
        (0.3, -0.15), (0.3, 1),
    )  # fmt: skip
    return [
        (BODY, smooth(body, 0.05)),
        (DARK, box(-0.13, -1, 0.13, -0.78)),
        (ACCENT, box(-0.3, 0.1, 0.3, 0.6)),
    ]


def _umbrella() -> Drawing:
    dome = disc(0, 0, 1, 0.9).intersection(box(-1, -1, 1, 0))
    scallops = unary_union([disc(x, 0.0, 0.25, 0.14) for x in (-0.75, -0.25, 0.25, 0.75)])
    handle = stroke(0.08, (0, -0.2), (0, 0.75), *_arc(0.15, 0.75, 0.15, 180, 0))
    return [
        (DARK, handle),
        (BODY, dome.difference(scallops)),
        (ACCENT, poly((-0.25, -0.1), (0, -0.9), (0.25, -0.1))),
    ]


def _flower() -> Drawing:
    petals = [
        disc(0.36 * np.cos(a), -0.5 + 0.36 * np.sin(a), 0.24) for a in np.arange(6) * np.pi / 3
    ]
    leaf = affinity.rotate(disc(0.25, 0.5, 0.3, 0.1), -35)
    return [
        (DARK, unary_union([stroke(0.08, (0, -0.3), (0.05, 0.95)), leaf])),
        (BODY, unary_union(petals)),
        (ACCENT, disc(0, -0.5, 0.2)),
    ]


def _boat() -> Drawing:
    return [
        (DARK, stroke(0.06, (0, 0.3), (0, -0.95))),
        (LIGHT, poly((0.06, -0.9), (0.06, 0.15), (0.7, 0.15))),
        (ACCENT, poly((-0.06, -0.7), (-0.06, 0.15), (-0.5, 0.15))),
        (BODY, poly((-1, 0.3), (1, 0.3), (0.65, 0.75), (-0.65, 0.75))),
    ]


def _lamp() -> Drawing:
    return [
        (DARK, unary_union([stroke(0.09, (0, -0.2), (0, 0.9)), disc(0, 0.92, 0.42, 0.1)])),
        (BODY, poly((-0.32, -1), (0.32, -1), (0.62, -0.15), (-0.62, -0.15))),
    ]


def _chair() -> Drawing:
    legs = [box(-0.5, 0.2, -0.38, 1), box(0.42, 0.2, 0.54, 1), box(-0.22, 0.3, -0.12, 0.85)]
    return [
        (DARK, unary_union([*legs, box(0.2, 0.3, 0.3, 0.85)])),
        (ACCENT, box(-0.56, -1, -0.4, 0.3)),
        (BODY, unary_union([box(-0.55, -0.95, -0.42, 0.2), box(-0.56, 0.05, 0.58, 0.27)])),
        (BODY, poly((-0.42, -0.95), (0.05, -0.85), (0.05, -0.1), (-0.42, -0.1))),
    ]


def _key() -> Drawing:
    ring = disc(-0.65, 0, 0.36).difference(disc(-0.65, 0, 0.16))
    teeth = unary_union([box(0.45, 0, 0.57, 0.3), box(0.72, 0, 0.88, 0.36)])
    return [(BODY, unary_union([ring, box(-0.35, -0.09, 1.0, 0.09), teeth]))]


def _book() -> Drawing:
    return [
        (BODY, poly((-0.75, -0.95), (0.65, -0.95), (0.65, 0.85), (-0.75, 0.85))),
        (LIGHT, poly((-0.7, 0.85), (0.7, 0.85), (0.75, 0.97), (-0.62, 0.97))),
        (DARK, box(-0.75, -0.95, -0.58, 0.9)),
        (ACCENT, box(-0.35, -0.65, 0.42, -0.25)),
    ]


def _butterfly() -> Drawing:
    right = unary_union(
        [
            affinity.rotate(disc(0.5, -0.38, 0.52, 0.36), -35),
            affinity.rotate(disc(0.4, 0.38, 0.4, 0.28), 35),
        ]
    )
    wings = unary_union([right, affinity.scale(right, -1, 1, origin=(0, 0))])
    feelers = [stroke(0.04, (0, -0.5), (0.2, -0.9)), stroke(0.04, (0, -0.5), (-0.2, -0.9))]
    spots = [disc(s * 0.5, y, 0.13) for s in (-1, 1) for y in (-0.38, 0.35)]
    return [
        (BODY, wings),
        (ACCENT, unary_union(spots)),
        (DARK, unary_union([disc(0, 0, 0.08, 0.55), *feelers])),
    ]


def _mushroom() -> Drawing:
    cap = disc(0, 0, 0.95, 0.85).intersection(box(-1, -1, 1, 0.02))
    dots = [disc(-0.45, -0.3, 0.15, 0.11), disc(0.1, -0.55, 0.17, 0.12), disc(0.5, -0.2, 0.13, 0.1)]
    return [
        (LIGHT, smooth(poly((-0.24, -0.05), (0.24, -0.05), (0.36, 0.9), (-0.36, 0.9)), 0.08)),
        (BODY, cap),
        (ACCENT, unary_union(dots)),
    ]


def _apple() -> Drawing:
    flesh = unary_union([disc(-0.32, 0.15, 0.55, 0.72), disc(0.32, 0.15, 0.55, 0.72)])
    return [
        (BODY, flesh),
        (DARK, stroke(0.09, (0, -0.4), (0.08, -0.9))),
        (ACCENT, affinity.rotate(disc(0.35, -0.75, 0.28, 0.12), -20)),
    ]


def _clock() -> Drawing:
    ticks = [
        disc(0.62 * np.cos(a), 0.05 + 0.62 * np.sin(a), 0.06) for a in np.arange(12) * np.pi / 6
    ]
    hands = [stroke(0.08, (0, 0.05), (0, -0.45)), stroke(0.08, (0, 0.05), (0.33, 0.2))]
    return [
        (DARK, unary_union([box(-0.65, 0.6, -0.5, 1), box(0.5, 0.6, 0.65, 1)])),
        (BODY, unary_union([disc(0, 0.05, 0.9), disc(-0.5, -0.8, 0.25), disc(0.5, -0.8, 0.25)])),
        (LIGHT, disc(0, 0.05, 0.74)),
        (DARK, unary_union([*ticks, *hands])),
    ]


def _bird() -> Drawing:
    legs = [stroke(0.05, (-0.05, 0.4), (-0.1, 0.85)), stroke(0.05, (0.15, 0.4), (0.15, 0.85))]
    return [
        (DARK, unary_union(legs)),
        (BODY, poly((0.35, 0), (1.0, -0.25), (0.95, 0.1), (0.5, 0.3))),
        (BODY, unary_union([disc(0.05, 0.1, 0.58, 0.36), disc(-0.5, -0.28, 0.28)])),
        (ACCENT, affinity.rotate(disc(0.15, 0.08, 0.4, 0.2), 15)),
        (DARK, poly((-0.72, -0.35), (-1.0, -0.22), (-0.72, -0.17))),
        (LIGHT, disc(-0.57, -0.34, 0.06)),
    ]


def _hat() -> Drawing:
    return [
        (BODY, disc(0, 0.5, 1, 0.22)),
        (BODY, poly((-0.5, 0.5), (-0.42, -0.4), (0, -0.55), (0.42, -0.4), (0.5, 0.5))),
        (ACCENT, poly((-0.5, 0.45), (-0.48, 0.15), (0.48, 0.15), (0.5, 0.45))),
    ]


def _mug() -> Drawing:
    handle = disc(0.62, 0.05, 0.38, 0.42).difference(disc(0.62, 0.05, 0.2, 0.25))
    return [
        (ACCENT, handle.difference(box(-1, -1, 0.5, 1))),
        (BODY, smooth(box(-0.72, -0.75, 0.55, 0.8), 0.08)),
        (DARK, disc(-0.085, -0.72, 0.6, 0.1)),
    ]


def _vase() -> Drawing:
    side = [
        (0.2, -1),
        (0.14, -0.7),
        (0.2, -0.45),
        (0.5, -0.05),
        (0.52, 0.35),
        (0.36, 0.75),
        (0.26, 1),
    ]
    return [
        (BODY, Polygon([*side, *[(-x, y) for x, y in reversed(side)]])),
        (ACCENT, box(-0.28, -1.05, 0.28, -0.93)),
        (ACCENT, box(-0.3, 0.93, 0.3, 1.03)),
    ]


def _sock() -> Drawing:
    leg = poly((-0.3, -1), (0.3, -1), (0.3, 0.35), (-0.3, 0.35))
    foot = smooth(poly((-0.3, 0.2), (0.3, 0.1), (1.0, 0.45), (0.95, 0.85), (-0.2, 0.8)), 0.12)
    return [
        (BODY, unary_union([leg, foot])),
        (ACCENT, box(-0.33, -1, 0.33, -0.75)),
        (ACCENT, foot.intersection(box(0.7, 0, 1.2, 1))),
    ]


def _kite() -> Drawing:
    tail = stroke(0.05, (0, 0.5), (0.15, 0.65), (-0.1, 0.8), (0.1, 0.95))
    bows = [
        poly((0.02, 0.66), (0.3, 0.55), (0.3, 0.78)),
        poly((-0.02, 0.8), (-0.3, 0.7), (-0.3, 0.92)),
    ]
    return [
        (DARK, tail),
        (ACCENT, unary_union(bows)),
        (BODY, poly((0, -1), (0.6, -0.35), (0, 0.55), (-0.6, -0.35))),
    ]


def _ball() -> Drawing:
    return [(BODY, disc(0, 0, 1))]


def _bag() -> Drawing:
    strap = disc(0, -0.35, 0.45, 0.6).difference(disc(0, -0.35, 0.33, 0.48))
    return [
        (DARK, strap.intersection(box(-1, -1, 1, -0.3))),
        (BODY, smooth(poly((-0.72, -0.35), (0.72, -0.35), (0.88, 0.9), (-0.88, 0.9)), 0.08)),
        (ACCENT, poly((-0.72, -0.35), (0.72, -0.35), (0.5, 0.1), (-0.5, 0.1))),
        (LIGHT, disc(0, 0.06, 0.09)),
    ]


def _guitar() -> Drawing:
    body = unary_union([disc(0, 0.6, 0.5, 0.4), disc(0, 0.15, 0.36, 0.3)])
    return [
        (BODY, body),
        (DARK, unary_union([box(-0.08, -0.85, 0.08, 0.25), box(-0.14, -1.15, 0.14, -0.8)])),
        (DARK, disc(0, 0.3, 0.14)),
        (ACCENT, box(-0.22, 0.65, 0.22, 0.74)),
    ]


def _anchor() -> Drawing:
    ring = disc(0, -0.8, 0.2).difference(disc(0, -0.8, 0.1))
    arms = stroke(0.16, *_arc(0, 0.2, 0.7, 160, 20))
    flukes = [
        poly((-0.9, 0.55), (-0.72, 0.1), (-0.4, 0.5)),
        poly((0.9, 0.55), (0.72, 0.1), (0.4, 0.5)),
    ]
    shaft = [stroke(0.16, (0, -0.6), (0, 0.9)), stroke(0.14, (-0.38, -0.38), (0.38, -0.38))]
    return [(BODY, unary_union([ring, arms, *flukes, *shaft]))]


def _crown() -> Drawing:
    points = [
        (-0.9, 0.6),
        (-1, -0.45),
        (-0.5, 0.05),
        (0, -0.65),
        (0.5, 0.05),
        (1, -0.45),
        (0.9, 0.6),
    ]
    gems = [disc(x, 0.42, 0.1) for x in (-0.5, 0, 0.5)]
    tips = [disc(-1, -0.5, 0.1), disc(0, -0.7, 0.1), disc(1, -0.5, 0.1)]
    return [
        (BODY, Polygon(points)),
        (ACCENT, unary_union([*gems, *tips])),
        (DARK, box(-0.9, 0.6, 0.9, 0.7)),
    ]


def _cactus() -> Drawing:
    left = stroke(0.24, (0, 0.2), (-0.5, 0.2), (-0.5, -0.3))
    right = stroke(0.24, (0, -0.05), (0.5, -0.05), (0.5, -0.6))
    pot = poly((-0.45, 0.6), (0.45, 0.6), (0.32, 1), (-0.32, 1))
    return [(BODY, unary_union([stroke(0.38, (0, 0.7), (0, -0.8)), left, right])), (ACCENT, pot)]


def _snowman() -> Drawing:
    eyes = [
        disc(-0.08, -0.52, 0.04),
        disc(0.1, -0.52, 0.04),
        disc(0, 0.0, 0.05),
        disc(0, 0.22, 0.05),
    ]
    arms = [stroke(0.05, (-0.3, 0), (-0.75, -0.3)), stroke(0.05, (0.3, 0), (0.75, -0.25))]
    return [
        (DARK, unary_union(arms)),
        (LIGHT, unary_union([disc(0, 0.58, 0.46), disc(0, 0.02, 0.34), disc(0, -0.48, 0.26)])),
        (DARK, unary_union([*eyes, box(-0.3, -0.74, 0.3, -0.68), box(-0.2, -1, 0.2, -0.7)])),
        (BODY, poly((0, -0.47), (0.3, -0.4), (0, -0.38))),
        (BODY, box(-0.27, -0.29, 0.27, -0.19)),
    ]


def _rocket() -> Drawing:
    hull = poly(
        (0, -1), (0.22, -0.65), (0.28, 0.1), (0.2, 0.6), (-0.2, 0.6), (-0.28, 0.1), (-0.22, -0.65)
    )
    fins = [
        poly((-0.24, 0.2), (-0.6, 0.75), (-0.2, 0.6)),
        poly((0.24, 0.2), (0.6, 0.75), (0.2, 0.6)),
    ]
    flame = poly((-0.16, 0.6), (0.16, 0.6), (0.08, 0.8), (0, 1), (-0.08, 0.8))
    return [
        (ACCENT, unary_union([*fins, flame])),
        (BODY, smooth(hull, 0.04)),
        (LIGHT, disc(0, -0.25, 0.13)),
        (DARK, disc(0, -0.25, 0.08)),
    ]


def _ladder() -> Drawing:
    rungs = [box(-0.36, y - 0.05, 0.36, y + 0.05) for y in np.linspace(-0.8, 0.8, 6)]
    rails = [poly((-0.45, -1), (-0.32, -1), (-0.38, 1), (-0.52, 1))]
    return [(BODY, unary_union([*rungs, *rails, affinity.scale(rails[0], -1, 1, origin=(0, 0))]))]


def _banana() -> Drawing:
    outer = Polygon([*_arc(0, -0.6, 1.0, 165, 15), *_arc(0, -0.95, 1.02, 25, 155)])
    tips = [disc(-0.95, -0.38, 0.09), disc(0.95, -0.38, 0.09)]
    return [(BODY, outer), (DARK, unary_union(tips))]


def _star() -> Drawing:
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
    return [(BODY, Polygon(np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)))]


DRAWERS: dict[str, Callable[[], Drawing]] = {
    "house": _house, "tree": _tree, "car": _car, "fish": _fish, "bottle": _bottle,
    "umbrella": _umbrella, "flower": _flower, "boat": _boat, "lamp": _lamp, "chair": _chair,
    "key": _key, "book": _book, "butterfly": _butterfly, "mushroom": _mushroom, "apple": _apple,
    "clock": _clock, "bird": _bird, "hat": _hat, "mug": _mug, "vase": _vase, "sock": _sock,
    "kite": _kite, "ball": _ball, "bag": _bag, "guitar": _guitar, "anchor": _anchor,
    "crown": _crown, "cactus": _cactus, "snowman": _snowman, "rocket": _rocket,
    "ladder": _ladder, "banana": _banana, "star": _star,
}  # fmt: skip
"""What draws each thing."""
