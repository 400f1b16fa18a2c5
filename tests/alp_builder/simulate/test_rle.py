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
    for mask, runs, pixels in zip(drawn, run_lengths(rles), spread_pixels(rles, 20), strict=True):
        assert runs[1::2].sum() == mask.sum()
        assert runs.sum() == mask.size
        assert len(pixels) == min(20, int(mask.sum()))
        assert mask[pixels[:, 0], pixels[:, 1]].all()
        assert len(np.unique(pixels, axis=0)) == len(pixels)


@pytest.mark.parametrize("counts", ["", "a", None, 5])
def test_damaged_counts_are_named(counts: object) -> None:
    with pytest.raises(BadDataError, match="RLE counts"):
        run_lengths([{"size": [4, 4], "counts": counts}])
