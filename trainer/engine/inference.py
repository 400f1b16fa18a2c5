"""From images to COCO results: what evaluation and prediction share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances
from pycocotools import mask as mask_utils
from torch import nn

from trainer.files import whole

Result = dict[str, Any]


@torch.no_grad()
def detect(
    model: nn.Module, batch: list[dict[str, Any]], precision: torch.dtype
) -> list[Instances]:
    """Detections of a batch at the size of the image files, on the CPU.

    Args:
        model: In eval mode, its vocabulary set.
        batch: Items with `image`, `height` and `width`.
        precision: Of the forward pass.
    """
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
        outputs = model(batch)
    return [output["instances"].to("cpu") for output in outputs]


def coco_results(image_id: int, detections: Instances, category_ids: Sequence[int]) -> list[Result]:
    """Detections of one image as COCO results, best first.

    Args:
        image_id: Of the image.
        detections: `pred_boxes` (absolute xyxy), `scores`, `pred_classes`, and `pred_masks`, bool of
            shape `(N, H, W)`, where there is a mask branch.
        category_ids: Category id of each class.

    Returns:
        Dicts of `image_id`, `category_id`, `bbox` (xywh in pixels), `score` and `segmentation`
        (compressed RLE).
    """
    boxes = detections.pred_boxes.tensor.numpy().astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    codes = _encode(detections) if detections.has("pred_masks") else [None] * len(boxes)
    rows = zip(
        boxes, detections.scores.tolist(), detections.pred_classes.tolist(), codes, strict=True
    )
    results = []
    for box, score, label, code in rows:
        result: Result = {
            "image_id": image_id,
            "category_id": category_ids[label],
            "bbox": [round(float(side), 2) for side in box],
            "score": round(float(score), 5),
        }
        if code is not None:
            result["segmentation"] = code
        results.append(result)
    return results


def _encode(detections: Instances) -> list[dict[str, Any]]:
    masks = detections.pred_masks.numpy().astype(np.uint8)
    if len(masks) == 0:
        return []
    # pycocotools wants (H, W, N) in Fortran order, which is (N, W, H) in C order.
    codes = mask_utils.encode(np.asfortranarray(masks.transpose(1, 2, 0)))
    return [{"size": list(c["size"]), "counts": c["counts"].decode("ascii")} for c in codes]


def write_results(path: Path, value: Any) -> None:
    """Write results as JSON, on one line, to a file that appears whole or not at all."""
    with whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file)
