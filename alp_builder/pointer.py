"""Trace points of time windows: dwelling or travelling, and the separate places they fall into.

A pointer crosses the image fast and in a straight line, and scribbles over what it means. Speed is therefore
**net displacement** over a short time before and after a point, as in velocity-threshold identification of
eye fixations (I-VT; Salvucci and Goldberg, ETRA 2000): going back and forth over a thing counts as slow.

Within a window, consecutive dwelling points belong together unless a pause or the image's edge (a new trace
segment) comes between. The runs found so are joined into **components** where their boxes touch or nearly do,
because one scribbles on a thing, rests, and goes on: what is separate in time may be one place.

The pointer sends no event while it rests. A pause inside a segment is hence dwelling if it ends where it
began; it counts as dwell time of that component.

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
    Ints,
    group_of,
    offsets_of,
    ranges,
    segment_any,
    segment_reduce,
)
from alp_builder.config import TraceConfig
from alp_builder.narratives import MICROSECONDS, NarrativeBatch
from alp_builder.windows import time_keys

_MAX_COPIES = 32  # windows of a narrative hold its points at most this often; bounds their memory
_MAX_NEIGHBOURS = 64  # later runs a run is compared with; bounds the work a hostile trace can cause


@dataclass(frozen=True)
class WindowPoints:
    """Points of F windows, end to end and in order of time.

    Attributes:
        offsets: int64 (F + 1,), the points of each window.
        x: float64 (G,), fractions of the image's width.
        y: float64 (G,), fractions of the image's height.
        t: int64 (G,), microseconds.
        segment: int64 (G,), trace segment.
        slow: bool (G,), whether the pointer dwells there rather than travels.
    """

    offsets: Ints
    x: Floats
    y: Floats
    t: Ints
    segment: Ints
    slow: Bools


@dataclass(frozen=True)
class Runs:
    """Stretches of dwelling points that follow each other in one window with no pause nor edge between.

    Attributes:
        start: int64 (R,), first point, an index into the window points; increasing.
        size: int64 (R,), number of points.
        window: int64 (R,).
        extent: float64 (4, R), smallest x and y, largest x and y.
    """

    start: Ints
    size: Ints
    window: Ints
    extent: Floats


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
    keys = time_keys(group_of(batch.point_offsets), batch.t)
    first = np.searchsorted(keys, time_keys(narrative, start), "left")
    last = np.searchsorted(keys, time_keys(narrative, end), "right")
    last = np.maximum(last, first)
    held = np.zeros(len(batch), np.int64)
    np.add.at(held, narrative, last - first)
    broken = (held > _MAX_COPIES * np.diff(batch.point_offsets))[narrative]
    last = np.where(broken, first, last)
    weight_before, has_before = _interpolation(batch, narrative, first, start, config)
    weight_after, has_after = _interpolation(batch, narrative, last, end, config)
    has_after &= end > start  # a window of no length has one end, not two
    has_before &= ~broken
    has_after &= ~broken

    # Rows to gather: [interpolated start], the points inside, [interpolated end].
    sizes = last - first + has_before + has_after
    offsets = offsets_of(sizes)
    index = ranges(first - has_before, sizes)
    head, tail = offsets[:-1][has_before], offsets[1:][has_after] - 1
    index[tail] -= 1  # an interpolated point takes all but time and place from the point before it
    t, x, y = batch.t[index], batch.x[index], batch.y[index]
    t[head], t[tail] = start[has_before], end[has_after]
    for ends, share in ((head, weight_before[has_before]), (tail, weight_after[has_after])):
        left, right = index[ends], index[ends] + 1
        x[ends] += share * (batch.x[right] - batch.x[left])
        y[ends] += share * (batch.y[right] - batch.y[left])
    return WindowPoints(offsets, x, y, t, batch.segment[index], _is_slow(batch, config)[index])


def _interpolation(
    batch: NarrativeBatch, narrative: Ints, right: Ints, time: Ints, config: TraceConfig
) -> tuple[Floats, Bools]:
    """The trace at given times, between point `right - 1` and point `right`.

    Returns:
        Weight of the right point, and whether the trace is known there and no point lies at that very
        time; each of shape (F,).
    """
    low, high = batch.point_offsets[narrative], batch.point_offsets[narrative + 1]
    known = (right > low) & (right < high)
    left = np.where(known, right - 1, 0)
    right = np.where(known, right, 0)
    if not len(batch.t):
        return np.zeros(len(left)), known
    gap = batch.t[right] - batch.t[left]
    away = np.hypot(batch.x[right] - batch.x[left], batch.y[right] - batch.y[left])
    continuous = (gap <= round(config.max_gap * MICROSECONDS)) | (away <= config.rest_distance)
    known &= (batch.segment[left] == batch.segment[right]) & continuous
    known &= (batch.t[left] < time) & (time < batch.t[right])
    weight = (time - batch.t[left]) / np.maximum(gap, 1)
    return weight, known


def _is_slow(batch: NarrativeBatch, config: TraceConfig) -> Bools:
    """Whether the net speed at each point is at most the travel speed, shape (P,).

    A **stroke** is a stretch of a segment without a pause longer than the configured half width. Net
    displacement is taken between the points k before and k after within the stroke, where k samples last
    about the half width at the rate the narrative was sampled while the pointer moved. A point alone in its
    stroke is at rest. (A binary search for the times themselves takes as long as all the rest of a box.)

    Args:
        batch: Narratives with P points.
        config: The time over which speed is taken, and the travel speed.
    """
    t, x, y = batch.t, batch.x, batch.y
    count = len(t)
    half = round(config.speed_half_width * MICROSECONDS)
    breaks = (t[1:] - t[:-1] > half) | (batch.segment[1:] != batch.segment[:-1])
    bounds = np.concatenate([[0], np.flatnonzero(breaks) + 1, [count]]) if count else [0]
    first, last = np.asarray(bounds[:-1], np.int64), np.asarray(bounds[1:], np.int64) - 1  # (S,)

    # Strokes never span two narratives. Steps within them, and the time these took, by narrative.
    of_narrative = np.searchsorted(first, batch.point_offsets)
    steps = segment_reduce(np.add, last - first, of_narrative, 0)
    time = segment_reduce(np.add, t[last] - t[first], of_narrative, 0)
    k = np.maximum(np.rint(half * steps / np.maximum(time, 1)), 1).astype(np.int64)
    k = np.repeat(np.minimum(k, count), np.diff(of_narrative))  # (S,)

    # In place from here on: a pass over fresh memory costs several times one over warm memory.
    sizes = last - first + 1
    reach = np.repeat(k, sizes)
    left = np.arange(count)
    right = left + reach
    left -= reach
    np.maximum(left, np.repeat(first, sizes), out=left)
    np.minimum(right, np.repeat(last, sizes), out=right)
    squared, dy = x[right], y[right]
    squared -= x[left]
    squared *= squared
    dy -= y[left]
    dy *= dy
    squared += dy
    duration = t[right]
    duration -= t[left]
    limit = duration * (config.travel_speed / MICROSECONDS)
    limit *= limit
    slow: Bools = squared <= limit
    return slow


def find_components(points: WindowPoints, is_plural: Bools, config: TraceConfig) -> Components:
    """Splits the points of each window into the separate places the pointer dwelt on.

    Where no point of a window is slow, all of them count as dwelling: fast evidence beats none.

    Args:
        points: Points of F windows.
        is_plural: bool (F,), windows of plural phrases, whose places are joined less readily.
        config: Travel speed, longest pause, distances at which places are one.

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
    number = number[label]

    # Time within runs counts, and between two in a row of one component if no edge lies between.
    dwell = np.zeros(len(first_runs), np.int64)
    last = runs.start + (runs.size - 1)
    np.add.at(dwell, number, points.t[last] - points.t[runs.start])
    before, after = last[:-1], runs.start[1:]
    rests = (number[1:] == number[:-1]) & (points.segment[after] == points.segment[before])
    np.add.at(dwell, number[1:][rests], (points.t[after] - points.t[before])[rests])
    return Components(runs, number, runs.window[first_runs], dwell)


def _find_runs(points: WindowPoints, config: TraceConfig) -> Runs:
    """Cuts the dwelling points of each window where the pointer travelled, paused or left the image."""
    slow, count = points.slow, len(points.t)
    sizes = np.diff(points.offsets)
    all_fast = ~segment_any(slow, points.offsets)
    if all_fast.any():
        slow = slow | np.repeat(all_fast, sizes)
    # cut[i]: point i and the one before do not belong together; both ends are cut off too.
    cut = np.ones(count + 1, np.bool_)
    pause = points.t[1:] - points.t[:-1] > round(config.max_gap * MICROSECONDS)
    np.logical_or(pause, points.segment[1:] != points.segment[:-1], out=cut[1:-1])
    cut[1:-1] |= ~slow[:-1]
    cut[points.offsets] = True
    start = np.flatnonzero(slow & cut[:-1])
    cut[1:-1] |= ~slow[1:]
    end = np.flatnonzero(slow & cut[1:]) + 1
    window = np.repeat(np.arange(len(sizes)), np.diff(np.searchsorted(start, points.offsets)))
    extent = np.empty((4, len(start)))
    if len(start):
        # reduceat takes each index up to the next: every other one is a run.
        bounds = np.stack([start, end], 1).ravel()
        bounds = bounds[:-1] if end[-1] == count else bounds
        for side, (ufunc, values) in enumerate(
            (
                (np.minimum, points.x),
                (np.minimum, points.y),
                (np.maximum, points.x),
                (np.maximum, points.y),
            )
        ):
            extent[side] = ufunc.reduceat(values, bounds)[::2]
    return Runs(start, end - start, window, extent)


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
    later = np.cumsum(np.bincount(window, minlength=len(distance)))[window] - label - 1
    later = np.minimum(later, _MAX_NEIGHBOURS)
    a = np.repeat(label, later)
    b = ranges(label + 1, later)
    x0, y0, x1, y1 = runs.extent
    apart_x = np.maximum(x0[a], x0[b]) - np.minimum(x1[a], x1[b])
    apart_y = np.maximum(y0[a], y0[b]) - np.minimum(y1[a], y1[b])
    near = np.maximum(apart_x, apart_y) <= distance[window[a]]
    a, b = a[near], b[near]
    while len(a):
        smallest = np.minimum(label[a], label[b])
        if (label[a] == smallest).all() and (label[b] == smallest).all():
            break
        np.minimum.at(label, a, smallest)
        np.minimum.at(label, b, smallest)
        label = label[label]  # follow labels of labels, or a long chain would take as many rounds
    return label
