"""Hand-made truth on 40 x 40 pixels: masks are rectangles, so overlaps are worked by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from pycocotools import mask as mask_utils

from trainer.data.cocofile import CocoFile

SIDE = 40
CLASSES = ("animal", "dog", "cat", "car")
"""Categories 1 to 4; dogs and cats are animals."""


def encoded(mask: Any) -> dict[str, Any]:
    """A mask of shape `(H, W)` as RLE."""
    code = mask_utils.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode()}


def rle(x0: int, y0: int, x1: int, y1: int) -> dict[str, Any]:
    """The mask of a rectangle."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[y0:y1, x0:x1] = 1
    return encoded(mask)


def thing(name: str, *box: int, image: int = 1, mask: bool = True, group: bool = False) -> Any:
    """A truth with a rectangular mask, or with a box only."""
    x0, y0, x1, y1 = box
    found: dict[str, Any] = {
        "image_id": image,
        "category_id": CLASSES.index(name) + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "is_group_of": group,
    }
    return found | ({"segmentation": rle(*box)} if mask else {})


def seen(name: str, score: float, *box: int, image: int = 1) -> dict[str, Any]:
    """A prediction with a rectangular mask."""
    x0, y0, x1, y1 = box
    return {
        "image_id": image,
        "category_id": CLASSES.index(name) + 1,
        "score": score,
        "segmentation": rle(*box),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
    }


def truth_of(
    *things: Any,
    images: int = 1,
    present: tuple[str, ...] = (),
    absent: tuple[str, ...] | None = (),
) -> CocoFile:
    """Truth; `absent=None` means that everything is labelled."""
    verified: dict[str, Any] = {}
    if absent is not None:
        verified = {
            "pos_category_ids": [CLASSES.index(name) + 1 for name in present],
            "neg_category_ids": [CLASSES.index(name) + 1 for name in absent],
        }
    record = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "height": SIDE, "width": SIDE, **verified}
            for i in range(1, images + 1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)],
        "annotations": [{"id": i, "iscrowd": 0, **t} for i, t in enumerate(things, start=1)],
    }
    return msgspec.convert(record, CocoFile)
