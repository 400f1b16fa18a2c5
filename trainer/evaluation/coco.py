"""COCO's AP for base, novel and all classes.

AP of a class is independent of the other classes, so one evaluation gives all groups: AP is the
mean over IoU 0.50, 0.55, ... 0.95 and 101 recalls of the class's precision, AP50 that at IoU 0.50,
and a group's AP the mean over its classes that have truth. Classes of the file outside the split
are not evaluated.

The work is hotcoco's, which is young; pycocotools stands behind the same adapter as its oracle, and
tests hold the two equal. Choose it by `backend="pycocotools"`.

Small, medium and large go by the area of a truth as the file has it, and of a detection by that of what is
compared, its mask or its box. Both programs take a detection's from its box if it has one, so they
are given masks without their boxes.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import AlpError, BadDataError
from trainer.data.cocofile import check_masks, read_coco
from trainer.evaluation.predictions import Prediction, check_predictions, mean_of
from trainer.evaluation.shapes import IouType
from trainer.evaluation.splits import ClassSplit

Backend = Literal["hotcoco", "pycocotools"]

AREAS = ("all", "small", "medium", "large")
"""COCO's ranges of area, in the order of the precision table."""


def precision_table(
    truth: str | Path,
    predictions: Sequence[Prediction],
    category_ids: Sequence[int],
    *,
    iou_type: IouType = "segm",
    max_detections: int = 100,
    backend: Backend = "hotcoco",
) -> NDArray[np.float64]:
    """Precision by IoU threshold, recall, class and area.

    Args:
        truth: COCO-format file.
        predictions: COCO results.
        category_ids: Classes, in the order wanted.
        iou_type: What is compared.
        max_detections: Most detections of a class and image that count.
        backend: Which program does it.

    Returns:
        Precision of shape `(10, 101, K, 4)`, -1 where a class has no truth of that area.

    Raises:
        BadDataError: If the program refuses the file.
    """
    # Of a row with a box both take the area from it, also where masks are compared.
    unused = {"bbox"} if iou_type == "segm" else set()
    rows = [{k: v for k, v in row.items() if k not in unused} for row in predictions]
    try:
        return _precision_table(truth, rows, category_ids, iou_type, max_detections, backend)
    except (MemoryError, AlpError):
        raise
    except Exception as error:  # both raise whatever they meet in a file that they read anew
        raise BadDataError(f"{truth}: {backend} cannot evaluate on it ({error})") from error


def _precision_table(
    truth: str | Path,
    rows: list[dict[str, Any]],
    category_ids: Sequence[int],
    iou_type: IouType,
    max_detections: int,
    backend: Backend,
) -> NDArray[np.float64]:
    run = {"hotcoco": _hotcoco, "pycocotools": _pycocotools}[backend]
    # Both print progress; libraries do not.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = run(str(truth), rows, iou_type)
        evaluator.params.catIds = sorted(category_ids)
        evaluator.params.maxDets = [1, 10, max_detections]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = np.asarray(evaluator.eval["precision"], np.float64)[..., -1]
    order = np.argsort(np.argsort(category_ids))
    return np.asarray(precision[:, :, order])


def _hotcoco(truth: str, rows: list[dict[str, Any]], iou_type: IouType) -> Any:
    import hotcoco

    known = hotcoco.COCO(truth)
    return hotcoco.COCOeval(known, known.loadRes(rows), iou_type)


def _pycocotools(truth: str, rows: list[dict[str, Any]], iou_type: IouType) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    known = COCO(truth)
    known.dataset.setdefault("info", {})  # loadRes copies it, and some files have none
    if rows:
        found = known.loadRes(rows)
    else:
        found = COCO()
        found.dataset = {**known.dataset, "annotations": []}
        found.createIndex()
    return COCOeval(known, found, iou_type)


def evaluate_coco(
    truth: str | Path,
    predictions: Sequence[Prediction],
    split: ClassSplit,
    *,
    iou_type: IouType = "segm",
    max_detections: int = 100,
    backend: Backend = "hotcoco",
) -> dict[str, Any]:
    """AP and AP50 of base, novel and all classes, and per class.

    Args:
        truth: COCO-format file.
        predictions: COCO results.
        split: Which classes are base and novel; all must be categories of the file.
        iou_type: What is compared.
        max_detections: Most detections of a class and image that count; COCO says 100.
        backend: Which program does it.

    Returns:
        Figures between 0 and 1, NaN for groups without truth: `AP`, `AP50`, `AP75`, `APs`, `APm`,
        `APl`, each `{"base", "novel", "all"}`; `per_class[name]` with `group`, `instances`, `AP`,
        `AP50`; and what was evaluated.

    Raises:
        UsageError: If a class is in no category of the file.
        BadDataError: If the file or a prediction is malformed.
    """
    file = read_coco(truth)
    ids = split.category_ids(file.categories)
    sizes = {image.id: (image.height, image.width) for image in file.images}
    known = {category.id for category in file.categories}
    check_masks(file, truth)
    check_predictions(predictions, sizes, known, masks=iou_type == "segm")
    table = precision_table(
        truth,
        predictions,
        list(ids.values()),
        iou_type=iou_type,
        max_detections=max_detections,
        backend=backend,
    )
    cuts: dict[str, NDArray[np.float64]] = {
        "AP": table[:, :, :, 0],
        "AP50": table[:1, :, :, 0],
        "AP75": table[5:6, :, :, 0],
        **{f"AP{area[0]}": table[:, :, :, k] for k, area in enumerate(AREAS) if k},
    }
    by_class = {
        metric: {name: _mean(cut[:, :, k]) for k, name in enumerate(ids)}
        for metric, cut in cuts.items()
    }
    counted = Counter(a.category_id for a in file.annotations if not a.iscrowd)
    return {
        "protocol": "coco",
        "iou_type": iou_type,
        "split": split.name,
        "images": len(file.images),
        "predictions": len(predictions),
        **{metric: grouped(values, split) for metric, values in by_class.items()},
        "per_class": {
            name: {
                "group": split.group(name),
                "instances": counted[category],
                "AP": by_class["AP"][name],
                "AP50": by_class["AP50"][name],
            }
            for name, category in ids.items()
        },
    }


def grouped(values: dict[str, float], split: ClassSplit) -> dict[str, float]:
    """Means over base, novel and all classes; a class without truth (NaN) does not count."""
    groups = {"base": split.base, "novel": split.novel, "all": split.classes}
    return {group: mean_of(values[name] for name in names) for group, names in groups.items()}


def _mean(precision: NDArray[np.float64]) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else math.nan
