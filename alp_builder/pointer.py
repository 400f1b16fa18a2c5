"""Trace points of time windows: dwelling or travelling, and the separate places they fall into.

A pointer crosses the image fast and in a straight line, and scribbles over what it means; only round something
large it runs as fast as between things, and then most of a window is fast. Speed is therefore
**net displacement** over a short time before and after a point, as in velocity-threshold identification of
eye fixations (I-VT; Salvucci and Goldberg, ETRA 2000): going back and forth over a thing counts as slow.

Within a window, consecutive dwelling points belong together unless a pause or the image's edge (a new trace
segment) comes between. The runs found so are joined into **components** where their boxes touch or nearly do,
because one scribbles on a thing, rests, and goes on: what is separate in time may be one place.

The pointer sends no event while it rests. What lies inside a segment between two runs in a row of one
component, a pause or a short trip, is hence dwell time of that component: nothing else was pointed at.

Legend: F windows, P points of the batch, G points gathered into windows (a point lies in several windows
where phrases share words), R runs and K components of all
windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alp_builder.arrays import (
    Bools,
    Floats,
    Grid,
    Ints,
    offsets_of,
    ranges,
    segment_reduce,
    sizes_of,
)
from alp_builder.config import TraceConfig
from alp_builder.narratives import GRID, MICROSECONDS, NarrativeBatch
from alp_builder.windows import TIME_BITS, time_keys

_MAX_COPIES = 32  # windows of a narrative hold its points at most this often; bounds their memory
_SPEED_STRIDE = 2  # points in a row that share a speed
_MAX_NEIGHBOURS = 64  # later runs a run is compared with; bounds the work a hostile trace can cause


@dataclass(frozen=True)
class WindowPoints:
    """Points of F windows, end to end and in order of time.

    Attributes:
        offsets: int64 (F + 1,), the points of each window.
        x: int32 (G,), in units of 2^-24 of the image's width.
        y: int32 (G,), in units of 2^-24 of the image's height.
        t: int64 (G,), microseconds.
        step: int64 (G,), microseconds since the window's point before, 0 at its first.
        enters: bool (G,), whether a trace segment starts there.
        slow: bool (G,), whether the pointer dwells there rather than travels.
    """

    offsets: Ints
    x: Grid
    y: Grid
    t: Ints
    step: Ints
    enters: Bools
    slow: Bools


@dataclass(frozen=True)
class Runs:
    """Stretches of dwelling points that follow each other in one window with no pause nor edge between.

    Attributes:
        start: int64 (R,), first point, an index into the window points; increasing.
        size: int64 (R,), number of points.
        window: int64 (R,).
        extent: int32 (4, R), smallest x and y, largest x and y, in units of the grid.
        tight: int32 (4, F), the same of all points of each window, travel included; 0 where it has none.
    """

    start: Ints
    size: Ints
    window: Ints
    extent: Grid
    tight: Grid


@dataclass(frozen=True)
class Components:
    """Which component each run of F windows belongs to.

    Attributes:
        runs: The R runs.
        of_run: int64 (R,), component of each run. Numbers increase with the window, and within a window
            with the time of the component's first point.
        window: int64 (K,), the window of each component.
        dwell: int64 (K,), time dwelt there, microseconds.
    """

    runs: Runs
    of_run: Ints
    window: Ints
    dwell: Ints


def gather_points(
    batch: NarrativeBatch, narrative: Ints, start: Ints, end: Ints, config: TraceConfig
) -> WindowPoints:
    """Collects the points of each window and interpolates the trace at its two ends.

    An end is interpolated only where the trace has a point on either side of it in one segment, and the
    pointer was seen to move on or to rest there, not across a pause in which it went elsewhere.

    Args:
        batch: Narratives with P points.
        narrative: int64 (F,), the narrative of each window.
        start: int64 (F,), microseconds.
        end: int64 (F,), microseconds, not before `start`.
        config: Limits on pauses, and the time over which speed is taken.

    Returns:
        The points of each window. Where the windows of a narrative overlap so much that they would hold
        its points over 32 times, as only broken times do, all of them are empty.
    """
    keys = (np.arange(len(batch)) << TIME_BITS).repeat(sizes_of(batch.point_offsets))
    keys += batch.t
    # Times are whole numbers: what comes after `end` begins where `end + 1` would stand.
    sought = np.concatenate([time_keys(narrative, start), time_keys(narrative, end) + 1])
    first, last = keys.searchsorted(sought).reshape(2, -1)
    np.maximum(last, first, out=last)
    held = np.zeros(len(batch), np.int64)
    np.add.at(held, narrative, last - first)
    overfull = held > _MAX_COPIES * sizes_of(batch.point_offsets)
    broken = overfull[narrative]
    if overfull.any():
        last = np.where(broken, first, last)
    weight, known = _interpolation(
        batch, narrative, np.array([first, last]), np.array([start, end]), config
    )
    known &= ~broken
    known[1] &= end > start  # a window of no length has one end, not two
    has_before, has_after = known

    # Rows to gather: [interpolated start], the points inside, [interpolated end].
    sizes = last - first + has_before + has_after
    offsets = offsets_of(sizes)
    index = ranges(first - has_before, sizes, offsets)
    head, tail = offsets[:-1][has_before], offsets[1:][has_after] - 1
    index[tail] -= 1  # an interpolated point takes all but time and place from the point before it
    # All indices are good: mode "clip" spares numpy the look.
    t = batch.t.take(index, mode="clip")
    x, y = batch.x.take(index, mode="clip"), batch.y.take(index, mode="clip")
    t[head], t[tail] = start[has_before], end[has_after]
    ends, share = np.concatenate([head, tail]), weight[known]
    left = index.take(ends)
    for values, source in ((x, batch.x), (y, batch.y)):
        base = source.take(left)
        way = source.take(left + 1) - base
        values[ends] = base + np.rint(share * way).astype(np.int32)
    step = np.empty_like(t)
    np.subtract(t[1:], t[:-1], out=step[1:])
    step[offsets[:-1][sizes > 0]] = 0
    enters = batch.enters.take(index, mode="clip")
    enters[tail] = False
    slow = _is_slow(batch, config).take(index, mode="clip")
    return WindowPoints(offsets, x, y, t, step, enters, slow)


def _interpolation(
    batch: NarrativeBatch, narrative: Ints, right: Ints, time: Ints, config: TraceConfig
) -> tuple[Floats, Bools]:
    """The trace at given times, between point `right - 1` and point `right`.

    Returns:
        Weight of the right point, and whether the trace is known there and no point lies at that very
        time; each of shape (2, F), for the starts and the ends of windows.
    """
    low, high = batch.point_offsets[narrative], batch.point_offsets[narrative + 1]
    known = (right > low) & (right < high)
    left = np.where(known, right - 1, 0)
    right = np.where(known, right, 0)
    if not len(batch.t):
        return np.zeros(left.shape), known
    before, after = batch.t.take(left), batch.t.take(right)
    known &= ~batch.enters.take(right)
    known &= (before < time) & (time < after)
    gap = after - before
    paused = np.nonzero(known & (gap > round(config.max_gap * MICROSECONDS)))
    one, other = left[paused], right[paused]
    away = [(v[other] - v[one]).astype(np.float64) for v in (batch.x, batch.y)]
    known[paused] = away[0] ** 2 + away[1] ** 2 <= (config.rest_distance * GRID) ** 2
    return (time - before) / np.maximum(gap, 1), known


def _is_slow(batch: NarrativeBatch, config: TraceConfig) -> Bools:
    """Whether the net speed at each point is at most the travel speed, shape (P,).

    A **stroke** is a stretch of a segment without a pause longer than the configured half width. Net
    displacement is taken between the points k before and k after within the stroke, where k samples last
    about the half width at the rate the narrative was sampled while the pointer moved. A point alone in its
    stroke is at rest. Points of a stroke go by twos, which share the speed of the second: a half width is
    several samples long. (A search for the times themselves takes as long as all the rest of a box.)

    Args:
        batch: Narratives with P points.
        config: The time over which speed is taken, and the travel speed.
    """
    t, x, y = batch.t, batch.x, batch.y
    count = len(t)
    half = round(config.speed_half_width * MICROSECONDS)
    if not count:
        return np.zeros(0, np.bool_)
    breaks = t[1:] - t[:-1] > half
    breaks |= batch.enters[1:]
    bounds = np.concatenate([[0], np.flatnonzero(breaks) + 1, [count]])
    first, last = bounds[:-1], bounds[1:] - 1  # (S,)

    # Strokes never span two narratives. Steps within them, and the time these took, by narrative.
    of_narrative = first.searchsorted(batch.point_offsets)
    steps = segment_reduce(np.add, last - first, of_narrative, 0)
    time = segment_reduce(np.add, t[last] - t[first], of_narrative, 0)
    k = np.maximum(np.rint(half * steps / np.maximum(time, 1)), 1).astype(np.int64)
    k = np.minimum(k, count).repeat(sizes_of(of_narrative))  # (S,)

    # Pairs of points, as many of each stroke as `taken`; the last of a stroke may be a single point. Places
    # are int32 until they index: half the time.
    sizes = last - first + 1
    taken = (sizes + (_SPEED_STRIDE - 1)) // _SPEED_STRIDE
    offsets = offsets_of(taken)
    shift = first - offsets[:-1] * _SPEED_STRIDE
    begin, end, reach, pair = (v.astype(np.int32).repeat(taken) for v in (first, last, k, shift))
    pair += np.arange(0, _SPEED_STRIDE * len(pair), _SPEED_STRIDE, dtype=np.int32)
    at = pair + (_SPEED_STRIDE // 2)
    np.minimum(at, end, out=at)
    right = at + reach
    left = np.subtract(at, reach, out=at)
    right = np.minimum(right, end, out=right).astype(np.int64)
    left = np.maximum(left, begin, out=left).astype(np.int64)
    squared = _moved(x, left, right)
    squared *= squared
    along_y = _moved(y, left, right)
    along_y *= along_y
    squared += along_y
    limit = _moved(t, left, right)
    limit *= config.travel_speed * GRID / MICROSECONDS
    limit *= limit
    slow = squared <= limit
    # Pairs to points: few pairs differ from the one before.
    changes = np.flatnonzero(slow[1:] != slow[:-1]) + 1
    where = np.concatenate([[0], pair[changes], [count]])
    return slow.take(np.append(0, changes)).repeat(sizes_of(where))


def _moved(values: Grid | Ints, left: Ints, right: Ints) -> Floats:
    """How much values differ between places `left` and `right`, both of shape (M,); float64 (M,)."""
    change = values.take(right, mode="clip")
    change -= values.take(left, mode="clip")
    return change.astype(np.float64)


def find_components(points: WindowPoints, is_plural: Bools, config: TraceConfig) -> Components:
    """Splits the points of each window into the separate places the pointer dwelt on.

    Where too small a share of a window's points is slow, or none, all of them count as dwelling.

    Args:
        points: Points of F windows.
        is_plural: bool (F,), windows of plural phrases, whose places are joined less readily.
        config: Least share of slow points, longest pause, distances at which places are one.

    Returns:
        The components of each window.
    """
    runs = _find_runs(points, config)
    distance = np.where(is_plural, config.plural_merge_distance, config.merge_distance)
    label = _join_near(runs, distance)

    # Number components by window and first point: a component's label is its first run.
    first_runs = np.flatnonzero(label == np.arange(len(label)))
    number = np.empty(len(label), np.int64)
    number[first_runs] = np.arange(len(first_runs))
    number = number.take(label)

    # Time within runs counts, and between two in a row of one component if no edge lies between.
    dwell = np.zeros(len(first_runs), np.int64)
    last = runs.start + (runs.size - 1)
    came, left = points.t.take(runs.start), points.t.take(last)
    np.add.at(dwell, number, left - came)
    entered = points.enters.nonzero()[0].searchsorted
    again = np.flatnonzero(number[1:] == number[:-1])
    rests = entered(last.take(again), "right") == entered(runs.start.take(again + 1), "right")
    again = again[rests]
    np.add.at(dwell, number.take(again), came.take(again + 1) - left.take(again))
    return Components(runs, number, runs.window.take(first_runs), dwell)


def _find_runs(points: WindowPoints, config: TraceConfig) -> Runs:
    """Cuts the points of each window into runs and stretches of travel.

    A **piece** is either; it ends where the pointer paused, left the image, started or stopped to travel.
    """
    slow, count = points.slow, len(points.t)
    hard = np.ones(count + 1, np.bool_)  # a run ends here, whatever the speed
    np.greater(points.step[1:], round(config.max_gap * MICROSECONDS), out=hard[1:-1])
    hard[1:-1] |= points.enters[1:]
    hard[points.offsets] = True
    is_bound = hard.copy()
    is_bound[1:-1] |= slow[1:] != slow[:-1]
    bounds = np.flatnonzero(is_bound)
    number = np.empty(count + 1, np.int64)  # of a bound, by its place
    number[bounds] = np.arange(len(bounds))
    of_window = number[points.offsets]
    is_run = slow[bounds[:-1]]

    sizes = sizes_of(points.offsets)
    dwelt = sizes_of(_counted(np.where(is_run, sizes_of(bounds), 0))[of_window])
    rushed = (dwelt < config.min_slow_share * sizes) | (dwelt == 0)
    if rushed.any():
        in_rushed = rushed.repeat(sizes_of(of_window))
        kept = hard[bounds[:-1]] | ~in_rushed
        bounds, is_run = bounds[np.append(kept, True)], (is_run | in_rushed)[kept]
        of_window = _counted(kept)[of_window]
    window = np.arange(len(sizes)).repeat(sizes_of(_counted(is_run)[of_window]))
    extents = _extents_of(points, bounds)
    tight = np.empty((4, len(sizes)), np.int32)
    tight[:2] = segment_reduce(np.minimum, extents[:2], of_window, 0)
    tight[2:] = segment_reduce(np.maximum, extents[2:], of_window, 0)
    runs = is_run.nonzero()[0]
    start = bounds.take(runs)
    return Runs(start, bounds.take(runs + 1) - start, window, extents.take(runs, axis=1), tight)


def _extents_of(points: WindowPoints, bounds: Ints) -> Grid:
    """Smallest x and y, largest x and y of the points between each two bounds, int32 (4, len - 1)."""
    extents = np.empty((4, len(bounds) - 1), np.int32)
    if len(points.t):
        sides = (points.x, points.y)
        for row, values in zip(extents[:2], sides, strict=True):
            np.minimum.reduceat(values, bounds[:-1], out=row)
        for row, values in zip(extents[2:], sides, strict=True):
            np.maximum.reduceat(values, bounds[:-1], out=row)
    return extents


def _counted(values: Bools | Ints) -> Ints:
    """The sum of all values before each place, (len + 1,)."""
    counted = np.zeros(len(values) + 1, np.int64)
    values.cumsum(out=counted[1:])
    return counted


def _join_near(runs: Runs, distance: Floats) -> Ints:
    """Labels runs so that those of one window whose boxes nearly touch share the first one's number.

    Args:
        runs: R runs of F windows.
        distance: float64 (F,), most space between the boxes along either axis, by window.

    Returns:
        int64 (R,), the smallest run number each run is connected with.
    """
    window, count = runs.window, len(runs.window)
    label = np.arange(count)
    # Pairs of runs of a window; a window has a handful of them.
    later = np.bincount(window, minlength=len(distance)).cumsum()[window] - label - 1
    later = np.minimum(later, _MAX_NEIGHBOURS)
    a = label.repeat(later)
    b = ranges(label + 1, later)
    one, other = runs.extent.take(a, axis=1), runs.extent.take(b, axis=1)
    # Space between the two along x and y: from the end of the first to the start of the second.
    apart = np.maximum(one[:2], other[:2]) - np.minimum(one[2:], other[2:])
    most = np.rint(distance * GRID).astype(np.int64).take(window.take(a))
    near = np.maximum(*apart) <= most
    a, b = a[near], b[near]
    while len(a):
        one_label, other_label = label.take(a), label.take(b)
        if (one_label == other_label).all():
            break
        smallest = np.minimum(one_label, other_label)
        np.minimum.at(label, a, smallest)
        np.minimum.at(label, b, smallest)
        label = label[label]  # follow labels of labels, or a long chain would take as many rounds
    return label
