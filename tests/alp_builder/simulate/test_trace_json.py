from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.simulate.trace_json import POINT_BYTES, encode_points, encode_traces

COORDINATES = st.floats(-9.9, 9.9, allow_nan=False)
POINTS = st.lists(st.tuples(COORDINATES, COORDINATES, st.floats(0, 9999)), max_size=20)


@given(POINTS)
def test_points_read_back_as_they_were_but_for_rounding(rows: list[tuple[float, ...]]) -> None:
    xyt = np.array(rows, dtype=float).reshape(-1, 3).T
    text = encode_points(xyt)
    assert len(text) == len(rows) * POINT_BYTES
    read = json.loads(b"[" + text[:-1] + b"]")
    assert [list(point) for point in read] == [["x", "y", "t"]] * len(rows)
    got = np.array([list(point.values()) for point in read]).reshape(-1, 3).T
    assert np.array_equal(got[:2], np.round(xyt[:2], 4))
    assert np.array_equal(got[2], np.round(xyt[2], 3))


def test_traces_are_cut_at_their_edges() -> None:
    text = encode_points(np.arange(15, dtype=float).reshape(5, 3).T % 9)
    whole = json.loads(b"[" + text[:-1] + b"]")
    assert json.loads(encode_traces(text, [0, 2, 5])) == [whole[:2], whole[2:]]
    assert json.loads(encode_traces(text, [1, 4])) == [whole[1:4]]
    assert json.loads(encode_traces(text, [3])) == []


@pytest.mark.parametrize("point", [(10.1, 0, 0), (0, -10.1, 0), (0, 0, -0.01), (0, 0, 10_000)])
def test_points_out_of_range_are_refused(point: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        encode_points(np.array([point], dtype=float).T)
