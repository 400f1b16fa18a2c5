"""Where a narrator's pointer is: visits to things in order of time, turned into trace points.

    visits  --(clock noise, order)-->  dwells  --(scribble)-->  knots  --(ticks)-->  points

A **visit** says: be on this region during this window of words. Its dwell is the window shifted by
the speaker's lead and clock error. On a region the pointer either **scribbles** (knots on cells of
the mask, drawn towards one of them so that only a share of the thing is covered) or **circles** it.
Between dwells it travels, faster than on things, or rests (a resting pointer makes no events),
wanders, or leaves the image; what lies outside the recorded band is lost, and a new segment starts
when it comes back. Knots are joined by cubic Hermite curves and sampled at the recorder's tick.

Everything is flat over a batch of narratives: M visits, N knots, K points. Lengths are image sides,
times seconds; x goes right and y down from the top left corner. Each narrative draws from its own
generator, so a narrative does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.regions import Regions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ON, WANDER, LEAVE = 0, 1, 2
"""Kinds of visits: on a region, anywhere, and out of the image."""

CIRCLE_KNOTS = 8
"""Knots of one turn round a thing."""

CIRCLE_REACH = 0.98
"""Radius of a circle that fills its box: the curve between the knots bulges a little."""

MIN_KNOT_SECONDS = 0.07
"""A hand does not turn faster."""

MIN_DWELL = 0.12
"""Least time on a region, in seconds."""

STILL_SPEED = 0.12
"""Below this speed (image sides per second) a tick may cross no pixel, and events thin out."""

MIN_STEP, SCRIBBLE_STEP, MAX_KNOTS = 0.008, 0.8, 80
"""Least way between knots, its usual share of the covered extent, and most knots of a visit."""

WANDER_HALF = 0.05
"""Half side of the place a wandering pointer stays in."""

OUT = 0.14
"""How far out of the image a leaving pointer goes."""


@dataclass(frozen=True, slots=True)
class Visits:
    """M visits, sorted by narrative and start.

    Attributes:
        narrative: Narrative of the batch, `(M,)`.
        kind: `ON`, `WANDER` or `LEAVE`, `(M,)`.
        region: Region for `ON`, 0 otherwise, `(M,)`.
        start: Start of the window in seconds, `(M,)`.
        end: End of the window in seconds, `(M,)`.
        lift: Whether the way there leaves no points and opens a segment, `(M,)`.
        frame: Box round all that the phrase means, xyxy, `(M, 4)`; a miss lies beside it.
    """

    narrative: Ints
    kind: Ints
    region: Ints
    start: Floats
    end: Floats
    lift: Bools
    frame: Floats


@dataclass(frozen=True, slots=True)
class _Plan:
    """How each of the M visits is carried out.

    Attributes:
        start: Arrival, `(M,)`.
        dwell: Seconds there, `(M,)`.
        approach: Seconds the way there takes, `(M,)`.
        circle: Whether the pointer circles instead of scribbling, `(M,)`.
        origin: Centre of the circle or the cell the scribble is drawn towards, `(M, 2)`.
        cover: Share of the region's sides that is covered, `(M, 2)`.
        half: Half sides of the region, `(M, 2)`.
        shift: Displacement of everything, `(M, 2)`.
        turn: First angle and sense of rotation of a circle, `(M, 2)`.
        knots: Number of knots, `(M,)`.
    """

    start: Floats
    dwell: Floats
    approach: Floats
    circle: Bools
    origin: Floats
    cover: Floats
    half: Floats
    shift: Floats
    turn: Floats
    knots: Ints


@dataclass(frozen=True, slots=True)
class _Knots:
    """N knots; `approach` and `lift` count for the first knot of a visit only."""

    narrative: Ints
    time: Floats
    xy: Floats
    first: Bools
    approach: Floats
    lift: Bools


@dataclass(frozen=True, slots=True)
class Points:
    """K recorded points.

    Attributes:
        narrative: Narrative of the batch, `(K,)`, sorted.
        xyt: x, y in image sides and t in seconds, `(3, K)`, t sorted within a narrative.
        opens: Whether a point opens a segment, `(K,)`.
    """

    narrative: Ints
    xyt: Floats
    opens: Bools


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
    plan = _plan(visits, regions, start, end, profile, rngs)
    return _sample(_knots(visits, regions, plan, profile, rngs), profile, rngs)


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
    draws = _per_narrative(rngs, counts + 1, lambda rng, n: rng.standard_normal((n, 2)))
    head = np.cumsum(counts + 1) - (counts + 1)
    lead = profile.lead_mean + profile.lead_spread * draws[head, 0]
    own = np.delete(draws, head, axis=0)
    shift = profile.clock_error * own[:, 0] - lead[narrative]
    # The order of the visits is kept: far apart narratives make one cumulative maximum do for all.
    far = 1e5 * narrative
    rank = np.arange(len(far)) - (np.cumsum(counts) - counts)[narrative]
    start = np.maximum(visits.start + shift, 0.0) - MIN_DWELL * rank + far
    start = np.maximum.accumulate(start) - far + MIN_DWELL * rank
    end = np.maximum(visits.end + shift, start + MIN_DWELL)
    if profile.dwell_median > 0:
        stay = profile.dwell_median * np.exp(profile.dwell_spread * own[:, 1])
        end = np.minimum(end, start + np.maximum(stay, MIN_DWELL))
    return start, end


def _plan(
    visits: Visits,
    regions: Regions,
    start: Floats,
    end: Floats,
    profile: NoiseProfile,
    rngs: list[np.random.Generator],
) -> _Plan:
    """Decide where on its region each visit goes, how it moves there, and when it leaves."""
    counts = np.bincount(visits.narrative, minlength=len(rngs))
    u = _per_narrative(rngs, counts, lambda rng, n: rng.random((n, 10)))
    z = _per_narrative(rngs, counts, lambda rng, n: rng.standard_normal((n, 4)))
    away, out = visits.kind == WANDER, visits.kind == LEAVE
    cover = np.where(away[:, None], 1.0, _cover(profile, counts, rngs))
    cover[out] = 0.0
    center, half = regions.center[visits.region], regions.half[visits.region]
    half[away | out] = WANDER_HALF
    center[away], center[out] = u[away, 2:4], _outside(u[out])
    circle = (u[:, 0] < profile.outline_rate) & (visits.kind == ON)
    miss, beside, size = _misses(visits, half, u, profile)
    shift = profile.aim_error * half * z[:, :2]
    half = np.where(miss[:, None], size, half)
    center = np.where(miss[:, None], beside, center)
    circle |= miss
    ring = center + (1 - cover) * half * (2 * u[:, 2:4] - 1)
    origin = np.where(circle[:, None], ring, _pick_cells(regions, visits.region, u[:, 1]))
    origin[away | out] = center[away | out]
    shift[away | out | miss] = 0.0
    # A dwell ends early enough to travel to the next one.
    approach, last = np.zeros(len(start)), np.full(len(start), np.inf)
    place = origin + shift
    leap = np.hypot(*(place[1:] - place[:-1]).T)
    pace = profile.travel_speed * np.exp(profile.travel_spread * z[1:, 3])
    approach[1:] = np.minimum(leap / pace + profile.tick, 0.6 * np.abs(start[1:] - start[:-1]))
    approach[visits.lift] = 0.0
    same = visits.narrative[1:] == visits.narrative[:-1]
    last[:-1] = np.where(same, start[1:] - approach[1:], np.inf)
    dwell = np.maximum(np.minimum(end, last) - start, MIN_DWELL / 3)
    # Knots so many that the speed on the thing comes out as drawn.
    speed = profile.scribble_speed * np.exp(profile.scribble_spread * z[:, 2])
    extent = (cover * half).sum(1)
    step = np.maximum(np.where(circle, np.pi / CIRCLE_KNOTS, SCRIBBLE_STEP) * extent, MIN_STEP)
    least = np.where(circle, CIRCLE_KNOTS + 1, 2)
    knots = np.clip(np.minimum(dwell * speed / step, dwell / MIN_KNOT_SECONDS), least, MAX_KNOTS)
    sense = np.where(u[:, 5] < 0.5, 1.0, -1.0)
    turn = np.stack([2 * np.pi * u[:, 4], sense * 2 * np.pi / CIRCLE_KNOTS], axis=1)
    count = np.where(out, 2, np.ceil(knots)).astype(np.int64)
    return _Plan(start, dwell, approach, circle, origin, cover, half, shift, turn, count)


def _knots(
    visits: Visits,
    regions: Regions,
    plan: _Plan,
    profile: NoiseProfile,
    rngs: list[np.random.Generator],
) -> _Knots:
    """Places on the regions, in order of time."""
    n = plan.knots
    of = np.repeat(np.arange(len(n)), n)
    rank = np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n)
    narrative = visits.narrative[of]
    counts = np.bincount(narrative, minlength=len(rngs))
    u = _per_narrative(rngs, counts, lambda rng, k: rng.random((k, 3)))
    inner = (rank > 0) & (rank < n[of] - 1)
    share = (rank + 0.6 * (u[:, 0] - 0.5) * inner) / (n[of] - 1)
    cells = _pick_cells(regions, visits.region[of], u[:, 1])
    free = np.flatnonzero(visits.kind[of] != ON)
    cells[free] = plan.origin[of[free]] + WANDER_HALF * (2 * u[free, :2] - 1)
    angle = plan.turn[of, 0] + plan.turn[of, 1] * rank
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ray = np.sign(ray) * np.abs(ray) ** profile.roundness * plan.half[of]
    ray *= CIRCLE_REACH * (1 - 0.25 * u[:, 1:2] * (1 - plan.cover[of]))
    reach = np.where(plan.circle[of, None], ray, cells - plan.origin[of])
    xy = (plan.origin + plan.shift)[of] + plan.cover[of] * reach
    if profile.stray_rate > 0:
        astray = np.flatnonzero(u[:, 2] < profile.stray_rate)
        direction = 2 * np.pi * u[astray, 2] / profile.stray_rate
        far = profile.stray_reach * (0.5 + u[astray, 0])
        xy[astray] += np.stack([far * np.cos(direction), far * np.sin(direction)], axis=1)
    time = plan.start[of] + plan.dwell[of] * share
    return _Knots(narrative, time, xy, rank == 0, plan.approach[of], visits.lift[of])


def _cover(profile: NoiseProfile, counts: Ints, rngs: list[np.random.Generator]) -> Floats:
    """Share of each of the box's sides a visit covers, `(M, 2)`."""
    if profile.cover_concentration <= 0:
        return np.full((int(counts.sum()), 2), profile.cover_mean)
    alpha = profile.cover_mean * profile.cover_concentration
    beta = profile.cover_concentration - alpha
    cover = _per_narrative(rngs, counts, lambda rng, n: rng.beta(alpha, beta, n))
    if profile.cover_stretch <= 0:
        return np.stack([cover, cover], axis=1)
    drawn = _per_narrative(rngs, counts, lambda rng, n: rng.standard_normal(n))
    stretch = np.exp(profile.cover_stretch / 2 * drawn)
    return np.minimum(np.stack([cover * stretch, cover / stretch], axis=1), 1.0)


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
    visits: Visits, half: Floats, u: Floats, profile: NoiseProfile
) -> tuple[Bools, Floats, Floats]:
    """Which visits miss, `(M,)`, and centre and half sides of the place hit instead, `(M, 2)`.

    A miss lies beside the box round all things of the phrase, on a side drawn by the room there.
    """
    low, high = visits.frame[:, :2], visits.frame[:, 2:]
    room = np.clip(np.concatenate([low, 1 - high], axis=1), 1e-3, None)  # left, top, right, bottom
    pick = u[:, 7] * room.sum(1)
    side = (np.cumsum(room, axis=1)[:, :3] < pick[:, None]).sum(1)
    axis, row = side % 2, np.arange(len(side))
    free = room[row, side]
    # The place hit is as large as there is room for.
    size = np.minimum(half, 0.4 * free[:, None])
    gap = np.minimum(-profile.miss_reach * np.log1p(-u[:, 8]), free - 2 * size[row, axis])
    edge = np.where(side < 2, low[row, axis], high[row, axis])
    place = low + (high - low) * u[:, 2:4]
    place[row, axis] = edge + np.where(side < 2, -1, 1) * (size[row, axis] + gap)
    return (u[:, 6] < profile.miss_rate) & (visits.kind == ON), place, size


def _sample(knots: _Knots, profile: NoiseProfile, rngs: list[np.random.Generator]) -> Points:
    """Points at the recorder's ticks along the curve through the knots."""
    time, xy = knots.time, knots.xy
    left = np.flatnonzero(knots.narrative[1:] == knots.narrative[:-1])
    right = left + 1
    gap, leap = time[right] - time[left], np.hypot(*(xy[right] - xy[left]).T)
    # Between dwells the pointer rests first and travels last.
    arrives = knots.first[right]
    lifted = arrives & knots.lift[right]
    move = np.where(arrives, np.minimum(gap, knots.approach[right]), gap)
    ticks = np.where(lifted, 0, np.ceil(move / profile.tick)).astype(np.int64)
    of = np.repeat(np.arange(len(left)), ticks)
    rank = np.arange(len(of)) - np.repeat(np.cumsum(ticks) - ticks, ticks)
    owner = knots.narrative[left][of]
    counts = np.bincount(owner, minlength=len(rngs))
    u = _per_narrative(rngs, counts, lambda rng, n: rng.random((n, 2)))
    s = (rank + 0.3 + 0.4 * u[:, 0]) / ticks[of]
    # Points outside the band are lost, some others too, and a slow pointer makes fewer events.
    pace = leap / np.maximum(move, 1e-6)
    lost = np.maximum(profile.drop_rate, 1 - pace / STILL_SPEED)
    x, y = _hermite(knots, left, move, ticks, s)
    reach = 0.5 + profile.band
    inside = (np.abs(x - 0.5) < reach) & (np.abs(y - 0.5) < reach)
    keep = np.flatnonzero(inside & (u[:, 1] > lost[of]))
    # A point opens a segment if the pointer was outside or lifted since the last kept one.
    cuts = (np.cumsum(~inside) + np.cumsum(lifted)[of])[keep]
    owner = owner[keep]
    t = (time[right] - move)[of[keep]] + s[keep] * move[of[keep]]
    xyt = np.stack([x[keep], y[keep], t])
    opens = np.ones(len(owner), dtype=bool)
    opens[1:] = (owner[1:] != owner[:-1]) | (cuts[1:] != cuts[:-1])
    return Points(owner, xyt, opens)


def _hermite(
    knots: _Knots, left: Ints, move: Floats, ticks: Ints, s: Floats
) -> tuple[Floats, Floats]:
    """Cubic Hermite curves between knots `left` and `left + 1`, x and y, each `(K,)`.

    Tangents are central differences on a dwell and zero at its ends.

    Args:
        knots: The knots.
        left: Knot each piece starts from, `(L,)`.
        move: Seconds of each piece, `(L,)`.
        ticks: Points of each piece, `(L,)`, K in all.
        s: Place of each point on its piece, 0 to 1, `(K,)`.
    """
    time, xy = knots.time, knots.xy
    velocity = np.zeros_like(xy)
    span = np.maximum(time[2:] - time[:-2], 1e-3)
    velocity[1:-1] = (xy[2:] - xy[:-2]) / span[:, None]
    ends = knots.first.copy()
    ends[:-1] |= knots.first[1:]
    ends[-1] = True
    velocity[ends] = 0.0
    # Coefficients of 1, s, s^2, s^3 for each piece, then Horner's rule at each point.
    a, b = xy[left].T, xy[left + 1].T
    va, vb = velocity[left].T * move, velocity[left + 1].T * move
    c2, c3 = 3 * (b - a) - 2 * va - vb, 2 * (a - b) + va + vb
    axes = []
    for axis in (0, 1):
        value = np.repeat(c3[axis], ticks)
        for coefficient in (c2[axis], va[axis], a[axis]):
            value *= s
            value += np.repeat(coefficient, ticks)
        axes.append(value)
    return axes[0], axes[1]
