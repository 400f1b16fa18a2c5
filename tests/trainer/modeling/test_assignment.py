"""Positives and the ignore ring, worked by hand on a 4 x 4 grid of points, one level of stride 8."""

from __future__ import annotations

import pytest
import torch
from detectron2.structures import Boxes, Instances
from torch import Tensor

from trainer.modeling.assignment import (
    BACKGROUND,
    PointTargets,
    alp_weights,
    known_weights,
    match_points,
    points_inside,
)

# x fastest: (4, 4), (12, 4), (20, 4), (28, 4), (4, 12), ...
POINTS = torch.tensor([[x, y] for y in (4.0, 12.0, 20.0, 28.0) for x in (4.0, 12.0, 20.0, 28.0)])


def alps(*boxes: tuple[list[float], list[float], int]) -> Instances:
    """Box, ignore box and column of each ALP."""
    out = Instances((32, 32))
    out.gt_boxes = Boxes(torch.tensor([b[0] for b in boxes]).reshape(-1, 4))
    out.ignore_boxes = Boxes(torch.tensor([b[1] for b in boxes]).reshape(-1, 4))
    out.gt_classes = torch.tensor([b[2] for b in boxes], dtype=torch.int64)
    out.scores = torch.full((len(boxes),), 0.5)
    return out


def grid(weights: Tensor) -> list[list[float]]:
    return weights.reshape(4, 4).tolist()


# One ALP round the point (12, 12), column 0 of 2; its ring reaches the eight neighbours.
ONE = alps(([9.0, 9.0, 15.0, 15.0], [1.0, 1.0, 23.0, 23.0], 0))
COLUMN = torch.full((16,), BACKGROUND)
COLUMN[5] = 0


def test_the_ring_is_ignored_and_the_rest_is_negative() -> None:
    weights = alp_weights(POINTS, ONE, torch.tensor([1.0, 0.125]), COLUMN)
    assert grid(weights[:, 0]) == [
        [0, 0, 0, 1],
        [0, 1, 0, 1],  # the positive point in the middle of its ring
        [0, 0, 0, 1],
        [1, 1, 1, 1],
    ]
    assert weights[:, 1].tolist() == [0.125] * 16


def test_phrases_are_negatives_where_a_thing_s_class_is_known() -> None:
    outside, known = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([[1.0, 1.0, 0.5], [1.0, 1.0, 0.0]])
    column = torch.tensor([BACKGROUND, 0, 1])
    assert known_weights(outside, known, column).tolist() == [
        [1.0, 1.0, 0.0],  # no thing here: phrases teach nothing
        [1.0, 1.0, 0.5],
        [1.0, 1.0, 0.0],  # a synonym of the second class
    ]


def test_without_the_ring_only_the_positive_point_is_no_negative() -> None:
    weights = alp_weights(POINTS, ONE, torch.tensor([1.0, 0.125]), COLUMN, ring=False)
    assert weights[:, 0].tolist() == [1.0] * 16


def test_a_plural_phrase_is_a_negative_inside_its_own_box_only() -> None:
    box = alps(([1.0, 1.0, 15.0, 15.0], [1.0, 1.0, 15.0, 15.0], 0))
    plural = torch.tensor([0.0])
    weights = alp_weights(POINTS, box, plural, COLUMN, ring=False)
    assert grid(weights[:, 0]) == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    with_ring = alp_weights(POINTS, box, plural, COLUMN)
    assert with_ring.nonzero().tolist() == [[5, 0]]


def test_a_point_positive_for_one_phrase_in_the_ring_of_another() -> None:
    two = alps(
        ([9.0, 9.0, 15.0, 15.0], [1.0, 1.0, 23.0, 23.0], 0),
        ([17.0, 17.0, 23.0, 23.0], [17.0, 17.0, 23.0, 23.0], 1),
    )
    column = COLUMN.clone()
    column[10] = 1
    weights = alp_weights(POINTS, two, torch.ones(2), column)
    assert weights[10].tolist() == [0.0, 1.0]  # nothing said of column 0, positive for column 1
    assert weights[5].tolist() == [1.0, 1.0]  # positive for column 0, a negative of column 1


def test_two_alps_of_one_phrase_share_its_column() -> None:
    two = alps(
        ([1.0, 1.0, 7.0, 7.0], [1.0, 1.0, 7.0, 7.0], 0),
        ([25.0, 25.0, 31.0, 31.0], [17.0, 17.0, 31.0, 31.0], 0),
    )
    column = torch.full((16,), BACKGROUND)
    column[0] = column[15] = 0
    weights = alp_weights(POINTS, two, torch.ones(1), column)
    assert grid(weights[:, 0]) == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 1]]


def test_positives_can_weigh_their_quality() -> None:
    worth = torch.full((16,), 0.5)
    weights = alp_weights(POINTS, ONE, torch.ones(2), COLUMN, worth)
    assert weights[5].tolist() == [0.5, 1.0]


def test_an_image_without_alps_is_all_negative() -> None:
    weights = alp_weights(POINTS, alps(), torch.tensor([0.125]), torch.full((16,), BACKGROUND))
    assert weights.tolist() == [[0.125]] * 16


def test_the_largest_quality_wins_a_point() -> None:
    boxes = alps(([0, 0, 8, 8], [0, 0, 8, 8], 3), ([0, 0, 4, 4], [0, 0, 4, 4], 5))
    quality = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0]])
    column, matched, match = match_points(quality, boxes)
    assert column.tolist() == [3, 5, BACKGROUND]
    assert match.tolist() == [0, 1, BACKGROUND]
    assert matched.tolist() == [[0, 0, 8, 8], [0, 0, 4, 4], [0, 0, 0, 0]]


def test_no_boxes_match_no_point() -> None:
    column, matched, match = match_points(torch.zeros(0, 4), alps())
    assert column.tolist() == match.tolist() == [BACKGROUND] * 4
    assert matched.abs().sum() == 0


def test_targets_are_one_hot_at_positive_points() -> None:
    targets = PointTargets(torch.tensor([[BACKGROUND, 2, 0]]), torch.zeros(1, 3, 4), None)
    assert targets.one_hot(3)[0].tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert targets.positive.tolist() == [[False, True, True]]


@pytest.mark.parametrize(("point", "inside"), [((0, 0), True), ((8, 8), True), ((8.1, 4), False)])
def test_sides_belong_to_a_box(point: tuple[float, float], inside: bool) -> None:
    boxes = Boxes(torch.tensor([[0.0, 0.0, 8.0, 8.0]]))
    assert points_inside(torch.tensor([point]), boxes).item() is inside


def test_the_size_limit_moves_boxes_between_levels_and_nothing_else() -> None:
    """Limits of 16 and 32 px at strides 8, 16, 32: a box of 72 px is the coarsest level's."""
    from tests.trainer.tiny import fcosmo

    stock, small = fcosmo(), fcosmo(size_limit=2.0)
    levels = [torch.zeros(1, 1, 96 // stride, 96 // stride) for stride in (8, 16, 32)]
    anchors = stock.anchor_generator(levels)
    boxes = Boxes(torch.tensor([[12.0, 12.0, 84.0, 84.0], [10.0, 10.0, 30.0, 30.0]]))
    sizes = [len(level) for level in anchors]
    found = []
    for model in (stock, small):
        quality = model._match_anchors(boxes, anchors)
        found.append([[bool(q.any()) for q in row.split(sizes)] for row in quality])
    assert found[0] == [[True, False, False], [True, False, False]]
    assert found[1][0] == [False, False, True]
    assert found[1][1] == [True, False, False]
    # Within the limits of both, the same points round the centre: the radius did not change.
    half = fcosmo(size_limit=4.0)
    inside = [m._match_anchors(boxes[1:], anchors)[0, : sizes[0]] > 0 for m in (stock, half)]
    assert torch.equal(inside[0], inside[1])
    assert int(inside[0].sum()) == 9
