from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from alp_builder.errors import BadDataError
from alp_builder.simulate.rle import run_lengths, spread_pixels


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 400))
    ink = draw(st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return rng.random((height, width)) < ink


def packed(mask: np.ndarray) -> dict[str, object]:
    code = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}


def unpacked(mask: np.ndarray) -> dict[str, object]:
    flat = np.concatenate([[False], mask.ravel(order="F")])
    edges = np.flatnonzero(np.diff(flat.astype(int)))
    runs = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"size": list(mask.shape), "counts": runs.tolist()}


@settings(max_examples=60, deadline=None)
@given(st.lists(masks(), min_size=1, max_size=5), st.booleans())
def test_pixels_lie_on_the_mask_as_pycocotools_draws_it(
    drawn: list[np.ndarray], text: bool
) -> None:
    rles = [
        packed(mask) if text or index % 2 else unpacked(mask) for index, mask in enumerate(drawn)
    ]
    flat, sizes = run_lengths(rles)
    places, numbers = spread_pixels(rles, 20)
    runs = np.split(flat, np.cumsum(sizes)[:-1])
    pixels = np.split(places, np.cumsum(numbers)[:-1])
    for mask, run, pixel in zip(drawn, runs, pixels, strict=True):
        assert len(run) % 2 == 0
        assert run[1::2].sum() == mask.sum()
        assert run.sum() == mask.size
        assert len(pixel) == min(20, int(mask.sum()))
        assert mask[pixel[:, 0], pixel[:, 1]].all()
        assert len(np.unique(pixel, axis=0)) == len(pixel)


def test_places_are_spread_over_the_whole_mask() -> None:
    mask = np.ones((40, 60), dtype=bool)
    places, _ = spread_pixels([packed(mask)], 64)
    quarters = set(zip(places[:, 0] // 20, places[:, 1] // 15, strict=True))
    assert len(quarters) == 8


@pytest.mark.parametrize(
    "counts", ["", "a", None, 5, ["x"], [0, -3, 19], [0, 3], "oooooooooo1", [1, 2.5e30]]
)
def test_damaged_counts_are_named(counts: object) -> None:
    with pytest.raises(BadDataError, match="RLE"):
        spread_pixels([{"size": [4, 4], "counts": counts}], 20)


@pytest.mark.parametrize("size", [None, [4], ["a", "b"]])
def test_damaged_sizes_are_named(size: object) -> None:
    with pytest.raises(BadDataError, match="size"):
        spread_pixels([{"size": size, "counts": [0, 16]}], 20)
