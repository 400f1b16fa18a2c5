"""What is compared, masks or boxes, and how far it overlaps.

A shape is a mask, as a compressed RLE of its image's size, or a box `[x, y, w, h]`, absolute, in pixels. Either
kind overlaps by intersection over union, or, with truth that stands for many instances, by intersection
over the **detection's** area: COCO's crowds are what Open Images calls group-of, and their "IoU" is that quotient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from trainer.data.cocofile import CocoAnnotation, Rle
from trainer.evaluation.predictions import Prediction

IouType = Literal["segm", "bbox"]
"""Kinds of shape, by COCO's names: masks and boxes."""

Shape = Any
"""An RLE, `{"size", "counts"}`, or four numbers."""


def truth_shape(
    annotation: CocoAnnotation, height: int, width: int, iou_type: IouType
) -> Shape | None:
    """The mask or box of a truth, `None` if it has none; an empty mask is none.

    Args:
        annotation: The truth; one without a box has that of its mask.
        height: Of its image, pixels.
        width: Of its image, pixels.
        iou_type: Which of the two.
    """
    if iou_type == "bbox" and annotation.bbox is not None:
        return annotation.bbox
    mask = _rle(annotation, height, width)
    return mask if mask is None or iou_type == "segm" else mask_utils.toBbox(mask)


def _rle(annotation: CocoAnnotation, height: int, width: int) -> Any:
    """Compressed RLE of an annotation, `None` if it has no mask or an empty one."""
    if not annotation.segmentation:
        return None
    if isinstance(annotation.segmentation, Rle):
        rle: Any = {
            "size": list(annotation.segmentation.size),
            "counts": annotation.segmentation.counts,
        }
        if isinstance(rle["counts"], list):
            rle = mask_utils.frPyObjects(rle, height, width)
    else:
        rle = mask_utils.merge(mask_utils.frPyObjects(annotation.segmentation, height, width))
    return rle if mask_utils.area(rle) > 0 else None


def found_shapes(
    predictions: Sequence[Prediction], iou_type: IouType
) -> tuple[list[Shape], NDArray[np.bool_]]:
    """The masks or boxes of predictions, and which of them are not empty, shape `(D,)`."""
    if iou_type == "segm":
        masks = [prediction["segmentation"] for prediction in predictions]
        return masks, np.asarray(mask_utils.area(masks) > 0)
    boxes = [prediction["bbox"] for prediction in predictions]
    return boxes, np.array([w > 0 and h > 0 for _, _, w, h in boxes], bool)


def overlap(found: Sequence[Shape], truth: Sequence[Shape], *, group: bool) -> NDArray[np.float64]:
    """How far detections overlap truth of the same kind of shape.

    Args:
        found: Masks or boxes of D detections.
        truth: Masks or boxes of G truths.
        group: Whether the truth is group-of: intersection over the detection's area, not IoU.

    Returns:
        Between 0 and 1, of shape `(D, G)`.

    >>> overlap([[0, 0, 2, 2]], [[0, 0, 4, 4], [1, 0, 2, 2]], group=False).round(2).tolist()
    [[0.25, 0.33]]
    >>> overlap([[0, 0, 2, 2]], [[0, 0, 4, 4], [1, 0, 2, 2]], group=True).tolist()
    [[1.0, 0.5]]
    """
    if not len(found) or not len(truth):
        return np.zeros((len(found), len(truth)))
    sides: list[Any] = [found, truth]
    if not isinstance(truth[0], dict):
        sides = [np.asarray(side, np.float64).reshape(-1, 4) for side in sides]
    values = mask_utils.iou(*sides, [int(group)] * len(truth))
    return np.asarray(values, np.float64).reshape(len(found), len(truth))
