"""How exact narratives are, real and simulated: the figures that profiles are calibrated to.

For each noun with known boxes the trace points of its window are taken, from the start of its first
word to the start of the next word (the last word: to its end). Then

    in-box precision = points inside one of the boxes / points, pooled over nouns     (published
    figure) area ratio       = area of the tight box round the points / area of the box round the
    true boxes coverage         = area of their intersection / area of the box round the true boxes
    parts            = pieces of the trace after cutting where more than `PART_GAP` seconds pass or
    a
                       segment ends, pieces whose boxes come closer than `PART_MARGIN` counted as
                       one

Boxes are xyxy in image sides, origin top left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from alp_builder.simulate.coco import read_coco
from alp_builder.simulate.records import Narrative, TruthPhrase, truth_path

PART_GAP = 0.4
"""Seconds without a point that part a trace."""

PART_MARGIN = 0.02
"""Pieces closer than this (image sides) are one part."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun of a caption and where it truly is.

    Attributes:
        char_start: First character of the noun.
        char_end: One past its last character.
        boxes: True boxes, `(n, 4)`.
    """

    char_start: int
    char_end: int
    boxes: Floats


@dataclass(frozen=True, slots=True)
class NounStats:
    """Figures of nouns with trace, each `(nouns,)`.

    Attributes:
        points: Points in the window.
        inside: Points in a true box.
        seconds: Length of the window.
        dwell: Seconds with trace in the window.
        area_ratio: Area of the tight box over that of the truth.
        coverage: Share of the truth the tight box covers.
        parts: Parts of the trace.
    """

    points: Floats
    inside: Floats
    seconds: Floats
    dwell: Floats
    area_ratio: Floats
    coverage: Floats
    parts: Floats

    @property
    def precision(self) -> float:
        """In-box precision."""
        return float(self.inside.sum() / max(self.points.sum(), 1))

    @property
    def multi_part_rate(self) -> float:
        """Share of nouns whose trace falls into several parts."""
        return float((self.parts > 1).mean())

    def table(self) -> dict[str, float]:
        """The figures in a row: counts, rates and medians."""
        return {
            "nouns": float(len(self.points)),
            "in_box_precision": self.precision,
            "multi_part_rate": self.multi_part_rate,
            "median_area_ratio": float(np.median(self.area_ratio)),
            "mean_coverage": float(self.coverage.mean()),
            "median_points": float(np.median(self.points)),
            "median_window_s": float(np.median(self.seconds)),
            "median_dwell_s": float(np.median(self.dwell)),
        }


@dataclass(frozen=True, slots=True)
class MotionStats:
    """How a pointer moves.

    Attributes:
        speed: Speed between successive points of a segment, image sides per second.
        interval: Seconds between them.
        points_per_word: Points in each word's window.
    """

    speed: Floats
    interval: Floats
    points_per_word: Floats


def trace_of(narrative: Narrative) -> tuple[Floats, NDArray[np.int64]]:
    """Points of a narrative, `(k, 3)` of x, y, t, and the segment of each, `(k,)`."""
    rows = [(p.x, p.y, p.t) for segment in narrative.traces for p in segment]
    lengths = [len(segment) for segment in narrative.traces]
    return np.array(rows, dtype=float).reshape(-1, 3), np.repeat(np.arange(len(lengths)), lengths)


def noun_stats(pairs: Iterable[tuple[Narrative, list[Noun]]]) -> NounStats:
    """Measure nouns.

    Args:
        pairs: Narratives, each with its nouns.
    """
    rows = [row for narrative, nouns in pairs for row in _measure(narrative, nouns)]
    table = np.array(rows, dtype=float).reshape(-1, len(fields(NounStats)))
    return NounStats(*table.T)


def motion_stats(narratives: Iterable[Narrative]) -> MotionStats:
    """Measure the motion of pointers."""
    speeds, intervals, words = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for narrative in narratives:
        xyt, segment = trace_of(narrative)
        step = np.diff(xyt, axis=0)[np.diff(segment) == 0]
        apart = np.maximum(step[:, 2], 1e-3)
        speeds.append(np.hypot(step[:, 0], step[:, 1]) / apart)
        intervals.append(step[:, 2])
        if narrative.timed_caption:
            edges = [u.start_time for u in narrative.timed_caption]
            edges.append(narrative.timed_caption[-1].end_time)
            words.append(np.diff(np.searchsorted(xyt[:, 2], edges)).astype(float))
    return MotionStats(*map(np.concatenate, (speeds, intervals, words)))


def window_of(narrative: Narrative, char_start: int, char_end: int) -> tuple[float, float] | None:
    """Time window of some characters: from their first word's start to the next word's start.

    Args:
        narrative: The narrative; its utterances must be words of the caption in order.
        char_start: First character.
        char_end: One past the last.

    Returns:
        Start and end in seconds, `None` where no utterance carries the characters.
    """
    position, hits = 0, []
    for index, timed in enumerate(narrative.timed_caption):
        at = narrative.caption.find(timed.utterance, position)
        if at < 0:
            continue
        position = at + len(timed.utterance)
        if at < char_end and position > char_start:
            hits.append(index)
    if not hits:
        return None
    words = narrative.timed_caption
    end = words[hits[-1]].end_time
    if hits[-1] + 1 < len(words):
        end = max(end, words[hits[-1] + 1].start_time)
    return words[hits[0]].start_time, end


def _measure(narrative: Narrative, nouns: list[Noun]) -> Iterator[tuple[float, ...]]:
    xyt, segment = trace_of(narrative)
    for noun in nouns:
        window = window_of(narrative, noun.char_start, noun.char_end)
        if window is None:
            continue
        first, last = np.searchsorted(xyt[:, 2], window)
        inner, of = xyt[first:last], segment[first:last]
        if len(inner) < 2:
            continue
        xy = inner[:, None, :2]
        within = np.all((xy >= noun.boxes[:, :2]) & (xy <= noun.boxes[:, 2:]), axis=2)
        inside = np.any(within, axis=1)
        low, high = inner[:, :2].min(0), inner[:, :2].max(0)
        truth_low, truth_high = noun.boxes[:, :2].min(0), noun.boxes[:, 2:].max(0)
        truth = float(np.prod(truth_high - truth_low))
        both = np.minimum(high, truth_high) - np.maximum(low, truth_low)
        gaps = np.diff(inner[:, 2])
        yield (
            len(inner),
            inside.sum(),
            window[1] - window[0],
            gaps[gaps <= PART_GAP].sum(),
            float(np.prod(high - low)) / truth,
            float(np.prod(np.maximum(both, 0))) / truth,
            _parts(inner, of),
        )


def _parts(xyt: Floats, segment: NDArray[np.int64]) -> int:
    """Number of parts of a trace that are apart in space."""
    cut = (np.diff(xyt[:, 2]) > PART_GAP) | (np.diff(segment) != 0)
    starts = np.concatenate([[0], np.flatnonzero(cut) + 1])
    low = np.minimum.reduceat(xyt[:, :2], starts) - PART_MARGIN / 2
    high = np.maximum.reduceat(xyt[:, :2], starts) + PART_MARGIN / 2
    near = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(2)
    label = np.arange(len(starts))
    for _ in starts:
        label = np.where(near, label[None, :], len(starts)).min(1)
    return len(np.unique(label))


def simulated_pairs(
    narratives_path: Path, coco_json: Path
) -> Iterator[tuple[Narrative, list[Noun]]]:
    """Simulated narratives with the true boxes of their things; stuff is left out.

    Args:
        narratives_path: Narratives with their truth file beside them.
        coco_json: The COCO file they speak of.
    """
    coco = read_coco(coco_json)
    size = {image.id: (image.width, image.height) for image in coco.images}
    box: dict[int, list[float]] = {}
    for things in coco.by_image.values():
        for a in things:
            (width, height), (x, y, w, h) = size[a.image_id], a.bbox
            box[a.id] = [x / width, y / height, (x + w) / width, (y + h) / height]
    nouns: dict[tuple[str, int], list[Noun]] = {}
    for line in truth_path(narratives_path).read_bytes().splitlines():
        truth = msgspec.json.decode(line, type=TruthPhrase)
        if truth.is_thing:
            boxes = np.array([box[i] for i in truth.annotation_ids])
            key = (truth.image_id, truth.annotator_id)
            nouns.setdefault(key, []).append(Noun(truth.noun_start, truth.noun_end, boxes))
    for narrative in read_narratives(narratives_path):
        yield narrative, nouns.get((narrative.image_id, narrative.annotator_id), [])


def read_narratives(path: Path) -> Iterator[Narrative]:
    """Records of a narratives file that is known to be good."""
    with path.open("rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Narrative)


def gold_pairs(
    narratives_path: Path, rows: Iterable[dict[str, Any]]
) -> Iterator[tuple[Narrative, list[Noun]]]:
    """Real narratives with boxes drawn by eye.

    Args:
        narratives_path: Narratives in the published schema.
        rows: Rows of the gold table: `dataset_id`, `image_id`, `caption`, `char_start`, `char_end`,
            `x0`, `y0`, `x1`, `y1`; a noun of several boxes has several rows.
    """
    gold: dict[tuple[str, str, str], dict[tuple[int, int], list[list[float]]]] = {}
    for row in rows:
        key = (row["dataset_id"], row["image_id"], row["caption"])
        span = (int(row["char_start"]), int(row["char_end"]))
        boxes = gold.setdefault(key, {}).setdefault(span, [])
        boxes.append([float(row[side]) for side in ("x0", "y0", "x1", "y1")])
    for narrative in read_narratives(narratives_path):
        spans = gold.get((narrative.dataset_id, narrative.image_id, narrative.caption), {})
        yield narrative, [Noun(a, b, np.array(boxes)) for (a, b), boxes in spans.items()]
