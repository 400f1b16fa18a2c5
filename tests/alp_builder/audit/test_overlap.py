from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.audit.overlap import bootstrap_interval, box_overlap


@pytest.mark.parametrize(
    ("box", "truth", "iou", "coverage", "ratio", "inside"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1, 1, 1, True),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7, 1 / 4, 1, True),
        ((0, 0, 2, 2), (1.5, 0, 3.5, 2), 1 / 7, 1 / 4, 1, False),
        ((0, 0, 1, 1), (2, 2, 4, 4), 0, 0, 1 / 4, False),
        ((1, 1, 2, 2), (0, 0, 4, 4), 1 / 16, 1 / 16, 1 / 16, True),
        ((0, 0, 4, 4), (3, 3, 4, 4), 1 / 16, 1, 16, False),
        ((1, 1, 1, 1), (0, 0, 2, 2), 0, 0, 0, True),
    ],
)
def test_measures(
    box: tuple[float, ...], truth: tuple[float, ...], iou: float, coverage: float, ratio: float, inside: bool
) -> None:  # fmt: skip
    found = box_overlap(np.array(box, float), np.array(truth, float))
    assert found.iou == pytest.approx(iou)
    assert found.coverage == pytest.approx(coverage)
    assert found.area_ratio == pytest.approx(ratio)
    assert bool(found.centre_inside) is inside


def test_every_pair_by_broadcasting() -> None:
    boxes = np.random.default_rng(0).random((5, 1, 4)).cumsum(-1)
    truth = np.random.default_rng(1).random((1, 3, 4)).cumsum(-1)
    found = box_overlap(boxes, truth)
    assert found.iou.shape == found.centre_inside.shape == (5, 3)
    assert found.iou[4, 2] == box_overlap(boxes[4, 0], truth[0, 2]).iou


_side = st.tuples(st.floats(0, 0.9), st.floats(0.01, 0.5)).map(lambda p: (p[0], p[0] + p[1]))
_box = st.tuples(_side, _side).map(lambda s: np.array([s[0][0], s[1][0], s[0][1], s[1][1]]))


@given(_box, _box)
def test_measures_agree_with_each_other(box: np.ndarray, truth: np.ndarray) -> None:
    one, other = box_overlap(box, truth), box_overlap(truth, box)
    assert one.iou == pytest.approx(float(other.iou))
    assert 0 <= one.iou <= min(one.coverage, other.coverage) + 1e-12
    assert one.area_ratio * other.area_ratio == pytest.approx(1)
    assert one.coverage == pytest.approx(float(other.coverage) * float(one.area_ratio))


def test_the_interval_holds_the_mean_and_repeats() -> None:
    values = np.random.default_rng(0).normal(3, 1, 400)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values, "median")[0] < np.median(values)


def test_no_values_no_interval() -> None:
    assert all(map(math.isnan, bootstrap_interval(np.array([]))))
