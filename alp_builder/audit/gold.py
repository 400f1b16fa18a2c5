"""Boxes drawn by people, noun by noun, against the ALPs of the phrases those nouns stand in.

A gold file is a CSV with a row for each box: `dataset_id, image_id, caption, char_start, char_end, x0, y0,
x1, y1`, and optionally `is_group`, `is_stuff` (0 or 1). A noun is a span of a caption on an image; a plural noun
may have several boxes. A noun is **found** if some phrase of the same caption and image that covers its
characters gave an ALP. Its main box is then compared with the noun's box it overlaps best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from alp_builder.arrays import Bools, Floats, Ints
from alp_builder.audit.overlap import box_overlap
from alp_builder.errors import UsageError
from alp_builder.schema import BOX

NOUN = ("dataset_id", "image_id", "caption", "char_start", "char_end")
"""What a noun is told by."""

NOUN_COLUMNS = ("dataset_id", "image_id", "caption", "char_start", "char_end", "component_index")
"""The columns of ALPs that finding gold nouns reads, besides boxes."""


@dataclass(frozen=True)
class GoldNouns:
    """M nouns with boxes of truth.

    Attributes:
        keys: M tuples of the fields of `NOUN`.
        boxes: For each noun float64 (boxes, 4), normalised xyxy.
        kinds: M of `thing`, `group`, `stuff`.
    """

    keys: list[tuple[str, str, str, int, int]]
    boxes: list[Floats]
    kinds: list[str]


@dataclass(frozen=True)
class NounScores:
    """How M nouns fared under one rule; measures are NaN for nouns not found.

    Attributes:
        found: bool (M,).
        iou: float64 (M,).
        coverage: float64 (M,).
        area_ratio: float64 (M,).
        centre_inside: float64 (M,), 0 or 1.
        kinds: M kinds of noun.
    """

    found: Bools
    iou: Floats
    coverage: Floats
    area_ratio: Floats
    centre_inside: Floats
    kinds: list[str]


def read_gold(path: Path) -> GoldNouns:
    """Reads a gold file.

    Raises:
        UsageError: If it is missing, no CSV, lacks a column, holds no box, or one without area.
    """
    import pandas as pd  # slow to import, and every verb and worker imports this module

    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(NOUN[:3], str), keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--gold {path}: not a readable CSV ({error})") from error
    missing = [name for name in (*NOUN, *BOX) if name not in frame.columns]
    if missing:
        raise UsageError(f"--gold {path}: lacks the columns {', '.join(missing)}")
    try:
        frame = frame.astype({**dict.fromkeys(NOUN[3:], "int64"), **dict.fromkeys(BOX, "float64")})
        flags = [name for name in ("is_group", "is_stuff") if name in frame.columns]
        frame = frame.astype(dict.fromkeys(flags, "int64"))
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"--gold {path}: a position, box or flag is no number ({error})"
        ) from error
    if not ((frame.x0 < frame.x1) & (frame.y0 < frame.y1)).all():
        raise UsageError(f"--gold {path}: a box has no area; expected x0 < x1 and y0 < y1")
    if frame.empty:
        raise UsageError(f"--gold {path}: no box in it")
    keys, boxes, kinds = [], [], []
    for _, rows in frame.groupby(list(NOUN), sort=True):
        dataset, image, caption, start, end = rows[list(NOUN)].iloc[0]
        keys.append((str(dataset), str(image), str(caption), int(start), int(end)))
        boxes.append(rows[list(BOX)].to_numpy(np.float64))
        group = "is_group" in flags and rows["is_group"].any()
        stuff = "is_stuff" in flags and rows["is_stuff"].any()
        kinds.append("stuff" if stuff else "group" if group else "thing")
    return GoldNouns(keys, boxes, kinds)


def score_nouns(gold: GoldNouns, alps: pa.Table, box: tuple[str, ...] = BOX) -> NounScores:
    """Compares ALPs with gold nouns.

    Args:
        gold: M nouns.
        alps: Rows of ALPs, of any images.
        box: The four columns that hold the boxes to be judged.

    Returns:
        The scores of each noun.
    """
    measures = np.full((len(gold.keys), 4), np.nan)
    for index, chosen in _main_boxes(gold, alps, box):
        overlap = box_overlap(chosen, gold.boxes[index])
        best = int(overlap.iou.argmax())
        measures[index] = (
            overlap.iou[best],
            overlap.coverage[best],
            overlap.area_ratio[best],
            overlap.centre_inside.any(),
        )
    found = ~np.isnan(measures[:, 0])
    iou, coverage, area_ratio, centre_inside = measures.T
    return NounScores(found, iou, coverage, area_ratio, centre_inside, gold.kinds)


def pair_nouns(
    gold: GoldNouns, alps: pa.Table, box: tuple[str, ...] = BOX
) -> tuple[Floats, Floats]:
    """The main box of each noun found, and the noun's box that it overlaps best.

    Args:
        gold: M nouns.
        alps: Rows of ALPs, of any images.
        box: The four columns that hold the boxes.

    Returns:
        Both float64 (found, 4), normalised xyxy.
    """
    pairs = [
        (chosen, gold.boxes[index][int(box_overlap(chosen, gold.boxes[index]).iou.argmax())])
        for index, chosen in _main_boxes(gold, alps, box)
    ]
    both = np.array(pairs, np.float64).reshape(-1, 2, 4)
    return both[:, 0], both[:, 1]


def _main_boxes(
    gold: GoldNouns, alps: pa.Table, box: tuple[str, ...]
) -> Iterator[tuple[int, Floats]]:
    """The number and the main box, (4,), of each noun found."""
    frame = alps.select([*NOUN_COLUMNS, *box]).to_pandas()
    main = frame[frame["component_index"] == 0]
    by_caption = {
        (str(a), str(b), str(c)): rows
        for (a, b, c), rows in main.groupby(["dataset_id", "image_id", "caption"], sort=False)
    }
    for index, (dataset, image, caption, start, end) in enumerate(gold.keys):
        rows = by_caption.get((dataset, image, caption))
        if rows is None:
            continue
        covering = rows[(rows["char_start"] <= start) & (rows["char_end"] >= end)]
        if not covering.empty:
            spans: Ints = (covering["char_end"] - covering["char_start"]).to_numpy()
            yield index, covering[list(box)].to_numpy(np.float64)[spans.argmin()]
