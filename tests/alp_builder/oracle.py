"""The method once more, one phrase at a time, with plain loops and other libraries: the array path's oracle.

It is written from `docs` and docstrings, not from the array code: floating point seconds where that has integer
microseconds, `np.percentile` where that sorts keys, shapely for hulls, a union-find for components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from shapely import MultiPoint

from alp_builder.config import BoxConfig, TraceConfig
from alp_builder.records import NarrativeRecord, TracePoint


@dataclass
class Place:
    """A component: its points as (x, y, t) and the time dwelt on it."""

    points: list[tuple[float, float, float]]
    dwell: float


def micro(seconds: float) -> int:
    return round(seconds * 1_000_000)


def on_grid(fraction: float) -> float:
    """Coordinates and distances are rounded to a 2^-24 of the image."""
    return round(fraction * 2**24) / 2**24


def window_of(record: NarrativeRecord, words: list[int], end: str, lag: float) -> tuple[int, int]:
    """Window of a phrase spoken by the utterances `words`, in microseconds."""
    spoken = record.timed_caption or []
    start = min(micro(spoken[i].start_time) for i in words)
    last = max(micro(spoken[i].end_time) for i in words)
    latest = max(micro(spoken[i].start_time) for i in words)
    if end == "next_word":
        later = [micro(w.start_time) for w in spoken if micro(w.start_time) > latest]
        last = max([last, *([min(later)] if later else [])])
    return start + micro(lag), last + micro(lag)


def slow_points(record: NarrativeRecord, config: TraceConfig) -> list[bool]:
    """For each point of the record in order, whether the pointer dwells there."""
    half = micro(config.speed_half_width)
    strokes: list[list[TracePoint]] = []
    for segment in record.traces or []:
        for index, point in enumerate(segment):
            pause = micro(point.t) - micro(segment[index - 1].t) if index else half + 1
            if pause > half:
                strokes.append([])
            strokes[-1].append(TracePoint(on_grid(point.x), on_grid(point.y), point.t))
    steps = sum(len(stroke) - 1 for stroke in strokes)
    moved = sum(micro(stroke[-1].t) - micro(stroke[0].t) for stroke in strokes)
    k = max(1, int(np.rint(half * steps / max(moved, 1))))
    flags = []
    for stroke in strokes:
        for index in range(len(stroke)):
            second = min(index - index % 2 + 1, len(stroke) - 1)
            a, b = stroke[max(second - k, 0)], stroke[min(second + k, len(stroke) - 1)]
            reach = (micro(b.t) - micro(a.t)) * (config.travel_speed / 1_000_000)
            flags.append((b.x - a.x) ** 2 + (b.y - a.y) ** 2 <= reach * reach)
    return flags


def window_points(
    record: NarrativeRecord, start: int, end: int, config: TraceConfig
) -> list[tuple[float, float, int, int, bool]]:
    """Points of a window as (x, y, t, segment, slow), ends interpolated."""
    slow = slow_points(record, config)
    flat = [
        (TracePoint(on_grid(p.x), on_grid(p.y), p.t), s)
        for s, segment in enumerate(record.traces or [])
        for p in segment
    ]
    inside = [
        (p.x, p.y, micro(p.t), s, slow[i])
        for i, (p, s) in enumerate(flat)
        if max(start, 0) <= micro(p.t) <= max(end, 0)
    ]

    def between(moment: int) -> list[tuple[float, float, int, int, bool]]:
        if any(micro(p.t) == max(moment, 0) for p, _ in flat):
            return []
        for i in range(len(flat) - 1):
            (p, s), (q, other) = flat[i], flat[i + 1]
            if micro(p.t) < moment < micro(q.t) and s == other:
                gap = micro(q.t) - micro(p.t)
                if (
                    gap > micro(config.max_gap)
                    and math.hypot(q.x - p.x, q.y - p.y) > config.rest_distance
                ):
                    return []
                share = (moment - micro(p.t)) / gap
                x, y = p.x + on_grid(share * (q.x - p.x)), p.y + on_grid(share * (q.y - p.y))
                return [(x, y, moment, s, slow[i])]
        return []

    return between(start) + inside + (between(end) if end > start else [])


def places_of(
    points: list[tuple[float, float, int, int, bool]], distance: float, config: TraceConfig
) -> list[Place]:
    """Components of a window's points, in order of their first point."""
    dwelt = sum(slow for *_, slow in points)
    if dwelt == 0 or dwelt < config.min_slow_share * len(points):
        points = [(x, y, t, s, True) for x, y, t, s, _ in points]
    runs: list[list[tuple[float, float, int, int]]] = []
    previous = None
    for index, (x, y, t, s, slow) in enumerate(points):
        if not slow:
            continue
        joined = (
            previous is not None
            and previous == index - 1
            and t - runs[-1][-1][2] <= micro(config.max_gap)
            and s == runs[-1][-1][3]
        )
        if not joined:
            runs.append([])
        runs[-1].append((x, y, t, s))
        previous = index
    parent = list(range(len(runs)))

    def find(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    def extent(run: list[tuple[float, float, int, int]], axis: int) -> tuple[float, float]:
        return min(p[axis] for p in run), max(p[axis] for p in run)

    for i in range(len(runs)):
        for j in range(i + 1, len(runs)):
            apart = [
                max(extent(runs[i], axis)[0], extent(runs[j], axis)[0])
                - min(extent(runs[i], axis)[1], extent(runs[j], axis)[1])
                for axis in (0, 1)
            ]
            if max(apart) <= on_grid(distance):
                a, b = sorted((find(i), find(j)))
                parent[b] = a
    label = [find(i) for i in range(len(runs))]
    ordered = [(label[r], p) for r, run in enumerate(runs) for p in run]
    places = []
    for root in sorted(set(label)):
        dwell = sum(
            q[2] - p[2] for (a, p), (b, q) in pairwise(ordered) if a == b == root and p[3] == q[3]
        )
        mine = [(x, y, t / 1e6) for owner, (x, y, t, _) in ordered if owner == root]
        places.append(Place(mine, dwell / 1e6))
    return places


def main_place(places: list[Place]) -> Place:
    """The one dwelt on longest among those that touch the image."""

    def visible(place: Place) -> bool:
        return any(0 <= x <= 1 and 0 <= y <= 1 for x, y, _ in place.points)

    return max(places, key=lambda place: (visible(place), place.dwell, len(place.points)))


def box_of(place: Place, config: BoxConfig) -> tuple[float, float, float, float]:
    """Robust extent of a component inside the image."""
    sides = []
    for axis in (0, 1):
        values = [min(max(point[axis], 0.0), 1.0) for point in place.points]
        low, high = np.percentile(values, [config.percentile, 100 - config.percentile])
        low, high = (
            max(0.0, min(1.0, low - config.margin)),
            max(0.0, min(1.0, high + config.margin)),
        )
        if high - low < config.min_side:
            centre = min(max((low + high) / 2, config.min_side / 2), 1 - config.min_side / 2)
            low, high = centre - config.min_side / 2, centre + config.min_side / 2
        sides.append((low, high))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def hull_area(points: list[tuple[float, float]]) -> float:
    """Area of the convex hull."""
    return float(MultiPoint(points).convex_hull.area)
