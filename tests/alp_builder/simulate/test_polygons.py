from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_builder.errors import BadDataError
from alp_builder.simulate.polygons import spread_on_polygons


@st.composite
def stars(draw: st.DrawFn) -> list[float]:
    """A polygon without self-crossings: corners at rising angles round a centre."""
    corners = draw(st.integers(3, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    angle = 2 * np.pi * (np.arange(corners) + 0.8 * rng.random(corners)) / corners
    center, radius = rng.uniform(50, 500, 2), rng.uniform(2, 200, corners)
    xy = center + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return [float(value) for value in xy.ravel()]


def box_of(parts: list[list[float]]) -> list[float]:
    xy = np.concatenate([np.array(part).reshape(-1, 2) for part in parts])
    return [*xy.min(0).tolist(), *np.ptp(xy, axis=0).tolist()]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(stars(), min_size=1, max_size=3), min_size=1, max_size=4))
def test_places_lie_on_their_own_polygons(things: list[list[list[float]]]) -> None:
    boxes = np.array([box_of(parts) for parts in things])
    places, counts = spread_on_polygons(things, boxes, 16)
    assert counts.sum() == len(places)
    ends = np.cumsum(counts)
    for parts, start, end in zip(things, ends - counts, ends, strict=True):
        shape = shapely.union_all([shapely.Polygon(np.reshape(part, (-1, 2))) for part in parts])
        apart = shapely.distance(shape, shapely.points(places[start:end]))
        assert end > start, "every thing has a place"
        assert (apart < 1e-2).all()


@settings(max_examples=40, deadline=None)
@given(stars())
def test_places_are_spread_evenly(star: list[float]) -> None:
    shape = shapely.Polygon(np.reshape(star, (-1, 2)))
    places, _ = spread_on_polygons([[star]], np.array([box_of([star])]), 200)
    size = np.array(box_of([star])[2:]).max()
    middle = np.array(shape.centroid.coords[0])
    assert np.abs(places.mean(0) - middle).max() < 0.03 * size
    expected = shape.area / (size / 200) ** 2
    # A line has a place however little of it is covered: slivers have up to one a line too many.
    assert len(places) == pytest.approx(expected, rel=0.1, abs=200)


def test_a_thin_thing_has_places_on_every_line() -> None:
    sliver = [10.0, 0.0, 10.5, 0.0, 10.5, 160.0, 10.0, 160.0]
    places, counts = spread_on_polygons([[sliver]], np.array([[10.0, 0.0, 0.5, 160.0]]), 16)
    assert counts.tolist() == [16]
    assert np.allclose(places[:, 1], np.arange(5, 160, 10))
    assert ((places[:, 0] > 10) & (places[:, 0] < 10.5)).all()


def test_each_thing_has_its_own_count_and_none_where_nothing_is_drawn() -> None:
    square = [0.0, 0.0, 8.0, 0.0, 8.0, 8.0, 0.0, 8.0]
    boxes = np.array([[0.0, 0, 8, 8], [5.0, 5, 8, 8], [0.0, 100, 8, 8], [0.0, 0, 8, 8]])
    places, counts = spread_on_polygons([[square], [], [square], [square, square]], boxes, 4)
    assert counts.tolist() == [16, 0, 0, 32], "the third lies outside its box"
    assert (places[:16] == places[16:32]).all()
    assert np.unique(places[:16], axis=0).shape == (16, 2)


@pytest.mark.parametrize(
    "polygon", [[1.0, 2.0, 3.0], ["a", "b"], [None, 1.0], 7, [[1.0, 2.0], [3.0, 4.0]]]
)
def test_damaged_polygons_are_named(polygon: object) -> None:
    with pytest.raises(BadDataError, match="polygon"):
        spread_on_polygons([[polygon]], np.array([[0.0, 0, 8, 8]]), 4)  # type: ignore[list-item]


def test_absurd_coordinates_do_no_harm() -> None:
    wild = [-1e300, -1e300, 1e300, -1e300, 1e300, 1e300, -1e300, 1e300]
    places, counts = spread_on_polygons([[wild]], np.array([[0.0, 0, 8, 8]]), 4)
    assert counts.tolist() == [16]
    assert ((places >= 0) & (places <= 8)).all()
