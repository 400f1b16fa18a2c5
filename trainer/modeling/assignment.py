"""Which points of FCOS learn what: positives, and the weights of everything else.

FCOS (Tian et al., ICCV 2019) labels a point positive for the smallest box that contains it, has its
centre within 1.5 strides, and has a size for the point's level. That rule is detectron2's and stays.
With masks every other (point, column) pair is a negative of weight 1.

An ALP's box is only roughly where and how large the thing is, so its pairs get weights `w` (R, C):

    w = columns.outside                        everywhere else in the image
    w = 1                                      inside the ALP's box, in its phrase's column
    w = 0                                      inside its ignore box, in its phrase's column (the ring)
    w = 1 (or the ALP's quality)               where the point is positive, in that column

Later lines win. With the ring on, the second line never shows, for an ignore box contains its box; it
is what remains if the ring is switched off. Points of the ring "probably lie on the object", whatever
their level: they count neither as positive nor as negative.

Legend: B images, R points of all levels together, M boxes of an image, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from detectron2.structures import Boxes, Instances
from torch import Tensor

BACKGROUND = -1
"""Column of a point that is positive for none."""


@dataclass(frozen=True, slots=True)
class PointTargets:
    """What the points of a batch should predict.

    Attributes:
        column: `(B, R)` int64, the column a point is positive for, or `BACKGROUND`.
        boxes: `(B, R, 4)` absolute xyxy, the matched box; zeros at background points.
        weights: `(B, R, C)` float32 loss weights of the classification, or None for all ones.
    """

    column: Tensor
    boxes: Tensor
    weights: Tensor | None

    @property
    def positive(self) -> Tensor:
        """`(B, R)` bool."""
        return self.column != BACKGROUND

    def one_hot(self, num_columns: int) -> Tensor:
        """Classification targets `(B, R, C)`, float32 zeros and ones."""
        target = torch.zeros(*self.column.shape, num_columns, device=self.column.device)
        image, point = self.positive.nonzero(as_tuple=True)
        target[image, point, self.column[image, point]] = 1.0
        return target


def match_points(quality: Tensor, instances: Instances) -> tuple[Tensor, Tensor, Tensor]:
    """The best box of every point.

    Args:
        quality: `(M, R)`, positive where box m may claim point r, larger for smaller boxes.
        instances: M boxes `gt_boxes` with their columns `gt_classes`.

    Returns:
        Column `(R,)`, matched box `(R, 4)` and index of the match `(R,)`; background is `BACKGROUND`,
        zeros and `BACKGROUND`.
    """
    points = quality.shape[1]
    boxes: Tensor = instances.gt_boxes.tensor
    if len(instances) == 0:
        nobody = torch.full((points,), BACKGROUND, device=boxes.device)
        return nobody, boxes.new_zeros(points, 4), nobody
    best, match = quality.max(dim=0)
    matched = best > 0
    column = torch.where(matched, instances.gt_classes[match], BACKGROUND)
    return column, boxes[match] * matched[:, None], torch.where(matched, match, BACKGROUND)


def points_inside(points: Tensor, boxes: Boxes) -> Tensor:
    """`(M, R)` bool: whether point r `(R, 2)` lies in box m, sides included."""
    x, y = points[None, :, 0], points[None, :, 1]
    x0, y0, x1, y1 = (side[:, None] for side in boxes.tensor.unbind(dim=1))
    inside: Tensor = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside


def known_weights(outside: Tensor, known: Tensor, column: Tensor) -> Tensor:
    """Classification weights `(R, C)` of one mask image that has phrases among its columns.

    Args:
        outside: `(C,)` weights of the columns where no thing is.
        known: `(K, C)` weights where a thing of class k is, the first K columns being the classes.
        column: `(R,)` the column a point is positive for, or `BACKGROUND`.
    """
    weights = outside.repeat(len(column), 1)
    positive = (column != BACKGROUND).nonzero()[:, 0]
    weights[positive] = known[column[positive]]
    return weights


def alp_weights(
    points: Tensor,
    instances: Instances,
    outside: Tensor,
    column: Tensor,
    quality: Tensor | None = None,
    *,
    ring: bool = True,
    taught: Tensor | None = None,
) -> Tensor:
    """Classification weights of one ALP image: the table of the module docstring.

    Args:
        points: `(R, 2)` x, y in pixels: FCOS's points, or the centres of two-stage proposals.
        instances: M ALPs: `gt_boxes`, `ignore_boxes`, and `gt_classes` as columns.
        outside: `(C,)` weights of the columns as negatives in this image.
        column: `(R,)` the column a point is positive for, or `BACKGROUND`.
        quality: `(R,)` weight of the points that are positive; 1 unless given.
        ring: Whether the ignore ring is on.
        taught: `(C,)` factor of each column's weights; 1 unless given.

    Returns:
        `(R, C)` float32.
    """
    weights = outside.repeat(len(points), 1)
    if len(instances) > 0:
        box, point = points_inside(points, instances.gt_boxes).nonzero(as_tuple=True)
        weights[point, instances.gt_classes[box]] = 1.0
        if ring:
            box, point = points_inside(points, instances.ignore_boxes).nonzero(as_tuple=True)
            weights[point, instances.gt_classes[box]] = 0.0
        positive = (column != BACKGROUND).nonzero()[:, 0]
        weights[positive, column[positive]] = 1.0 if quality is None else quality[positive].float()
    return weights if taught is None else weights * taught
