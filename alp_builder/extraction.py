"""Narratives to rows of the ALP schema: the whole method, for one batch.

The steps are those of `alignment`, `phrases`, `windows`, `pointer`, `boxes` and `quality`, in this order.
Every phrase is accounted for: it becomes at least one ALP or is counted under the reason why not, so that
`phrases == phrases_with_alps + the sum of dropped.*`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alp_builder.alignment import align_utterances
from alp_builder.arrays import (
    Bools,
    Floats,
    Ints,
    bools_of,
    group_of,
    keep_freed_memory,
    offsets_of,
)
from alp_builder.boxes import Boxes, drop_reasons, make_boxes
from alp_builder.calibration import INPUTS, calibrated_boxes, check_fits
from alp_builder.config import BuildConfig
from alp_builder.narratives import GRID, MICROSECONDS, NarrativeBatch
from alp_builder.phrases import Phrase, PhraseExtractor
from alp_builder.pointer import WindowPoints, find_components, gather_points
from alp_builder.quality import quality_score
from alp_builder.schema import BOX, CALIBRATED_BOX, TIGHT_BOX, arrow_schema
from alp_builder.windows import Windows, phrase_windows

DROPPED = "dropped."
"""Prefix of the counts of phrases that gave no ALP, before the reason."""


@dataclass(frozen=True)
class PhraseTable:
    """F phrases of a batch that name things, as arrays.

    Attributes:
        narrative: int64 (F,), the narrative of each phrase.
        index: int64 (F,), which phrase of its narrative, dropped ones counted.
        phrases: The F phrases.
    """

    narrative: Ints
    index: Ints
    phrases: list[Phrase]

    # Spelled out: taking an attribute by its name takes three times as long.
    def char_starts(self) -> Ints:
        """First characters, int64 (F,)."""
        return np.fromiter([p.char_start for p in self.phrases], np.int64, len(self.phrases))

    def char_ends(self) -> Ints:
        """Ends of the characters, int64 (F,)."""
        return np.fromiter([p.char_end for p in self.phrases], np.int64, len(self.phrases))

    def plural(self) -> Bools:
        """Which phrases mean several things, bool (F,)."""
        return bools_of([p.is_plural for p in self.phrases])

    def take(self, chosen: Bools) -> PhraseTable:
        """The phrases where `chosen`, bool (F,), is set."""
        phrases = list(compress(self.phrases, chosen.tolist()))
        return PhraseTable(self.narrative[chosen], self.index[chosen], phrases)


@dataclass(frozen=True)
class Extraction:
    """The ALPs of a batch.

    Attributes:
        rows: Table of `arrow_schema`, in the order of narratives, phrases and components; R rows.
        narrative: int64 (R,), the narrative each row came from.
        counts: `alps`; `phrases`, `phrases_with_alps` and `dropped.REASON`, in phrases.
    """

    rows: pa.Table
    narrative: Ints
    counts: Counter[str]


class AlpExtractor:
    """Turns batches of narratives into ALPs.

    Args:
        config: All choices of the method.
        phrases: Finds noun phrases; loads the configured model where not given.

    Raises:
        UsageError: If the calibration is for boxes made otherwise.
    """

    def __init__(self, config: BuildConfig, phrases: PhraseExtractor | None = None) -> None:
        keep_freed_memory()
        if config.calibration is not None:
            check_fits(config.calibration, config)
        self.config = config
        self.phrases = phrases or PhraseExtractor(config.phrases)

    def extract(self, batch: NarrativeBatch) -> Extraction:
        """The ALPs of a batch of any number of narratives."""
        return self.locate(batch, list(self.phrases.extract(batch.captions)))

    def locate(self, batch: NarrativeBatch, phrases: Sequence[list[Phrase]]) -> Extraction:
        """The second half of `extract`: from the phrases of each of N narratives to rows."""
        located = locate_boxes(batch, phrases, self.config)
        counts = located.counts
        keep = self._filter(located.boxes, located.score, len(located.table.phrases), counts)
        kept = np.flatnonzero(keep)
        rows = _rows(batch, located, kept, self.config)
        counts["alps"] += rows.num_rows
        return Extraction(rows, located.table.narrative[located.boxes.window[kept]], counts)

    def _filter(self, boxes: Boxes, score: Floats, phrases: int, counts: Counter[str]) -> Bools:
        """Which boxes stay, (B,); counts each phrase left without any under its main box's reason."""
        reasons = drop_reasons(boxes, score, self.config.boxes)
        keep = np.ones(len(score), np.bool_)
        for flags in reasons.values():
            keep &= ~flags
        alive = np.bincount(boxes.window[keep], minlength=phrases) > 0
        counts["phrases_with_alps"] += int(alive.sum())
        seen = np.bincount(boxes.window, minlength=phrases) > 0
        counts[DROPPED + "no_points"] += int((~seen).sum())
        for name, flags in reasons.items():
            lost = flags & (boxes.rank == 0) & ~alive[boxes.window]
            counts[DROPPED + name] += int(lost.sum())
        return keep


@dataclass(frozen=True)
class Located:
    """F phrases with windows and B boxes, before boxes are filtered.

    Attributes:
        table: The phrases that have a window.
        windows: Their windows.
        points: Trace points of the windows.
        boxes: Boxes of the windows.
        score: float64 (B,), quality of the boxes.
        counts: Phrases found, and those that have no window by reason.
    """

    table: PhraseTable
    windows: Windows
    points: WindowPoints
    boxes: Boxes
    score: Floats
    counts: Counter[str]


def locate_boxes(
    batch: NarrativeBatch, phrases: Sequence[list[Phrase]], config: BuildConfig
) -> Located:
    """Alignment, windows, points, components, boxes and scores of a batch, arrays throughout.

    Args:
        batch: N narratives.
        phrases: The phrases of each of them.
        config: All choices.

    Returns:
        Everything but the rows.
    """
    counts: Counter[str] = Counter()
    table = _things(phrases, counts)
    start, end = table.char_starts(), table.char_ends()
    alignment = align_utterances(batch)
    windows = phrase_windows(batch, alignment, table.narrative, start, end, config.window)
    usable = windows.timed & windows.ordered
    counts[DROPPED + "no_timed_words"] += int((~windows.timed).sum())
    counts[DROPPED + "times_out_of_order"] += int((windows.timed & ~windows.ordered).sum())
    if not usable.all():
        table, windows = table.take(usable), windows.take(usable)
    points = gather_points(batch, table.narrative, windows.start, windows.end, config.trace)
    is_plural = table.plural()
    components = find_components(points, is_plural, config.trace)
    most = np.where(is_plural, config.boxes.plural_components, 1)
    boxes = make_boxes(windows, points, components, most, config.boxes)
    return Located(table, windows, points, boxes, quality_score(boxes), counts)


def _things(phrases: Sequence[list[Phrase]], counts: Counter[str]) -> PhraseTable:
    """The phrases that name things; the others are counted."""
    every = list(chain.from_iterable(phrases))
    reasons = [phrase.dropped for phrase in every]
    counts["phrases"] += len(every)
    for reason, count in Counter(filter(None, reasons)).items():
        counts[DROPPED + reason] += count
    offsets = offsets_of(np.fromiter(map(len, phrases), np.int64, len(phrases)))
    things = [not reason for reason in reasons]
    kept = np.flatnonzero(bools_of(things))
    narrative = group_of(offsets).take(kept)
    index = kept - offsets.take(narrative)
    return PhraseTable(narrative, index, list(compress(every, things)))


def _rows(batch: NarrativeBatch, located: Located, kept: Ints, config: BuildConfig) -> pa.Table:
    """Arrow rows of the boxes that stay, in the order of narratives, phrases and components."""
    table, boxes, score = located.table, located.boxes, located.score
    window = boxes.window[kept]
    rank = boxes.rank[kept]
    narrative = table.narrative[window]
    phrases = [table.phrases[index] for index in window.tolist()]
    ids = batch.narrative_ids()
    owners = narrative.tolist()
    captions = [batch.captions[i] for i in owners]
    keys = zip(owners, table.index[window].tolist(), rank.tolist(), strict=True)
    box = dict(zip(BOX, boxes.xyxy[kept].astype(np.float32).T, strict=True))
    tight = dict(zip(TIGHT_BOX, boxes.tight[kept].astype(np.float32).T, strict=True))
    columns: dict[str, object] = {
        "alp_id": [f"{ids[i]}-{phrase:03d}-{component}" for i, phrase, component in keys],
        "narrative_id": [ids[i] for i in owners],
        "dataset_id": [batch.dataset_ids[i] for i in owners],
        "image_id": [batch.image_ids[i] for i in owners],
        "annotator_id": batch.annotator_ids[narrative],
        "caption": captions,
        "phrase": [c[p.char_start : p.char_end] for c, p in zip(captions, phrases, strict=True)],
        "phrase_text": [phrase.text for phrase in phrases],
        "head_lemma": [phrase.head_lemma for phrase in phrases],
        "is_plural": [phrase.is_plural for phrase in phrases],
        "is_group": [phrase.is_group for phrase in phrases],
        "phrase_index": table.index[window].astype(np.int32),
        "component_index": rank.astype(np.int32),
        "char_start": np.array([phrase.char_start for phrase in phrases], np.int32),
        "char_end": np.array([phrase.char_end for phrase in phrases], np.int32),
        "t_start": _seconds(located.windows.start[window]),
        "t_end": _seconds(located.windows.end[window]),
        **box,
        **tight,
        "num_points": boxes.num_points[kept].astype(np.int32),
        "dwell_time": boxes.dwell_time[kept].astype(np.float32),
        "dwell_fraction": boxes.dwell_fraction[kept].astype(np.float32),
        "num_components": boxes.num_components[kept].astype(np.int32),
        "hull_area": boxes.hull_area[kept].astype(np.float32),
        "time_gap": boxes.time_gap[kept].astype(np.float32),
        "inside_fraction": boxes.inside_fraction[kept].astype(np.float32),
        "score": score[kept].astype(np.float32),
    }
    if config.with_traces:
        columns |= _traces(located.points, boxes, kept)
    if config.calibration is not None:
        inputs = {name: np.asarray(columns[name]) for name in INPUTS}
        calibrated = calibrated_boxes(config.calibration, inputs).astype(np.float32)
        columns |= dict(zip(CALIBRATED_BOX, calibrated.T, strict=True))
    schema = arrow_schema(config.groups)
    arrays = [pa.array(columns[name], schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(arrays, schema=schema)


def _traces(points: WindowPoints, boxes: Boxes, kept: Ints) -> dict[str, object]:
    """The list columns: x, y, t of each kept box's points."""
    groups = boxes.points
    chosen = [groups.index[groups.offsets[box] : groups.offsets[box + 1]] for box in kept.tolist()]
    return {
        "trace_x": [(points.x[index] / GRID).astype(np.float32) for index in chosen],
        "trace_y": [(points.y[index] / GRID).astype(np.float32) for index in chosen],
        "trace_t": [_seconds(points.t[index]) for index in chosen],
    }


def _seconds(microseconds: Ints) -> npt.NDArray[np.float32]:
    return (microseconds / MICROSECONDS).astype(np.float32)
