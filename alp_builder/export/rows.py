"""Selected rows image by image, with labels and boxes in the units of other tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from alp_builder.errors import UsageError
from alp_builder.export.pictures import Picture

Labels: TypeAlias = Literal["noun", "phrase", "caption"]
"""What names a box: the head lemma, the phrase for a classifier, or one category with the phrase as caption."""

CAPTIONED = "thing"
"""The one category of exports whose phrases are captions."""


def by_image(table: pa.Table) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yields `dataset_id`, `image_id` and rows of each image; an image's rows stand together."""
    lists = {"trace_x", "trace_y", "trace_t"}
    slim = table.select([name for name in table.schema.names if name not in lists])
    for (dataset, image), rows in groupby(
        slim.to_pylist(), key=lambda row: (row["dataset_id"], row["image_id"])
    ):
        yield dataset, image, list(rows)


def refuse_nothing(counts: Counter[str]) -> None:
    """Stops an export without a row, before it appears.

    Raises:
        UsageError: If `alps` is none.
    """
    if not counts["alps"]:
        missing = counts["images_missing"]
        why = f"none of {missing:,} images was found" if missing else "no ALP fits the selection"
        raise UsageError(f"nothing to export: {why}")


def label_of(row: dict[str, Any], labels: Labels) -> str:
    """The category of a row."""
    if labels == "caption":
        return CAPTIONED
    text: str = row["head_lemma"] if labels == "noun" else row["phrase_text"]
    return text


def pixel_box(row: dict[str, Any], box: tuple[str, ...], picture: Picture) -> list[float]:
    """The box as COCO writes it: x, y, width, height in pixels, to a hundredth of one."""
    x0, y0, x1, y1 = (row[name] for name in box)
    left, top = x0 * picture.width, y0 * picture.height
    size = ((x1 - x0) * picture.width, (y1 - y0) * picture.height)
    return [round(value, 2) for value in (left, top, *size)]


def relative_box(row: dict[str, Any], box: tuple[str, ...]) -> list[float]:
    """The box as FiftyOne writes it: x, y, width, height as fractions of the image."""
    x0, y0, x1, y1 = (row[name] for name in box)
    return [round(value, 6) for value in (x0, y0, x1 - x0, y1 - y0)]
