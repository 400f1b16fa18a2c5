"""Where a narrator's pointer is: visits to things in order of time, turned into recorded trace points.

    visits  --(clock noise, order)-->  dwells  --(scribble)-->  knots  --(ticks)-->  points

A **visit** says: be on this region during this window of words. Its dwell is the window shifted by the
speaker's lead and clock error. On a region the pointer either **scribbles** (knots on cells of the mask,
drawn towards one of them so that only a share of the thing is covered) or **circles** it. Between dwells
it travels, faster than on things, or rests (a resting pointer makes no events), wanders, or leaves the
image; what lies outside the recorded band is lost, and a new segment starts when it comes back. Knots are
joined by cubic Hermite curves and sampled at the recorder's tick.

Everything is flat over a batch of narratives: M visits, N knots, K points. Lengths are image sides, times
seconds; x goes right and y down from the top left corner. Each narrative draws from its own generator,
so a narrative does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alp_builder.simulate.noise import NoiseProfile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ON, WANDER, LEAVE = 0, 1, 2
"""Kinds of visits: on a region, anywhere, and out of the image."""

CIRCLE_KNOTS = 8
"""Knots of one turn round a thing."""

MIN_KNOT_SECONDS = 0.07
"""A hand does not turn faster."""

MIN_DWELL = 0.12
"""Least time on a region, in seconds."""

STILL_SPEED = 0.12
"""Below this speed (image sides per second) a pixel is not crossed at every tick and events thin out."""

OUT = 0.14
"""How far out of the image a leaving pointer goes."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions that can be pointed at; R regions, C cells in all.

    Attributes:
        center: Centre of the box, `(R, 2)`.
        half: Half sides of the box, `(R, 2)`.
        cells: Cell centres of all regions, `(C, 2)`.
        offset: First cell of each region, `(R,)`.
        count: Cells of each region, `(R,)`.
    """

    center: Floats
    half: Floats
    cells: Floats
    offset: Ints
    count: Ints


@dataclass(frozen=True, slots=True)
class Visits:
    """M visits, sorted by narrative and start.

    Attributes:
        narrative: Narrative of the batch, `(M,)`.
        kind: `ON`, `WANDER` or `LEAVE`, `(M,)`.
        region: Region for `ON`, 0 otherwise, `(M,)`.
        start: Start of the window in seconds, `(M,)`.
        end: End of the window in seconds, `(M,)`.
    """

    narrative: Ints
    kind: Ints
    region: Ints
    start: Floats
    end: Floats


@dataclass(frozen=True, slots=True)
class Points:
    """K recorded points.

    Attributes:
        narrative: Narrative of the batch, `(K,)`, sorted.
        xyt: x, y in image sides and t in seconds, `(K, 3)`, t sorted within a narrative.
        opens: Whether a point opens a segment, `(K,)`.
    """

    narrative: Ints
    xyt: Floats
    opens: NDArray[np.bool_]


def draw_points(
    visits: Visits, regions: Regions, profile: NoiseProfile, rngs: list[np.random.Generator]
) -> Points:
    """Move the pointer.

    Args:
        visits: Where to be when.
        regions: The regions visited.
        profile: How exactly.
        rngs: One generator for each narrative of the batch.
    """
    start, end = _dwells(visits, profile, rngs)
    knots = _scribble(visits, regions, start, end, profile, rngs)
    return _sample(*knots, profile, rngs)


def _per_narrative(
    rngs: list[np.random.Generator],
    counts: Ints,
    draw: Callable[[np.random.Generator, int], Floats],
) -> Floats:
    return np.concatenate([draw(rng, n) for rng, n in zip(rngs, counts.tolist(), strict=True)])


def _dwells(
    visits: Visits, profile: NoiseProfile, rngs: list[np.random.Generator]
) -> tuple[Floats, Floats]:
    """Start and end of each dwell, `(M,)`, in order and apart."""
    narrative, size = visits.narrative, len(rngs)
    counts = np.bincount(narrative, minlength=size)
    normal = _per_narrative(rngs, counts + 1, lambda rng, n: rng.standard_normal(n))
    head = np.cumsum(counts + 1) - (counts + 1)
    lead = profile.lead_mean + profile.lead_spread * normal[head]
    error = profile.clock_error * np.delete(normal, head)
    shift = error - lead[narrative]
    # The order of the visits is kept: far apart narratives make one cumulative maximum do for all.
    far = 1e5 * narrative
    start = np.maximum.accumulate(np.maximum(visits.start + shift, 0.0) + far) - far
    lag = MIN_DWELL * (np.arange(len(start)) - (np.cumsum(counts) - counts)[narrative])
    start = np.maximum.accumulate(start - lag + far) - far + lag
    end = np.maximum(visits.end + shift, start + MIN_DWELL)
    same = narrative[1:] == narrative[:-1]
    end[:-1] = np.where(same, np.minimum(end[:-1], start[1:]), end[:-1])
    return start, end


def _scribble(
    visits: Visits,
    regions: Regions,
    start: Floats,
    end: Floats,
    profile: NoiseProfile,
    rngs: list[np.random.Generator],
) -> tuple[Ints, Floats, Floats, NDArray[np.bool_]]:
    """Knots: narrative `(N,)`, time `(N,)`, place `(N, 2)`, whether a knot is the last of its dwell."""
    narrative, size = visits.narrative, len(rngs)
    counts = np.bincount(narrative, minlength=size)
    u = _per_narrative(rngs, counts, lambda rng, n: rng.random((n, 10)))
    z = _per_narrative(rngs, counts, lambda rng, n: rng.standard_normal((n, 3)))
    cover = _cover(profile, counts, rngs)
    center, half = regions.center[visits.region], regions.half[visits.region]
    circle = u[:, 0] < profile.outline_rate
    circle &= visits.kind == ON
    anchor = _pick_cells(regions, visits.region, u[:, 1])
    ring = center + (1 - cover)[:, None] * half * (2 * u[:, 2:4] - 1)
    away = visits.kind == WANDER
    anchor[away], ring[away] = u[away, 2:4], u[away, 2:4]
    out = visits.kind == LEAVE
    anchor[out] = _outside(u[out])
    shift = _misses(center, half, ring, u, z, profile)
    shift[away | out] = 0.0
    # A dwell ends early enough to travel to the next one.
    place = np.where(circle[:, None], ring, anchor) + shift
    same = narrative[1:] == narrative[:-1]
    leap = np.hypot(*(place[1:] - place[:-1]).T)
    travel = np.minimum(leap / profile.travel_speed, 0.5 * (start[1:] - start[:-1]))
    end = end.copy()
    end[:-1] = np.where(same, np.minimum(end[:-1], start[1:] - travel), end[:-1])
    dwell = np.maximum(end - start, 0.5 * MIN_DWELL)
    # Knots so many that the speed on the thing comes out as drawn.
    speed = profile.scribble_speed * np.exp(profile.scribble_spread * z[:, 2])
    extent = np.where(away[:, None], 0.08, half * cover[:, None]).sum(1)
    step = np.maximum(np.where(circle, 2 * np.pi / CIRCLE_KNOTS / 2, 0.8) * extent, 0.008)
    n = np.clip(dwell * speed / step, np.where(circle, CIRCLE_KNOTS + 1, 2), 80)
    n = np.minimum(n, np.maximum(dwell / MIN_KNOT_SECONDS, np.where(circle, CIRCLE_KNOTS + 1, 2)))
    n = np.where(out, 2, np.ceil(n)).astype(np.int64)
    of = np.repeat(np.arange(len(n)), n)
    turn = np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n)
    last = turn == n[of] - 1
    knots = np.bincount(narrative[of], minlength=size)
    ku = _per_narrative(rngs, knots, lambda rng, k: rng.random((k, 3)))
    kz = _per_narrative(rngs, knots, lambda rng, k: rng.standard_normal((k, 2)))
    share = np.where(turn == 0, 0.0, turn + 0.5 * (ku[:, 0] - 0.5) * ~last) / (n[of] - 1)
    time = start[of] + dwell[of] * share
    cells = _pick_cells(regions, visits.region[of], ku[:, 1])
    cells[away[of]] = anchor[of][away[of]] + 0.08 * kz[away[of]]
    spread = np.where(out, 0.05, np.where(away, 1.0, cover))[of, None]
    scribbled = anchor[of] + spread * (np.where(out[of, None], anchor[of] + kz, cells) - anchor[of])
    angle = 2 * np.pi * (u[of, 4] + np.where(u[of, 5] < 0.5, 1, -1) * turn / CIRCLE_KNOTS)
    wobble = 1 - 0.25 * ku[:, 1] * (1 - cover[of])
    circled = ring[of] + (wobble * cover[of])[:, None] * half[of] * np.stack(
        [np.cos(angle), np.sin(angle)], axis=1
    )
    xy = np.where(circle[of, None], circled, scribbled) + shift[of]
    xy += np.where((ku[:, 2] < profile.stray_rate)[:, None], profile.stray_reach * kz, 0.0)
    return narrative[of], time, xy, last


def _cover(profile: NoiseProfile, counts: Ints, rngs: list[np.random.Generator]) -> Floats:
    """Share of the box's sides a visit covers, `(M,)`."""
    if profile.cover_concentration <= 0:
        return np.full(int(counts.sum()), profile.cover_mean)
    alpha = profile.cover_mean * profile.cover_concentration
    beta = profile.cover_concentration - alpha
    return _per_narrative(rngs, counts, lambda rng, n: rng.beta(alpha, beta, n))


def _pick_cells(regions: Regions, region: Ints, u: Floats) -> Floats:
    """A cell of each region, `(len(region), 2)`."""
    index = regions.offset[region] + (u * regions.count[region]).astype(np.int64)
    return regions.cells[index].copy()


def _outside(u: Floats) -> Floats:
    """Places outside the image, `(len(u), 2)`."""
    along = u[:, 2]
    beyond = np.where(u[:, 3] < 0.5, -OUT, 1 + OUT)
    upright = u[:, 6] < 0.5
    return np.stack([np.where(upright, along, beyond), np.where(upright, beyond, along)], axis=1)


def _misses(
    center: Floats, half: Floats, ring: Floats, u: Floats, z: Floats, profile: NoiseProfile
) -> Floats:
    """Displacement of each visit, `(M, 2)`: aim error, or right beside the box."""
    shift = profile.aim_error * half * z[:, :2]
    miss = u[:, 6] < profile.miss_rate
    angle = 2 * np.pi * u[:, 7]
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    reach = -profile.miss_reach * np.log1p(-u[:, 8])
    beside = center + direction * (half * 1.3 + reach[:, None])
    beside = np.clip(beside, 0.02, 0.98)
    return np.where(miss[:, None], beside - ring, shift)


def _sample(
    narrative: Ints,
    time: Floats,
    xy: Floats,
    last: NDArray[np.bool_],
    profile: NoiseProfile,
    rngs: list[np.random.Generator],
) -> Points:
    """Points at the recorder's ticks along the curve through the knots."""
    left = np.flatnonzero(narrative[1:] == narrative[:-1])
    right = left + 1
    gap = time[right] - time[left]
    leap = np.hypot(*(xy[right] - xy[left]).T)
    # Between dwells the pointer rests first and travels last.
    move = np.where(last[left], np.minimum(gap, leap / profile.travel_speed + profile.tick), gap)
    depart = time[right] - move
    ticks = np.ceil(move / profile.tick).astype(np.int64)
    velocity = _velocities(narrative, time, xy, last)
    of = np.repeat(np.arange(len(left)), ticks)
    turn = np.arange(len(of)) - np.repeat(np.cumsum(ticks) - ticks, ticks)
    owner = narrative[left][of]
    counts = np.bincount(owner, minlength=len(rngs))
    u = _per_narrative(rngs, counts, lambda rng, n: rng.random((n, 2)))
    s = (turn + 0.3 + 0.4 * u[:, 0]) / ticks[of]
    t = depart[of] + s * move[of]
    a, b = left[of], right[of]
    s2, s3 = s * s, s * s * s
    curve = (
        (2 * s3 - 3 * s2 + 1)[:, None] * xy[a]
        + ((s3 - 2 * s2 + s) * move[of])[:, None] * velocity[a]
        + (3 * s2 - 2 * s3)[:, None] * xy[b]
        + ((s3 - s2) * move[of])[:, None] * velocity[b]
    )
    pace = (leap / np.maximum(move, 1e-6))[of]
    keep = u[:, 1] > np.maximum(profile.drop_rate, 1 - pace / STILL_SPEED)
    inside = (curve > -profile.band).all(1) & (curve < 1 + profile.band).all(1)
    keep &= inside
    # A point opens a segment if the pointer was outside since the last kept one.
    outside = np.cumsum(~inside)[keep]
    owner = owner[keep]
    xyt = np.column_stack([np.round(curve[keep], 4), np.round(t[keep], 3)])
    opens = np.ones(len(owner), dtype=bool)
    opens[1:] = (owner[1:] != owner[:-1]) | (outside[1:] != outside[:-1])
    return Points(owner, xyt, opens)


def _velocities(narrative: Ints, time: Floats, xy: Floats, last: NDArray[np.bool_]) -> Floats:
    """Tangents at the knots, `(N, 2)`: central differences on a dwell, none at its ends."""
    velocity = np.zeros_like(xy)
    span = np.maximum(time[2:] - time[:-2], 1e-3)
    velocity[1:-1] = (xy[2:] - xy[:-2]) / span[:, None]
    ends = last.copy()
    ends[1:] |= last[:-1]
    ends[0] = True
    velocity[ends] = 0.0
    return velocity
