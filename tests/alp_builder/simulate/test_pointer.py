"""The pointer on regions made by hand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from alp_builder.simulate import PROFILES
from alp_builder.simulate.dice import generator
from alp_builder.simulate.pointer import (
    LEAVE,
    ON,
    WANDER,
    Points,
    Visits,
    draw_points,
)
from alp_builder.simulate.regions import Regions

CLEAN, COCO = PROFILES["clean"], PROFILES["coco"]


def two_regions() -> Regions:
    """A region in the upper left and one in the lower right, with four cells each."""
    center = np.array([[0.2, 0.3], [0.8, 0.7]])
    half = np.array([[0.1, 0.2], [0.05, 0.1]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.9
    cells = (center[:, None] + half[:, None] * corners).reshape(-1, 2)
    return Regions(center, half, cells, np.array([0, 4]), np.array([4, 4]))


def visits(rows: list[tuple[int, int, int, float, float]], lift: bool = False) -> Visits:
    table = np.array(rows, dtype=float)
    whole = table[:, :3].astype(np.int64)
    region = two_regions()
    low, high = region.center - region.half, region.center + region.half
    frame = np.concatenate([low, high], axis=1)[whole[:, 2]]
    lifts = np.full(len(rows), lift)
    return Visits(whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3], table[:, 4], lifts, frame)


def move(path: Visits, profile: object = CLEAN, narratives: int = 1) -> Points:
    rngs = [generator("pointer", index) for index in range(narratives)]
    return draw_points(path, two_regions(), profile, rngs)  # type: ignore[arg-type]


def test_an_exact_pointer_is_where_it_should_be_when_it_should_be() -> None:
    points = move(visits([(0, ON, 0, 1.0, 3.0), (0, ON, 1, 4.0, 6.0)], lift=True))
    x, y, t = points.xyt
    first = t < 3.5
    assert ((t > 0.999) & (t < 3.001) | (t > 3.999) & (t < 6.001)).all()
    assert (np.abs(x[first] - 0.2) <= 0.1).all()
    assert (np.abs(y[first] - 0.3) <= 0.2).all()
    assert (np.abs(x[~first] - 0.8) <= 0.05).all()
    assert np.ptp(x[first]) > 0.18, "the thing is covered"
    assert points.opens.sum() == 2, "a lifted pointer opens a segment"


def test_a_travel_is_recorded_unless_the_pointer_is_lifted() -> None:
    path = [(0, ON, 0, 1.0, 3.0), (0, ON, 1, 4.0, 6.0)]
    points = move(visits(path, lift=False))
    between = (points.xyt[2] > 3.01) & (points.xyt[2] < 3.99)
    assert between.any()
    assert points.opens.sum() == 1


def test_a_pointer_that_leaves_comes_back_in_a_new_segment() -> None:
    path = [(0, ON, 0, 1.0, 2.0), (0, LEAVE, 0, 2.5, 4.0), (0, ON, 1, 5.0, 6.0)]
    points = move(visits(path))
    assert points.opens.sum() >= 2
    x, y, _ = points.xyt
    assert (np.abs(np.stack([x, y]) - 0.5) <= 0.5 + CLEAN.band).all(), "beyond the band all is lost"
    assert not ((points.xyt[2] > 3.0) & (points.xyt[2] < 3.5)).any(), "nothing while it is away"


def test_a_narrative_does_not_depend_on_its_batch() -> None:
    rows = [(0, ON, 0, 1.0, 2.0), (0, WANDER, 0, 2.5, 3.0), (0, ON, 1, 3.2, 4.0)]
    other = [(1, ON, 1, 0.5, 5.0), (1, ON, 0, 5.0, 9.0)]
    alone, both = move(visits(rows), COCO), move(visits(rows + other), COCO, narratives=2)
    mine = both.narrative == 0
    assert np.array_equal(alone.xyt, both.xyt[:, mine])
    assert np.array_equal(alone.opens, both.opens[mine])


@pytest.mark.parametrize("seed", range(5))
def test_times_are_sorted_whatever_the_clock_error(seed: int) -> None:
    shaky = msgspec.structs.replace(COCO, clock_error=3.0, lead_spread=2.0)
    rows = [(0, ON, index % 2, index * 0.3, index * 0.3 + 0.3) for index in range(30)]
    points = draw_points(visits(rows), two_regions(), shaky, [generator("shaky", seed)])
    assert (np.diff(points.xyt[2]) >= 0).all()
    assert (points.xyt[2] >= 0).all()


def test_misses_lie_beside_the_thing() -> None:
    always = msgspec.structs.replace(
        CLEAN, miss_rate=1.0, cover_mean=0.5, roundness=1.0, miss_reach=0.05
    )
    rows = [(0, ON, index % 2, 2.0 * index, 2.0 * index + 1.5) for index in range(40)]
    points = draw_points(visits(rows, lift=True), two_regions(), always, [generator("miss")])
    x, y, t = points.xyt
    region = (t // 2).astype(int) % 2
    center, half = two_regions().center[region], two_regions().half[region]
    inside = (np.abs(np.stack([x, y], axis=1) - center) < half).all(axis=1)
    assert inside.mean() < 0.02
