"""One call for either protocol, and its figures as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from alp_builder.errors import UsageError
from trainer.data.cocofile import CocoFile, read_coco
from trainer.evaluation.coco import evaluate_coco
from trainer.evaluation.hierarchy import Hierarchy
from trainer.evaluation.open_images import evaluate_open_images
from trainer.evaluation.predictions import Prediction
from trainer.evaluation.shapes import IouType
from trainer.evaluation.splits import ClassSplit, class_facts

Protocol = Literal["coco", "open_images"]

GROUPS = ("base", "novel", "all")
"""Groups of classes every metric is given for."""


def evaluate(
    truth: str | Path,
    predictions: Sequence[Prediction],
    split: ClassSplit,
    *,
    protocol: Protocol = "coco",
    iou_type: IouType = "segm",
    hierarchy: str | Path | None = None,
) -> dict[str, Any]:
    """Metrics by either protocol; see `evaluate_coco` and `evaluate_open_images`.

    Args:
        truth: COCO-format truth.
        predictions: COCO results.
        split: Base and novel classes.
        protocol: `coco` or `open_images`.
        iou_type: What is compared, by either protocol: `segm`, masks, or `bbox`, boxes.
        hierarchy: Open Images' hierarchy file (`open_images` only).

    Raises:
        UsageError: If the protocol, or what to compare, is unknown.
    """
    for value, known in ((protocol, get_args(Protocol)), (iou_type, get_args(IouType))):
        if value not in known:
            raise UsageError(f"{value}: expected one of {', '.join(known)}")
    if protocol == "coco":
        return evaluate_coco(truth, predictions, split, iou_type=iou_type)
    file = read_coco(truth)
    tree = None if hierarchy is None else read_hierarchy(file, hierarchy)
    return evaluate_open_images(file, predictions, split, tree, iou_type=iou_type)


def read_hierarchy(truth: CocoFile, path: str | Path) -> Hierarchy:
    """Open Images' hierarchy over the categories of a truth file.

    Args:
        truth: COCO-format truth, its categories named as Open Images names them.
        path: Open Images' hierarchy file.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it is not a hierarchy.
    """
    labels = class_facts().open_images
    ids = {labels[c.name]: c.id for c in truth.categories if c.name in labels}
    return Hierarchy.from_file(path, ids)


def table(metrics: dict[str, Any]) -> str:
    """Metrics of the groups as lines of text, in percent."""
    rows = [(name, value) for name, value in metrics.items() if isinstance(value, dict)]
    lines = [f"{'':14}" + "".join(f"{group:>8}" for group in GROUPS)]
    for name, value in rows:
        if set(value) == set(GROUPS):
            cells = (value[group] for group in GROUPS)
            shown = "".join(f"{'-' if math.isnan(c) else f'{100 * c:.1f}':>8}" for c in cells)
            lines.append(f"{name:14}{shown}")
    return "\n".join(lines)
