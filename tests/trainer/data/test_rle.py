from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as mask_utils

from trainer.data.rle import is_whole, run_lengths


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32))
def test_runs_are_those_of_the_mask(height: int, width: int, share: float, seed: int) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    code = mask_utils.encode(np.asfortranarray(mask))["counts"]
    flat = mask.reshape(-1, order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    assert run_lengths(code) == ([0, *runs] if flat[0] else runs)
    assert is_whole(code, height, width)
    assert not is_whole(code, height, width + 1)


@pytest.mark.parametrize(
    "code", [b"", b"04", b"\xff\xff", b"0000", b"PPYo1", b"ooooo0", b"P", b"01O0"]
)
def test_broken_codes_are_refused(code: bytes) -> None:
    assert not is_whole(code, 60, 80)


def test_large_runs_take_several_digits() -> None:
    mask = np.zeros((3000, 2000), np.uint8, order="F")
    mask[:, 1500:] = 1
    code = mask_utils.encode(mask)["counts"]
    assert run_lengths(code) == [4_500_000, 1_500_000]
