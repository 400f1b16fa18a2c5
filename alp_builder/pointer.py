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
where phrases share words), K components of all windows.
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
class Components:
    """Which component each point of F windows belongs to.

    Attributes:
        component: int64 (G,), number of the component, or -1 for a travelling point. Numbers increase
            with the window, and within a window with the time of the component's first point.
        window: int64 (K,), the window of each component.
        dwell: int64 (K,), time dwelt there, microseconds.
    """

    component: Ints
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
        The points of each window.
    """
    keys = time_keys(group_of(batch.point_offsets), batch.t)
    first = np.searchsorted(keys, time_keys(narrative, start), "left")
    last = np.searchsorted(keys, time_keys(narrative, end), "right")
    last = np.maximum(last, first)
    before, weight_before, has_before = _interpolation(batch, narrative, first, start, config)
    after, weight_after, has_after = _interpolation(batch, narrative, last, end, config)
    has_after &= end > start  # a window of no length has one end, not two

    # Rows to gather: [interpolated start], the points inside, [interpolated end].
    inside = last - first
    sizes = inside + has_before + has_after
    offsets = offsets_of(sizes)
    index = ranges(first - has_before, sizes)
    weight = np.zeros(len(index), np.float64)
    head, tail = offsets[:-1][has_before], offsets[1:][has_after] - 1
    index[head], weight[head] = before[has_before], weight_before[has_before]
    index[tail], weight[tail] = after[has_after], weight_after[has_after]
    t, x, y = batch.t[index], batch.x[index], batch.y[index]
    t[head], t[tail] = start[has_before], end[has_after]
    for ends in (head, tail):
        left, right, share = index[ends], index[ends] + 1, weight[ends]
        x[ends] += share * (batch.x[right] - batch.x[left])
        y[ends] += share * (batch.y[right] - batch.y[left])
    return WindowPoints(offsets, x, y, t, batch.segment[index], _is_slow(batch, config)[index])


def _interpolation(
    batch: NarrativeBatch, narrative: Ints, right: Ints, time: Ints, config: TraceConfig
) -> tuple[Ints, Floats, Bools]:
    """The trace at given times, between point `right - 1` and point `right`.

    Returns:
        Index of the left point, weight of the right one, and whether the trace is known there and no
        point lies at that very time; each of shape (F,).
    """
    low, high = batch.point_offsets[narrative], batch.point_offsets[narrative + 1]
    known = (right > low) & (right < high)
    left = np.where(known, right - 1, 0)
    right = np.where(known, right, 0)
    if not len(batch.t):
        return left, np.zeros(len(left)), known
    gap = batch.t[right] - batch.t[left]
    away = np.hypot(batch.x[right] - batch.x[left], batch.y[right] - batch.y[left])
    continuous = (gap <= round(config.max_gap * MICROSECONDS)) | (away <= config.rest_distance)
    known &= (batch.segment[left] == batch.segment[right]) & continuous
    known &= (batch.t[left] < time) & (time < batch.t[right])
    weight = (time - batch.t[left]) / np.maximum(gap, 1)
    return left, np.where(known, weight, 0.0), known


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
    count = len(batch.t)
    half = round(config.speed_half_width * MICROSECONDS)
    steps = np.zeros(count, np.int64)
    steps[1:] = batch.t[1:] - batch.t[:-1]
    moving = np.zeros(count, np.bool_)
    moving[1:] = (steps[1:] <= half) & (batch.segment[1:] == batch.segment[:-1])
    samples = segment_reduce(np.add, moving.astype(np.int64), batch.point_offsets, 0)
    time = segment_reduce(np.add, steps * moving, batch.point_offsets, 0)
    k = np.maximum(np.rint(half * samples / np.maximum(time, 1)), 1).astype(np.int64)
    k = np.repeat(np.minimum(k, count), np.diff(batch.point_offsets))
    starts = np.flatnonzero(~moving)
    sizes = np.diff(starts, append=count)
    here = np.arange(count)
    left = np.maximum(here - k, np.repeat(starts, sizes))
    right = np.minimum(here + k, np.repeat(starts + (sizes - 1), sizes))
    dx, dy = batch.x[right] - batch.x[left], batch.y[right] - batch.y[left]
    reach = (batch.t[right] - batch.t[left]) * (config.travel_speed / MICROSECONDS)
    slow: Bools = dx * dx + dy * dy <= reach * reach
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
    window = group_of(points.offsets)
    kept = np.flatnonzero(points.slow | ~segment_any(points.slow, points.offsets)[window])
    x, y, t, owner = points.x[kept], points.y[kept], points.t[kept], window[kept]

    # Runs: slow points that follow each other with neither travel, pause nor edge between.
    same = np.zeros(len(kept), np.bool_)
    if len(kept):
        pause = np.diff(t) > round(config.max_gap * MICROSECONDS)
        edge = np.diff(points.segment[kept]) != 0
        same[1:] = (np.diff(kept) == 1) & (np.diff(owner) == 0) & ~pause & ~edge
    run = np.cumsum(~same) - 1
    distance = np.where(is_plural, config.plural_merge_distance, config.merge_distance)
    label = _join_near(x, y, run, owner, distance)

    # Number components by window and first point: a component's label is its first run.
    is_first = label == np.arange(len(label))
    number = (np.cumsum(is_first) - 1)[label][run]
    component = np.full(len(window), -1, np.int64)
    component[kept] = number
    count = int(is_first.sum())
    window_of = np.zeros(count, np.int64)
    window_of[number] = owner

    # Time between two points counts where both belong to one component and no edge lies between.
    rests = (np.diff(number) == 0) & (np.diff(points.segment[kept]) == 0) & (np.diff(owner) == 0)
    dwell = np.zeros(count, np.int64)
    np.add.at(dwell, number[1:][rests], np.diff(t)[rests])
    return Components(component, window_of, dwell)


def _join_near(x: Floats, y: Floats, run: Ints, owner: Ints, distance: Floats) -> Ints:
    """Labels runs so that those of one window whose boxes nearly touch share the first one's number.

    Args:
        x: float64 (S,) of the slow points.
        y: float64 (S,).
        run: int64 (S,), run of each point, increasing from 0.
        owner: int64 (S,), window of each point.
        distance: float64 (F,), most space between the boxes along either axis, by window.

    Returns:
        int64 (R,), the smallest run number each run is connected with.
    """
    if not len(run):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    x0, x1 = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
    y0, y1 = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    window = owner[starts]
    label = np.arange(len(starts))
    # Pairs of runs of a window; a window has a handful of them.
    later = np.cumsum(np.bincount(window))[window] - np.arange(len(starts)) - 1
    later = np.minimum(later, _MAX_NEIGHBOURS)
    a = np.repeat(np.arange(len(starts)), later)
    b = ranges(np.arange(len(starts)) + 1, later)
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
