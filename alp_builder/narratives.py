"""Typed reader of narratives: a stretch of a file in, flat arrays out, bad records kept aside.

A `NarrativeBatch` holds many narratives as a structure of arrays, in the legend used throughout:

    N  narratives          U  utterances of all of them        P  trace points of all of them

Strings are Python lists; numbers are numpy arrays; `utterance_offsets` and `point_offsets`, both of shape
(N + 1,), say which slice belongs to which narrative. Times are **int64 microseconds** on the recording's
clock, so that comparing them is exact wherever a narrative stands in a batch; coordinates are float64
fractions of the image's width and height, origin at the top left, and may lie a little outside [0, 1].
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alp_builder.arrays import Bools, Grid, Ints, group_of, offsets_of, segment_any
from alp_builder.config import InputConfig
from alp_builder.records import (
    Line,
    NarrativeRecord,
    RecordError,
    RejectedRecord,
    parse_line,
    read_lines,
)

MICROSECONDS = 1_000_000
GRID = 1 << 24
"""Grid cells along each side of the image: places are integers of them, finer than float32 near 1."""


@dataclass(frozen=True)
class NarrativeBatch:
    """N narratives as flat arrays, see the module's legend.

    Attributes:
        dataset_ids: N names of data sets.
        image_ids: N names of images.
        annotator_ids: int64 (N,).
        captions: N captions.
        actors: N names of the actor a video narrative follows, else empty.
        spoken: The texts of all utterances end to end.
        spoken_offsets: int64 (U + 1,), where each one starts in it, in code points.
        utterance_offsets: int64 (N + 1,).
        utterance_start: int64 (U,), microseconds.
        utterance_end: int64 (U,), microseconds.
        point_offsets: int64 (N + 1,).
        x: int32 (P,), in units of 2^-24 of the image's width.
        y: int32 (P,), in units of 2^-24 of the image's height.
        t: int64 (P,), microseconds, never decreasing within a narrative.
        enters: bool (P,), whether a trace segment starts there: it does whenever the pointer comes back
            into the image.
    """

    dataset_ids: list[str]
    image_ids: list[str]
    annotator_ids: Ints
    captions: list[str]
    actors: list[str]
    spoken: str
    spoken_offsets: Ints
    utterance_offsets: Ints
    utterance_start: Ints
    utterance_end: Ints
    point_offsets: Ints
    x: Grid
    y: Grid
    t: Ints
    enters: Bools

    def __len__(self) -> int:
        return len(self.captions)

    @classmethod
    def from_records(cls, records: list[NarrativeRecord]) -> NarrativeBatch:
        """Flattens records; those without traces or timed words have empty slices."""
        words = [record.timed_caption or [] for record in records]
        traces = [record.traces or [] for record in records]
        flat_words = list(chain.from_iterable(words))
        texts = [word.utterance for word in flat_words]
        segments = list(chain.from_iterable(traces))
        points = list(chain.from_iterable(segments))
        segment_starts = offsets_of([len(segment) for segment in segments if segment])[:-1]
        enters = np.zeros(len(points), np.bool_)
        enters[segment_starts] = True
        point_counts = [sum(map(len, trace)) for trace in traces]
        return cls(
            dataset_ids=[record.dataset_id for record in records],
            image_ids=[record.image_id for record in records],
            annotator_ids=np.array([record.annotator_id for record in records], np.int64),
            captions=[record.caption for record in records],
            actors=[record.actor for record in records],
            spoken="".join(texts),
            spoken_offsets=offsets_of([len(text) for text in texts]),
            utterance_offsets=offsets_of([len(group) for group in words]),
            utterance_start=_microseconds([word.start_time for word in flat_words]),
            utterance_end=_microseconds([word.end_time for word in flat_words]),
            point_offsets=offsets_of(point_counts),
            x=_on_grid([point.x for point in points]),
            y=_on_grid([point.y for point in points]),
            t=_microseconds([point.t for point in points]),
            enters=enters,
        )

    def utterances(self, narrative: int) -> list[str]:
        """The texts of a narrative's utterances."""
        first, last = self.utterance_offsets[narrative : narrative + 2].tolist()
        bounds = self.spoken_offsets[first : last + 1].tolist()
        return [self.spoken[start:end] for start, end in pairwise(bounds)]

    def narrative_ids(self) -> list[str]:
        """N stable ids: 16 hexadecimal digits of a hash.

        It covers data set, image, annotator and caption, and the actor where there is one.
        """
        keys = zip(
            self.dataset_ids,
            self.image_ids,
            map(str, self.annotator_ids.tolist()),
            self.captions,
            self.actors,
            strict=True,
        )
        return [
            hashlib.blake2b("\0".join(key).removesuffix("\0").encode(), digest_size=8).hexdigest()
            for key in keys
        ]


@dataclass
class ReadResult:
    """What a stretch of an input gave.

    Attributes:
        batch: The usable narratives.
        rejected: The lines that were set aside.
        counts: `lines` with text; and narratives by what became of them: `usable`, `no_traces`,
            `empty_caption`, `no_timed_words`.
    """

    batch: NarrativeBatch
    rejected: list[RejectedRecord] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def read_narratives(
    path: Path, start: int, end: int, first_line: int, config: InputConfig, name: str | None = None
) -> ReadResult:
    """Reads the narratives of a byte range of a plain file.

    Args:
        path: A file of JSON lines, not compressed.
        start: Byte offset of the first line.
        end: Byte offset at which to stop, at a line's start or past the end.
        first_line: Number of the line at `start`, counted from 1.
        config: Limits on records.
        name: Name of the input in the quarantine file; default the path.

    Returns:
        The usable narratives and what was set aside. Nothing is raised for bad records.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        return read_stream(stream, start, end, first_line, config, name or str(path))


def read_stream(
    stream: BinaryIO, start: int, end: int, first_line: int, config: InputConfig, file: str
) -> ReadResult:
    """Reads narratives from where a stream of bytes stands, see `read_narratives`.

    Args:
        stream: It stands at the byte that has offset `start` in the input.
        start: Byte offset of the first line.
        end: Byte offset at which to stop.
        first_line: Number of the first line.
        config: Limits on records.
        file: Name of the input in the quarantine file.
    """
    rejected: list[RejectedRecord] = []
    lines: list[Line] = []  # the line of each record; a video narrative gives several records
    records: list[NarrativeRecord] = []
    counts: Counter[str] = Counter()
    for line in read_lines(stream, start, end, first_line, config.max_record_bytes):
        counts["lines"] += 1
        try:
            parsed = parse_line(line, config)
        except RecordError as error:
            rejected.append(line.rejected(file, error))
        else:
            records.extend(parsed)
            lines.extend([line] * len(parsed))
    batch = NarrativeBatch.from_records(records)
    problems = _problems(batch, config)
    bad_lines = {lines[index].number: (lines[index], error) for index, error in problems.items()}
    rejected.extend(line.rejected(file, error) for line, error in bad_lines.values())
    good = np.array([line.number not in bad_lines for line in lines], np.bool_)
    usable = good & _usable(batch, good, counts)
    if not usable.all():
        kept = [record for record, keep in zip(records, usable, strict=True) if keep]
        batch = NarrativeBatch.from_records(kept)
    rejected.sort(key=lambda entry: entry.line)
    return ReadResult(batch, rejected, counts)


def _problems(batch: NarrativeBatch, config: InputConfig) -> dict[int, RecordError]:
    """Narratives whose numbers cannot be right, by index, each with its first problem."""
    limit = int(config.max_time * MICROSECONDS)
    low, high = -config.coordinate_margin * GRID, (1 + config.coordinate_margin) * GRID
    words, points = batch.utterance_offsets, batch.point_offsets
    narrative = group_of(points)
    steps_back = np.zeros(len(batch.t), np.bool_)
    steps_back[1:] = (np.diff(batch.t) < 0) & (np.diff(narrative) == 0)
    inside = (batch.x >= low) & (batch.x <= high) & (batch.y >= low) & (batch.y <= high)
    checks = [
        ("negative_time", "a word starts before 0 s", segment_any(batch.utterance_start < 0, words)),
        ("negative_time", "a trace point lies before 0 s", segment_any(batch.t < 0, points)),
        ("unsorted_times", "a word ends before it starts",
         segment_any(batch.utterance_end < batch.utterance_start, words)),
        ("unsorted_times", "trace points are not in order of time", segment_any(steps_back, points)),
        ("time_out_of_range", "a time is later than input.max_time",
         segment_any(batch.utterance_end > limit, words) | segment_any(batch.t > limit, points)),
        ("not_normalised", "a trace point lies far outside the image; coordinates must be fractions",
         segment_any(~inside, points)),
    ]  # fmt: skip
    problems: dict[int, RecordError] = {}
    for reason, detail, flags in checks:
        for index in np.flatnonzero(flags).tolist():
            problems.setdefault(index, RecordError(reason, detail))
    return problems


def _usable(batch: NarrativeBatch, good: Bools, counts: Counter[str]) -> Bools:
    """Which narratives have all an ALP needs; the good ones that lack something are counted."""
    lacking = [
        ("no_traces", np.diff(batch.point_offsets) == 0),
        ("empty_caption", np.array([not caption.strip() for caption in batch.captions], np.bool_)),
        ("no_timed_words", np.diff(batch.utterance_offsets) == 0),
    ]
    rest = good.copy()
    for name, flags in lacking:
        counts[name] += int((rest & flags).sum())
        rest &= ~flags
    counts["usable"] += int(rest.sum())
    return rest


def _microseconds(seconds: list[float]) -> Ints:
    """Seconds to int64 microseconds; beyond 2**31 s they are clipped, far outside what is allowed."""
    array = np.clip(np.array(seconds, np.float64), -(2.0**31), 2.0**31)
    return np.rint(array * MICROSECONDS).astype(np.int64)


def _on_grid(fractions: list[float]) -> Grid:
    """Fractions of the image to grid units; beyond 63 images they are clipped, outside what is allowed."""
    array = np.clip(np.array(fractions, np.float64), -63.0, 63.0)
    return np.rint(array * GRID).astype(np.int32)
