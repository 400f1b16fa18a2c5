"""Predictions in COCO's results format, checked; metrics as JSON, written whole.

A prediction is `{"image_id", "category_id", "score", "segmentation": RLE, "bbox": [x, y, w, h]}`,
the RLE and the box in pixels of the image as the truth gives its size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import msgspec

from alp_builder.errors import BadDataError, UsageError
from trainer.data.rle import broken_codes
from trainer.files import whole

Prediction = Mapping[str, Any]


def read_predictions(path: str | Path) -> list[dict[str, Any]]:
    """Read a COCO results file.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it is not a JSON list of objects.
    """
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=list[dict[str, Any]])
    except OSError as error:
        raise UsageError(f"predictions {path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataError(f"{path}: not a list of COCO results: {error}") from None


def check_predictions(
    predictions: Sequence[Prediction],
    sizes: Mapping[int, tuple[int, int]],
    categories: Collection[int],
    *,
    masks: bool,
) -> None:
    """Refuse predictions that an evaluator would score wrongly without a word.

    Args:
        predictions: COCO results.
        sizes: Height and width of every image of the truth.
        categories: Category ids of the truth.
        masks: Whether masks are compared, or else boxes.

    Raises:
        BadDataError: If a prediction is of no known image or class, lacks its mask or box, has a
            mask of another size than the image, or a score that is not finite; the first one is
            named.
    """
    for row, prediction in enumerate(predictions):
        problem = _problem(prediction, sizes, categories, "segmentation" if masks else "bbox")
        if problem:
            raise BadDataError(f"prediction {row}: {problem}")
    found = [(row, p["segmentation"]) for row, p in enumerate(predictions) if p.get("segmentation")]
    codes = [_code(mask["counts"]) for _, mask in found]
    broken = broken_codes(codes, [math.prod(mask["size"]) for _, mask in found])
    if len(broken):
        row = found[int(broken[0])][0]
        raise BadDataError(f"prediction {row}: its RLE does not add up to the image")


def _code(counts: str | bytes) -> bytes:
    return counts.encode("ascii", "replace") if isinstance(counts, str) else counts


def _problem(
    prediction: Prediction,
    sizes: Mapping[int, tuple[int, int]],
    categories: Collection[int],
    needed: str,
) -> str:
    image: Any = prediction.get("image_id")
    category: Any = prediction.get("category_id")
    score = prediction.get("score")
    if not isinstance(image, int) or image not in sizes:
        return f"image_id {shortened(image)} is not in the truth"
    if not isinstance(category, int) or category not in categories:
        return f"category_id {shortened(category)} is not in the truth"
    if not _is_finite(score):
        return f"score {shortened(score)} is not a finite number"
    box, mask = prediction.get("bbox"), prediction.get("segmentation")
    if prediction.get(needed) is None:
        return f"no {needed}"
    if box is not None and not _is_box(box):
        return f"bbox {shortened(box)} is not four finite numbers"
    if mask is None:
        return ""
    if not isinstance(mask, Mapping):
        return "its segmentation is no RLE"
    if not isinstance(mask.get("counts"), str | bytes):
        return "its RLE has no compressed counts"
    size = mask.get("size")
    if not isinstance(size, list | tuple) or tuple(size) != sizes[image]:
        found = (
            "x".join(map(shortened, size)) if isinstance(size, list | tuple) else shortened(size)
        )
        expected = "x".join(map(str, sizes[image]))
        return f"mask of {found}, image {image} is {expected} (height x width)"
    return ""


def _is_box(box: Any) -> bool:
    """Whether a value is `[x, y, w, h]`, all finite."""
    numbers = isinstance(box, list | tuple) and len(box) == 4
    return numbers and all(map(_is_finite, box))


def _is_finite(value: Any) -> bool:
    """Whether a value is a number that a float can hold: JSON may have whole numbers beyond."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def write_json(path: str | Path, metrics: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all; numbers that are not finite become null."""
    with whole(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(_finite(metrics), file, indent=1, allow_nan=False)
        file.write("\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def mean_of(values: Iterable[float]) -> float:
    """Mean of the numbers that are numbers; NaN if there is none."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
