from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.errors import UsageError
from trainer.data.quantization import (
    QuantizationConfig,
    quantize,
    scale_about_centre,
    snap_outward,
)

KINDS = ("snap", "fixed", "uniform", "none")
unit = st.floats(0, 1, allow_subnormal=False) | st.fractions(0, 1, max_denominator=16).map(float)
boxes = st.lists(
    st.tuples(unit, unit, unit, unit).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
    max_size=12,
).map(lambda rows: np.array(rows, np.float64).reshape(-1, 4))


@given(boxes, st.sampled_from(KINDS), st.integers(0, 2**32))
def test_the_new_box_contains_the_old_and_stays_in_the_image(
    old: Any, kind: Any, seed: int
) -> None:
    new = quantize(old, QuantizationConfig(kind=kind), np.random.default_rng(seed))
    assert new.shape == old.shape
    assert (new[:, :2] <= old[:, :2]).all()
    assert (new[:, 2:] >= old[:, 2:]).all()
    assert (new >= 0).all()
    assert (new <= 1).all()


@given(boxes, st.integers(1, 40), st.integers(0, 2**32))
def test_edges_are_lines_of_the_drawn_grid_and_no_line_is_closer(
    old: Any, most: int, seed: int
) -> None:
    cells = np.random.default_rng(seed).integers(1, most, size=len(old), endpoint=True)
    new = snap_outward(old, cells)
    lines = new * cells[:, None]
    np.testing.assert_allclose(lines, np.round(lines), atol=1e-9)
    wide = old[:, 2:] > old[:, :2]
    step = 1 / cells[:, None]
    # One line further in would cut the box (where it has an extent).
    assert (new[:, :2] + step > old[:, :2] - 1e-12)[wide].all()
    assert (new[:, 2:] - step < old[:, 2:] + 1e-12)[wide].all()
    # Every box has at least a cell.
    assert (new[:, 2:] - new[:, :2] >= step - 1e-9).all()


def test_snap_draws_every_count_of_cells_for_each_box() -> None:
    config = QuantizationConfig(cells=(4, 6))
    old = np.tile([0.26, 0.26, 0.51, 0.51], (400, 1))
    new = quantize(old, config, np.random.default_rng(0))
    seen = {tuple(np.round(box, 6)) for box in new}
    expected = {tuple(np.round(snap_outward(old[:1], np.array([k]))[0], 6)) for k in (4, 5, 6)}
    assert seen == expected


def test_the_same_state_gives_the_same_boxes_and_the_next_draw_others() -> None:
    old = np.random.default_rng(0).random((50, 2))
    old = np.hstack([old * 0.5, old * 0.5 + 0.3])
    for kind in ("snap", "uniform"):
        config = QuantizationConfig(kind=kind)
        rng = np.random.default_rng(7)
        first, second = quantize(old, config, rng), quantize(old, config, rng)
        assert (first == quantize(old, config, np.random.default_rng(7))).all()
        assert (first != second).any()


def test_by_hand() -> None:
    box = np.array([[0.30, 0.25, 0.50, 0.60]])
    assert snap_outward(box, np.array([4])).tolist() == [[0.25, 0.25, 0.5, 0.75]]
    fixed = QuantizationConfig(kind="fixed", grid=2)
    assert quantize(box, fixed, np.random.default_rng(0)).tolist() == [[0, 0, 0.5, 1]]
    doubled = scale_about_centre(np.array([[0.4, 0.4, 0.6, 0.5]]), 2.0)
    np.testing.assert_allclose(doubled, [[0.3, 0.35, 0.7, 0.55]])
    # Cut at the image.
    np.testing.assert_allclose(
        scale_about_centre(np.array([[0, 0, 0.4, 1.0]]), 2.0), [[0, 0, 0.6, 1]]
    )
    # Margin: added to the sides, half on each.
    np.testing.assert_allclose(
        scale_about_centre(np.array([[0.4, 0.4, 0.5, 0.5]]), 1.0, margin=0.1),
        [[0.35, 0.35, 0.55, 0.55]],
    )
    # A point on a line, and one in the last corner.
    points = np.array([[0.5, 0.5, 0.5, 0.5], [1, 1, 1, 1]])
    assert snap_outward(points, np.array([4, 4])).tolist() == [
        [0.5, 0.5, 0.75, 0.75],
        [0.75, 0.75, 1, 1],
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "snapp"},
        {"cells": (0, 4)},
        {"cells": (5, 4)},
        {"grid": 0},
        {"scale": (0.5, 2)},
        {"scale": (2, 1)},
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        QuantizationConfig(**wrong)
