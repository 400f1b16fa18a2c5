"""Points to boxes and the numbers that say how far to trust each.

A component becomes a box by **robust extents**: the p-th to (100 - p)-th percentile of its points along each
axis, so that a stray point does not stretch it; points outside the image count as points on its edge. The
reference rule, `tight`, is the smallest box round every point of the window, travel included, clipped to the
image. Boxes grow to a least side.

The **hull area** is that of the tightest octagon with sides at multiples of 45 degrees round the points (the
8-DOP of collision detection; Klosowski et al., IEEE TVCG 1998): the box less its four cut corners,

    area = width * height - sum over corners of c^2 / 2,    c = how far the corner lies beyond the points

which needs only extents along x, y, x + y and x - y. It is at least the convex hull's area.

Order statistics come from sorting (group, coordinate) keys: coordinates are integers, so a box does not
depend on its neighbours in the batch. Keys of 32 bits hold some groups, which are sorted at a time: less than
half the time of keys that hold them all.

Legend: F windows, G points in windows, K components, B boxes. Boxes are in fractions of the image, points in
units of 2^-24 of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from alp_builder.arrays import (
    Bools,
    Floats,
    Grid,
    Ints,
    offsets_of,
    ranges,
    segment_any,
    segment_reduce,
    sizes_of,
)
from alp_builder.config import BoxConfig
from alp_builder.narratives import GRID, MICROSECONDS
from alp_builder.pointer import Components, Runs, WindowPoints
from alp_builder.windows import Windows

_KEY_BITS = 25  # of a coordinate in a (group, coordinate) key: 0 to GRID, both of them included
_KEY_GROUPS = (
    24  # sorted at a time: few make short sorts; the bits above the coordinate hold up to 128
)
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
        window = np.flatnonzero(sizes_of(points.offsets) > 0)
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
    xy, outside = _inside_image(points, groups.index)
    num_points = sizes_of(groups.offsets)
    lost = sizes_of(outside.searchsorted(groups.offsets))
    gap, traced = _gaps(windows, points)
    dwell: Floats = components.dwell / MICROSECONDS
    total = np.zeros(len(windows.start))
    np.add.at(total, components.window, dwell)
    count = np.bincount(components.window, minlength=len(windows.start))
    sides = _sorted_sides(xy, groups.offsets)
    return Boxes(
        window=window,
        rank=rank,
        xyxy=_extents(sides, config),
        tight=(components.runs.tight.take(window, axis=1).T / GRID).clip(0, 1),
        num_points=num_points,
        dwell_time=dwell[chosen],
        dwell_fraction=_ratio(dwell[chosen], traced[window]),
        num_components=count[window],
        hull_area=_hull_area(xy, sides),
        time_gap=gap[window],
        inside_fraction=(num_points - lost) / np.maximum(num_points, 1),
        share=np.where(total[window] > 0, _ratio(dwell[chosen], total[window]), 1 / count[window]),
        points=groups,
    )


def octagon_area(low: Ints | Floats, high: Ints | Floats) -> Floats:
    """Area of each group's tightest octagon with sides at multiples of 45 degrees.

    Args:
        low: int64 or float64 (4, B), least x, y, x + y and x - y of each group.
        high: Largest ones.

    Returns:
        float64 (B,), in the coordinates' unit squared; 0 for groups of one point.
    """
    cuts = (
        low[2] - (low[0] + low[1]),  # corner (x0, y0)
        (high[0] + high[1]) - high[2],  # corner (x1, y1)
        (high[0] - low[1]) - high[3],  # corner (x1, y0)
        low[3] - (low[0] - high[1]),  # corner (x0, y1)
    )
    area: Floats | Ints = (high[0] - low[0]) * (high[1] - low[1]) - sum(
        cut * cut for cut in cuts
    ) / 2
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
    visible = (x0 >= 0) & (y0 >= 0) & (x1 <= GRID) & (y1 <= GRID)
    partly = np.flatnonzero(~visible)  # runs that leave the image: the only ones to be looked into
    index = ranges(runs.start[partly], runs.size[partly])
    inside = ~_is_outside(_places(points, index))
    visible[partly] = segment_any(inside, offsets_of(runs.size[partly]))
    sizes = np.zeros(len(components.window), np.int64)
    np.add.at(sizes, components.of_run, runs.size)
    seen = np.zeros(len(sizes), np.bool_)
    seen[components.of_run[visible]] = True
    return _Parts(order, offsets, sizes, seen)


def _ranked(components: Components, parts: _Parts) -> tuple[Ints, Ints]:
    """Components by window and then by dwell, points, time; and each one's rank in its window."""
    starts = offsets_of(np.bincount(components.window))
    order = np.arange(len(components.window))
    several = np.flatnonzero((sizes_of(starts) > 1)[components.window])  # the others are in order
    keys = (-parts.sizes, -components.dwell, ~parts.visible, components.window)
    order[several] = several.take(np.lexsort([key.take(several) for key in keys]))
    return order, np.arange(len(order)) - starts[components.window]


def _points_of(runs: Runs, parts: _Parts, chosen: Ints) -> PointGroups:
    """The points of the chosen components, in that order, by time within each."""
    first = parts.offsets.take(chosen)
    run = parts.order.take(ranges(first, parts.offsets.take(chosen + 1) - first))
    index = ranges(runs.start.take(run), runs.size.take(run))
    return PointGroups(offsets_of(parts.sizes.take(chosen)), index)


def _whole_windows(points: WindowPoints, window: Ints) -> PointGroups:
    """All points of the given windows."""
    sizes = sizes_of(points.offsets)[window]
    return PointGroups(offsets_of(sizes), ranges(points.offsets[window], sizes))


def _places(points: WindowPoints, index: Ints) -> Grid:
    """Where the points at `index` are: x and y, int32 (2, G)."""
    xy = np.empty((2, len(index)), np.int32)
    for values, row in zip((points.x, points.y), xy, strict=True):
        values.take(index, mode="clip", out=row)
    return xy


def _is_outside(xy: Grid) -> Bools:
    """Which points lie outside the image, bool (G,), by their places, int32 (2, G)."""
    # A negative number is a huge one without its sign: one comparison instead of two.
    x, y = xy.view(np.uint32) > GRID
    outside: Bools = x | y
    return outside


def _inside_image(points: WindowPoints, index: Ints) -> tuple[Grid, Ints]:
    """The places of points, those outside the image moved to its edge.

    Returns:
        x and y, int32 (2, G), and which points were outside, int64, increasing.
    """
    xy = _places(points, index)
    outside = _is_outside(xy).nonzero()[0]
    if len(outside):
        xy[:, outside] = xy.take(outside, axis=1).clip(0, GRID)
    return xy, outside


@dataclass(frozen=True)
class _SortedSides:
    """The coordinates of B non-empty groups of points inside the image, sorted within each group.

    Attributes:
        keys: uint32 (2, G), x and y of all groups end to end; the group's number is in the high bits.
        offsets: int64 (B + 1,).
    """

    keys: npt.NDArray[np.uint32]
    offsets: Ints

    def at(self, positions: Ints) -> Ints:
        """The coordinates at positions in each group, counted from its smallest; (N, B) to (2, N, B)."""
        found = self.keys.take(self.offsets[:-1] + positions, axis=1)
        found &= (1 << _KEY_BITS) - 1
        return found.astype(np.int64)

    def ends(self) -> tuple[Ints, Ints]:
        """The smallest and the largest coordinates of each group, each (2, B)."""
        last = sizes_of(self.offsets) - 1
        found = self.at(np.array([np.zeros_like(last), last]))
        return found[:, 0], found[:, 1]


def _sorted_sides(xy: Grid, offsets: Ints) -> _SortedSides:
    group = np.arange(len(offsets) - 1, dtype=np.uint32) % _KEY_GROUPS << _KEY_BITS
    keys = np.bitwise_or(xy.view(np.uint32), group.repeat(sizes_of(offsets)), dtype=np.uint32)
    for start, stop in pairwise([*offsets[:-1:_KEY_GROUPS].tolist(), len(keys[0])]):
        keys[:, start:stop].sort(axis=1)
    return _SortedSides(keys, offsets)


def _hull_area(xy: Grid, sides: _SortedSides) -> Floats:
    """Area of each group's octagon, (B,), as fraction of the image.

    Args:
        xy: int32 (2, G), inside the image.
        sides: The same points sorted.
    """
    x, y = xy
    diagonals = np.empty_like(xy)
    np.add(x, y, out=diagonals[0])
    np.subtract(x, y, out=diagonals[1])
    low, high = np.empty((2, 4, len(sides.offsets) - 1), np.int64)
    low[:2], high[:2] = sides.ends()
    low[2:] = segment_reduce(np.minimum, diagonals, sides.offsets, 0)
    high[2:] = segment_reduce(np.maximum, diagonals, sides.offsets, 0)
    return octagon_area(low, high) / GRID**2


def _extents(sides: _SortedSides, config: BoxConfig) -> Floats:
    """Box of each non-empty group, (B, 4), inside the image; short sides grow round their centre."""
    tight = config.rule == "tight"
    percentile, margin = (0.0, 0.0) if tight else (config.percentile, config.margin)
    low, high = _percentiles(sides, [percentile, 100 - percentile])
    low, high = (low - margin).clip(0, 1), (high + margin).clip(0, 1)
    least = max(config.min_side, _LEAST_SIDE)
    short = np.nonzero(high - low < least)
    half = least / 2
    centre = np.clip((low[short] + high[short]) / 2, half, 1 - half)
    low[short], high[short] = centre - half, centre + half
    return np.concatenate([low, high]).T


def _percentiles(sides: _SortedSides, percentiles: list[float]) -> Floats:
    """Percentiles of each group along both axes, interpolated linearly; (N, 2, B), fractions of the image."""
    last = sizes_of(sides.offsets) - 1
    position = last * (np.array(percentiles)[:, None] / 100)
    below = np.floor(position).astype(np.int64)
    found = sides.at(np.concatenate([below, np.minimum(below + 1, last)]))
    low, high = found.reshape(2, 2, len(percentiles), len(last)).transpose(1, 2, 0, 3)
    return (low + (position - below)[:, None] * (high - low)) / GRID


def _gaps(windows: Windows, points: WindowPoints) -> tuple[Floats, Floats]:
    """Longest stretch without a point, and time from the first to the last point; seconds, each (F,)."""
    length = windows.end - windows.start
    filled = sizes_of(points.offsets) > 0
    longest, traced = length.copy(), np.zeros_like(length)
    first, last = points.offsets[:-1][filled], points.offsets[1:][filled] - 1
    inner = segment_reduce(np.maximum, points.step, points.offsets, 0)[filled]
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
