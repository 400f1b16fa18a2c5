"""Rows of shards into narratives of a page: grouped, bounded, in UTF-16 offsets.

Rows may come from anybody's shards: numbers that are none become 0 or the nearest end of their range, and what
exceeds the page's limits is cut and counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from alp_builder.page.config import PageConfig
from alp_builder.page.document import Box, PageAlp, PageNarrative, utf16_offsets
from alp_builder.page.traces import Told, Trace, row_points, shard_trace
from alp_builder.schema import BOX, CALIBRATED_BOX, TIGHT_BOX

Row = dict[str, Any]
_MAX_TIME = 1e6
_MAX_TEXT = 1_000


def page_narratives(
    rows: pa.Table, told: dict[str, Told], image: Callable[[str, str], int], config: PageConfig
) -> tuple[list[PageNarrative], list[str]]:
    """The narratives of rows, in the order of their first rows.

    Args:
        rows: Whole narratives out of shards.
        told: What narratives tell beside, by id.
        image: Gives the index of an image by `dataset_id` and `image_id`.
        config: Limits.

    Returns:
        The narratives, and sentences about what was cut.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows.to_pylist():
        groups.setdefault((row["split"], row["narrative_id"]), []).append(row)
    counts: Counter[str] = Counter()
    narratives = []
    for group in groups.values():
        kept = group[: config.max_alps]
        counts[f"ALPs were left out: a narrative shows {config.max_alps}"] += len(group) - len(kept)
        first = kept[0]
        counts["captions were cut"] += len(first["caption"]) > config.max_caption_chars
        number = image(first["dataset_id"], first["image_id"])
        narratives.append(_narrative(kept, told.get(first["narrative_id"]), number, config))
    return narratives, [f"{count:,} {what}." for what, count in counts.items() if count]


def _narrative(rows: list[Row], told: Told | None, image: int, config: PageConfig) -> PageNarrative:
    first = rows[0]
    caption = first["caption"][: config.max_caption_chars]
    trace = told.trace if told else shard_trace(rows, config)
    places = [place for row in rows for place in (row["char_start"], row["char_end"])]
    words = told.words if told else []
    places += [place for word in words for place in word[:2]]
    units = utf16_offsets(caption, places)
    pairs = list(zip(units[::2], units[1::2], strict=True))
    spoken = zip(pairs[len(rows) :], words, strict=True)
    return PageNarrative(
        id=first["narrative_id"][:_MAX_TEXT],
        dataset=first["dataset_id"][:_MAX_TEXT],
        image_id=first["image_id"][:_MAX_TEXT],
        image=image,
        split=first["split"][:_MAX_TEXT],
        annotator=str(first["annotator_id"]),
        caption=caption,
        alps=[_alp(row, span, trace) for row, span in zip(rows, pairs[: len(rows)], strict=True)],
        trace=trace.packed() if trace is not None else None,
        words=[(*pair, round(word[2], 3), round(word[3], 3)) for pair, word in spoken],
    )


def _alp(row: Row, span: tuple[int, int], trace: Trace | None) -> PageAlp:
    start, end = (_number(row[name], 0, _MAX_TIME, 3) for name in ("t_start", "t_end"))
    part: list[int] = []
    if trace is not None:
        times = row_points(row)[2]
        part = trace.part(times) if len(times) else trace.during(start, end)
    return PageAlp(
        id=row["alp_id"][:_MAX_TEXT],
        span=span,
        text=row["phrase_text"][:_MAX_TEXT],
        lemma=row["head_lemma"][:_MAX_TEXT],
        plural=row["is_plural"],
        group=row["is_group"],
        component=row["component_index"],
        components=row["num_components"],
        window=(start, max(start, end)),
        box=_box(row, BOX),
        tight=_box(row, TIGHT_BOX),
        calibrated=_box(row, CALIBRATED_BOX) if CALIBRATED_BOX[0] in row else None,
        score=_number(row["score"], 0, 1, 3),
        points=row["num_points"],
        dwell=_number(row["dwell_time"], 0, _MAX_TIME, 2),
        steady=_number(row["dwell_fraction"], 0, 1, 3),
        hull=_number(row["hull_area"], 0, 1, 4),
        gap=_number(row["time_gap"], 0, _MAX_TIME, 2),
        inside=_number(row["inside_fraction"], 0, 1, 3),
        part=part,
    )


def _box(row: Row, names: tuple[str, ...]) -> Box:
    x0, y0, x1, y1 = (_number(row[name], 0, 1, 4) for name in names)
    return x0, y0, x1, y1


def _number(value: float, low: float, high: float, digits: int) -> float:
    """A number within its range, whatever stands in the shard."""
    return round(min(max(value, low), high), digits) if math.isfinite(value) else low
