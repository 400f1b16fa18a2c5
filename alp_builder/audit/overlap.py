"""Measures of how a box agrees with a box of truth, all on normalised or absolute xyxy alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alp_builder.arrays import Bools, Floats

RESAMPLES = 2000
"""Bootstrap resamples of an interval."""


@dataclass(frozen=True)
class Overlap:
    """Agreement of M boxes with M boxes of truth, or of every pair where shapes broadcast.

    Attributes:
        iou: Intersection over union, in [0, 1].
        coverage: Share of the truth's area that lies under the box, in [0, 1].
        area_ratio: The box's area over the truth's.
        centre_inside: Whether the box's centre lies inside the truth.
    """

    iou: Floats
    coverage: Floats
    area_ratio: Floats
    centre_inside: Bools


def box_overlap(boxes: Floats, truth: Floats) -> Overlap:
    """Compares boxes with truth.

    Args:
        boxes: float64 (..., 4), xyxy.
        truth: float64 (..., 4), xyxy, of a shape that broadcasts with the boxes'.

    Returns:
        Measures of the broadcast shape without its last axis.

    Example:
        >>> overlap = box_overlap(np.array([0, 0, 1, 1.0]), np.array([0, 0, 2, 1.0]))
        >>> float(overlap.iou), float(overlap.coverage), float(overlap.area_ratio)
        (0.5, 0.5, 0.5)
    """
    low = np.maximum(boxes[..., :2], truth[..., :2])
    high = np.minimum(boxes[..., 2:], truth[..., 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=-1)
    area = np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    truth_area = np.prod(truth[..., 2:] - truth[..., :2], axis=-1)
    union = area + truth_area - intersection
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    inside = ((truth[..., :2] <= centre) & (centre <= truth[..., 2:])).all(axis=-1)
    return Overlap(
        iou=_divide(intersection, union),
        coverage=_divide(intersection, truth_area),
        area_ratio=_divide(area, truth_area),
        centre_inside=np.asarray(inside),
    )


def bootstrap_interval(
    values: npt.NDArray[np.floating], statistic: str = "mean", seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a mean or median by the percentile bootstrap (Efron, Annals of Statistics, 1979).

    Args:
        values: Shape (M,).
        statistic: `mean` or `median`.
        seed: Of the resamples.

    Returns:
        Lower and upper end, NaN where there are no values.
    """
    if not len(values):
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    drawn = values[generator.integers(0, len(values), (RESAMPLES, len(values)))]
    figures = np.median(drawn, axis=1) if statistic == "median" else drawn.mean(axis=1)
    low, high = np.percentile(figures, [2.5, 97.5])
    return float(low), float(high)


def _divide(part: Floats, whole: Floats) -> Floats:
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
