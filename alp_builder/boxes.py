"""Points to boxes and the numbers that say how far to trust each.

A component becomes a box by **robust extents**: the p-th to (100 - p)-th percentile of its points along each
axis, so that a stray point does not stretch it. The reference rule, `tight`, is the smallest box round every
point of the window, travel included. Boxes are clipped to the image and grow to a least side.

The **hull area** is that of the tightest octagon with sides at multiples of 45 degrees round the points (the
8-DOP of collision detection; Klosowski et al., IEEE TVCG 1998): the box less its four cut corners,

    area = width * height - sum over corners of c^2 / 2,    c = how far the corner lies beyond the points

which needs only extents along x, y, x + y and x - y. It is at least the convex hull's area.

Order statistics are taken over coordinates rounded to 2^-24 of the image and held as integers: sorting
(component, coordinate) keys is then exact, and a box does not depend on its neighbours in the batch.

Legend: F windows, G points in windows, K components, B boxes. Coordinates are fractions of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alp_builder.arrays import (
    Bools,
    Floats,
    Ints,
    offsets_of,
    ranges,
    segment_any,
    segment_reduce,
)
from alp_builder.config import BoxConfig
from alp_builder.narratives import MICROSECONDS
from alp_builder.pointer import Components, Runs, WindowPoints
from alp_builder.windows import Windows

_GRID = 1 << 24  # coordinates as integers: a 2^-24 of the image, finer than float32 near 1
_ORIGIN = 128  # added to coordinates so that their integers are positive
_KEY_BITS = 33
_LEAST_SIDE = (
    2.0**-20
)  # of any box: several steps of float32 near 1, so that corners stay apart in shards


@dataclass(frozen=True)
class PointGroups:
    """Points of B boxes end to end, as `offsets` (B + 1,) and indices into window points (offsets[-1],)."""

    offsets: Ints
    index: Ints


@dataclass(frozen=True)
class Boxes:
    """B boxes of F windows, by window and then by rank.

    Attributes:
        window: int64 (B,), the window of each box.
        rank: int64 (B,), 0 for the main component of its window.
        xyxy: float64 (B, 4), normalised corners, inside the image, x0 < x1 and y0 < y1.
        tight: float64 (B, 4), box round every point of the window, clipped to the image.
        num_points: int64 (B,).
        dwell_time: float64 (B,), seconds.
        dwell_fraction: float64 (B,), dwell time over the time the window has trace, in [0, 1].
        num_components: int64 (B,), of the window.
        hull_area: float64 (B,), fraction of the image, in [0, 1].
        time_gap: float64 (B,), seconds, longest stretch of the window without a point.
        inside_fraction: float64 (B,), share of the points inside the image.
        share: float64 (B,), share of the window's dwell time spent on this component.
        points: The points of each box.
    """

    window: Ints
    rank: Ints
    xyxy: Floats
    tight: Floats
    num_points: Ints
    dwell_time: Floats
    dwell_fraction: Floats
    num_components: Ints
    hull_area: Floats
    time_gap: Floats
    inside_fraction: Floats
    share: Floats
    points: PointGroups


def make_boxes(
    windows: Windows,
    points: WindowPoints,
    components: Components,
    max_components: Ints,
    config: BoxConfig,
) -> Boxes:
    """Turns the components of each window into boxes, the main one first.

    The main component is where the pointer dwelt longest; then the one with more points, then the earlier.
    One that lies outside the image altogether comes last, however long the pointer was there.
    Nothing is filtered here except the components a phrase may not have.

    Args:
        windows: F windows.
        points: Their points.
        components: Their components.
        max_components: int64 (F,), most components of each window that become boxes.
        config: Rule, percentile, least side, least time of further components.

    Returns:
        The boxes. A window without points has none.
    """
    parts = _parts(components, points)
    order, rank = _ranked(components, parts)
    if config.rule == "tight":
        window = np.flatnonzero(np.diff(points.offsets) > 0)
        groups = _whole_windows(points, window)
        chosen, rank = order[rank == 0], np.zeros(len(window), np.int64)
    else:
        long_enough = components.dwell[order] >= round(config.plural_min_time * MICROSECONDS)
        allowed = rank < max_components[components.window[order]]
        big_enough = parts.sizes[order] >= config.min_points
        keep = (rank == 0) | (allowed & long_enough & big_enough)
        chosen, rank = order[keep], rank[keep]
        window = components.window[chosen]
        groups = _points_of(components.runs, parts, chosen)
    x, y = points.x[groups.index], points.y[groups.index]
    grid = _to_grid(x, y)
    clipped = np.clip(grid, 0, _GRID)
    num_points = np.diff(groups.offsets)
    gap, traced = _gaps(windows, points)
    dwell: Floats = components.dwell / MICROSECONDS
    total = np.zeros(len(windows.start))
    np.add.at(total, components.window, dwell)
    count = np.bincount(components.window, minlength=len(windows.start))
    return Boxes(
        window=window,
        rank=rank,
        xyxy=_extents(grid, groups.offsets, config),
        tight=_tight(points)[window],
        num_points=num_points,
        dwell_time=dwell[chosen],
        dwell_fraction=_ratio(dwell[chosen], traced[window]),
        num_components=count[window],
        hull_area=octagon_area(clipped[0], clipped[1], groups.offsets) / _GRID**2,
        time_gap=gap[window],
        inside_fraction=_count_inside(x, y, groups.offsets) / np.maximum(num_points, 1),
        share=np.where(total[window] > 0, _ratio(dwell[chosen], total[window]), 1 / count[window]),
        points=groups,
    )


def octagon_area(x: Floats | Ints, y: Floats | Ints, offsets: Ints) -> Floats:
    """Area of each group's tightest octagon with sides at multiples of 45 degrees.

    Args:
        x: float64 or int64 (offsets[-1],).
        y: float64 or int64 (offsets[-1],).
        offsets: int64 (B + 1,).

    Returns:
        float64 (B,), in the coordinates' unit squared; 0 for groups of one point.
    """
    along = (x, y, x + y, x - y)
    low = [segment_reduce(np.minimum, values, offsets, 0) for values in along]
    high = [segment_reduce(np.maximum, values, offsets, 0) for values in along]
    cuts = (
        low[2] - (low[0] + low[1]),  # corner (x0, y0)
        (high[0] + high[1]) - high[2],  # corner (x1, y1)
        (high[0] - low[1]) - high[3],  # corner (x1, y0)
        low[3] - (low[0] - high[1]),  # corner (x0, y1)
    )
    area = (high[0] - low[0]) * (high[1] - low[1]) - sum(cut * cut for cut in cuts) / 2
    return np.maximum(area.astype(np.float64), 0.0)


@dataclass(frozen=True)
class _Parts:
    """What K components consist of.

    Attributes:
        order: int64 (R,), the runs by component and time.
        offsets: int64 (K + 1,), the runs of each component in that order.
        sizes: int64 (K,), points.
        visible: bool (K,), some point lies inside the image.
    """

    order: Ints
    offsets: Ints
    sizes: Ints
    visible: Bools


def _parts(components: Components, points: WindowPoints) -> _Parts:
    """Sorts the runs by component."""
    runs = components.runs
    order = np.argsort(components.of_run, kind="stable")
    offsets = offsets_of(np.bincount(components.of_run, minlength=len(components.window)))
    x0, y0, x1, y1 = runs.extent
    visible = (x0 >= 0) & (y0 >= 0) & (x1 <= 1) & (y1 <= 1)
    partly = np.flatnonzero(~visible)  # runs that leave the image: the only ones to be looked into
    index = ranges(runs.start[partly], runs.size[partly])
    inside = _count_inside(points.x[index], points.y[index], offsets_of(runs.size[partly]))
    visible[partly] = inside > 0
    sizes = segment_reduce(np.add, runs.size[order], offsets, 0)
    return _Parts(order, offsets, sizes, segment_any(visible[order], offsets))


def _ranked(components: Components, parts: _Parts) -> tuple[Ints, Ints]:
    """Components by window and then by dwell, points, time; and each one's rank in its window."""
    order = np.lexsort((-parts.sizes, -components.dwell, ~parts.visible, components.window))
    starts = offsets_of(np.bincount(components.window))
    return order, np.arange(len(order)) - starts[components.window]


def _points_of(runs: Runs, parts: _Parts, chosen: Ints) -> PointGroups:
    """The points of the chosen components, in that order, by time within each."""
    run_counts = parts.offsets[chosen + 1] - parts.offsets[chosen]
    run = parts.order[ranges(parts.offsets[chosen], run_counts)]
    return PointGroups(offsets_of(parts.sizes[chosen]), ranges(runs.start[run], runs.size[run]))


def _whole_windows(points: WindowPoints, window: Ints) -> PointGroups:
    """All points of the given windows."""
    sizes = np.diff(points.offsets)[window]
    return PointGroups(offsets_of(sizes), ranges(points.offsets[window], sizes))


def _count_inside(x: Floats, y: Floats, offsets: Ints) -> Floats:
    """How many points of each group lie inside the image, float64 (B,)."""
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    return segment_reduce(np.add, inside.astype(np.float64), offsets, 0.0)


def _to_grid(x: Floats, y: Floats) -> Ints:
    """Coordinates in units of 2^-24 of the image, rounded, int64 (2, len(x))."""
    grid = np.stack([x, y])
    grid *= _GRID
    return np.rint(grid, out=grid).astype(np.int64)


def _extents(grid: Ints, offsets: Ints, config: BoxConfig) -> Floats:
    """Box of each non-empty group, (B, 4), inside the image; short sides grow round their centre."""
    tight = config.rule == "tight"
    percentile, margin = (0.0, 0.0) if tight else (config.percentile, config.margin)
    low, high = _percentiles(grid, offsets, percentile)
    low, high = np.clip(low - margin, 0, 1), np.clip(high + margin, 0, 1)
    least = max(config.min_side, _LEAST_SIDE)
    half = np.maximum(high - low, least) / 2
    centre = np.clip((low + high) / 2, half, 1 - half)
    short = high - low < least
    low, high = np.where(short, centre - half, low), np.where(short, centre + half, high)
    return np.concatenate([low, high]).T


def _percentiles(grid: Ints, offsets: Ints, percentile: float) -> tuple[Floats, Floats]:
    """Percentiles of each non-empty group along both axes, interpolated linearly.

    Args:
        grid: int64 (2, offsets[-1]), x and y on the grid.
        offsets: int64 (B + 1,).
        percentile: In percent, from either end.

    Returns:
        Lower and upper percentile, each float64 (2, B), as fractions of the image.
    """
    group = np.arange(len(offsets) - 1) << _KEY_BITS
    keys = grid + np.repeat(group + _ORIGIN * _GRID, np.diff(offsets))
    keys.sort(axis=1)
    last = np.diff(offsets) - 1
    ends = []
    for fraction in (percentile / 100, 1 - percentile / 100):
        position = last * fraction
        below = np.floor(position).astype(np.int64)
        picked = np.stack([below, np.minimum(below + 1, last)]) + offsets[:-1]
        low, high = (keys[:, picked] & ((1 << _KEY_BITS) - 1)).transpose(1, 0, 2)
        ends.append((low + (position - below) * (high - low)) / _GRID - _ORIGIN)
    return ends[0], ends[1]


def _tight(points: WindowPoints) -> Floats:
    """Smallest box round all points of each window, clipped to the image, (F, 4); zeros where none."""
    sides = [
        segment_reduce(ufunc, values, points.offsets, 0.0)
        for ufunc in (np.minimum, np.maximum)
        for values in (points.x, points.y)
    ]
    return np.clip(np.stack(sides, 1), 0, 1)


def _gaps(windows: Windows, points: WindowPoints) -> tuple[Floats, Floats]:
    """Longest stretch without a point, and time from the first to the last point; seconds, each (F,)."""
    length = windows.end - windows.start
    filled = np.diff(points.offsets) > 0
    longest, traced = length.copy(), np.zeros_like(length)
    first, last = points.offsets[:-1][filled], points.offsets[1:][filled] - 1
    steps = np.empty_like(points.t)
    np.subtract(points.t[1:], points.t[:-1], out=steps[1:])
    steps[points.offsets[:-1][filled]] = 0
    inner = segment_reduce(np.maximum, steps, points.offsets, 0)[filled]
    margins = np.maximum(
        points.t[first] - windows.start[filled], windows.end[filled] - points.t[last]
    )
    longest[filled] = np.maximum(inner, margins)
    traced[filled] = points.t[last] - points.t[first]
    return longest / MICROSECONDS, traced / MICROSECONDS


def _ratio(part: Floats, whole: Floats) -> Floats:
    """`part / whole`, at most 1, and 0 where there is no whole."""
    ratio = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return np.minimum(ratio, 1.0)


def drop_reasons(boxes: Boxes, score: Floats, config: BoxConfig) -> dict[str, Bools]:
    """Which boxes go, by reason; a box goes for the first reason that holds.

    Args:
        boxes: B boxes.
        score: float64 (B,), their quality.
        config: Least points and score.

    Returns:
        For each reason a bool array (B,); no box is in two of them.
    """
    reasons: dict[str, npt.NDArray[np.bool_]] = {
        "outside_image": boxes.inside_fraction == 0,
        "few_points": boxes.num_points < config.min_points,
        "low_score": score < config.min_score,
    }
    taken = np.zeros(len(score), np.bool_)
    for name, flags in reasons.items():
        reasons[name] = flags & ~taken
        taken |= flags
    return reasons
