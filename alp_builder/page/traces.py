"""Traces for a page: the pointer's whole way where narratives are at hand, else what shards keep of it.

Shards built with traces keep the points that boxes were made of: where the pointer dwelt. What lies between
them is unknown, and is marked so. The inputs of the build hold everything: there each point is told for dwelling
or travelling as the build did it (`alp_builder.pointer`), and an ALP's part of the trace is what it shares with
the points in its row, or, without those, all of its window.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from alp_builder.alignment import align_utterances
from alp_builder.arrays import Bools, Floats, Ints
from alp_builder.config import BuildConfig, TraceConfig
from alp_builder.copies import localise
from alp_builder.inputs import find_sources, scan
from alp_builder.narratives import GRID, MICROSECONDS, NarrativeBatch, read_narratives
from alp_builder.page.config import PageConfig
from alp_builder.page.document import PageTrace
from alp_builder.pointer import gather_points

DWELL, TRAVEL, START, UNKNOWN = range(4)
"""How the pointer came to a point; see `PageTrace.kinds`."""

_SAME_TIME = 5e-4  # seconds; shards keep times as float32, narratives as microseconds
_REACH = 10.0  # image sides; no recorder writes more, and the build sets such records aside


@dataclass(frozen=True)
class Trace:
    """P points of one narrative in order of time.

    Attributes:
        x: float64 (P,), fractions of the image's width.
        y: float64 (P,), fractions of the image's height.
        t: float64 (P,), seconds.
        kind: uint8 (P,), how the pointer came there.
    """

    x: Floats
    y: Floats
    t: Floats
    kind: npt.NDArray[np.uint8]

    def thinned(self, most: int) -> Trace:
        """At most so many points, evenly chosen; a start that falls out passes on to the next point."""
        if len(self.t) <= most:
            return self
        kept = np.unique(np.linspace(0, len(self.t) - 1, most).astype(np.int64))
        kind = self.kind[kept]
        starts = np.cumsum(self.kind == START)[kept]
        kind[1:][np.diff(starts) > 0] = START
        return Trace(self.x[kept], self.y[kept], self.t[kept], kind)

    def packed(self) -> PageTrace:
        """The form of the page."""
        scaled = np.stack([self.x * 10_000, self.y * 10_000, self.t * 1_000], 1)
        whole = np.rint(scaled).astype(np.int64)
        steps = np.diff(whole, axis=0, prepend=0)
        return PageTrace(points=steps.ravel().tolist(), kinds="".join(map(str, self.kind.tolist())))

    def part(self, times: Floats) -> list[int]:
        """Ranges of points at given times, see `PageAlp.part`; times the trace lacks are left out."""
        if not len(self.t) or not len(times):
            return []
        place = np.searchsorted(self.t, times - _SAME_TIME)
        place = place[place < len(self.t)]
        near = np.abs(self.t[place] - times[: len(place)]) <= _SAME_TIME
        return _ranges(np.unique(place[near]))

    def during(self, start: float, end: float) -> list[int]:
        """The range of points between two times."""
        return _ranges(np.flatnonzero((self.t >= start) & (self.t <= end)))


def _ranges(places: Ints) -> list[int]:
    """Sorted places to start, end, start, end ... of their runs.

    >>> _ranges(np.array([3, 4, 5, 9]))
    [3, 6, 9, 10]
    """
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    pairs: list[int] = np.stack([starts, ends], 1).ravel().tolist()
    return pairs


def row_points(row: dict[str, Any]) -> Floats:
    """The points in an ALP's row: x, y, t, float64 (3, n); those that are no numbers are left out."""
    columns = [np.asarray(row.get(f"trace_{axis}") or [], np.float64) for axis in "xyt"]
    count = min(map(len, columns))
    points = np.stack([column[:count] for column in columns])
    points = points[:, np.isfinite(points).all(0) & (points[2] >= 0)]
    points[:2] = np.clip(points[:2], -_REACH, _REACH)
    return points


def shard_trace(rows: list[dict[str, Any]], config: PageConfig) -> Trace | None:
    """What the ALPs of one narrative hold of its trace; `None` where they hold nothing."""
    x, y, t = np.concatenate([np.zeros((3, 0)), *map(row_points, rows)], 1)
    if not len(t):
        return None
    order = np.unique(np.rint(t * 10_000), return_index=True)[1]
    x, y, t = x[order], y[order], t[order]
    kind = np.full(len(t), DWELL, np.uint8)
    kind[1:][np.diff(t) > config.gap] = UNKNOWN
    kind[0] = START
    return Trace(x, y, t, kind).thinned(config.max_points)


@dataclass(frozen=True)
class Told:
    """What a narrative tells beside its ALPs.

    Attributes:
        trace: The pointer's whole way.
        words: Start and end in the caption, in code points, and start and end in seconds, of each word.
    """

    trace: Trace
    words: list[tuple[int, int, float, float]]


def read_told(
    inputs: list[str],
    wanted: set[str],
    build_config: dict[str, Any],
    config: PageConfig,
    progress: bool,
) -> dict[str, Told]:
    """Looks narratives up in the inputs of a build.

    Args:
        inputs: Files, folders, globs or URLs.
        wanted: Ids of narratives.
        build_config: The configuration of the build, from its manifest.
        config: Limits.
        progress: Whether to show a progress bar.

    Returns:
        What was found, by id of the narrative.

    Raises:
        UsageError: If an input does not exist.
        BadDataError: If one cannot be read.
    """
    known = _build_config(build_config)
    told: dict[str, Told] = {}
    with tempfile.TemporaryDirectory() as folder:
        for batch in _batches(inputs, known, Path(folder), progress):
            ids = batch.narrative_ids()
            chosen = [i for i, name in enumerate(ids) if name in wanted and name not in told]
            if chosen:
                found = _tell(batch, np.array(chosen), known.trace, config)
                told |= {ids[i]: one for i, one in zip(chosen, found, strict=True)}
            if len(told) == len(wanted):
                break
    return told


def _build_config(tree: dict[str, Any]) -> BuildConfig:
    """The parts of a build's configuration that decide how traces are read; the defaults if it is none."""
    parts = {name: tree[name] for name in ("input", "trace") if name in tree}
    try:
        return msgspec.convert(parts, BuildConfig)
    except msgspec.ValidationError:
        return BuildConfig()


def _batches(
    inputs: list[str], config: BuildConfig, folder: Path, progress: bool
) -> Iterator[NarrativeBatch]:
    sources = find_sources(inputs, "train")
    for source in tqdm(sources, desc="reading traces", unit="file", disable=not progress):
        path = localise(source, folder, config.input.max_inflation)
        _, chunks = scan(path, source, 0, 0, config.shards.chunk_bytes)
        for chunk in chunks:
            read = read_narratives(path, chunk.start, chunk.end, chunk.first_line, config.input)
            yield read.batch


def _tell(
    batch: NarrativeBatch, chosen: Ints, trace_config: TraceConfig, config: PageConfig
) -> list[Told]:
    """Traces and words of some narratives of a batch."""
    bounds = batch.point_offsets
    first, last = batch.t[bounds[chosen]], batch.t[bounds[chosen + 1] - 1]
    points = gather_points(batch, chosen, first, last, trace_config)
    alignment = align_utterances(batch)
    placed = (alignment.char_start >= 0) & ~alignment.out_of_order
    told = []
    for number, narrative in enumerate(chosen.tolist()):
        own = slice(points.offsets[number], points.offsets[number + 1])
        kind = _kinds(points.enters[own], points.slow[own])
        t = points.t[own] / MICROSECONDS
        x, y = points.x[own] / GRID, points.y[own] / GRID
        trace = Trace(x, y, t, kind).thinned(config.max_points)
        spoken = range(batch.utterance_offsets[narrative], batch.utterance_offsets[narrative + 1])
        words = [
            (
                int(alignment.char_start[u]),
                int(alignment.char_end[u]),
                float(batch.utterance_start[u] / MICROSECONDS),
                float(batch.utterance_end[u] / MICROSECONDS),
            )
            for u in spoken
            if placed[u]
        ]
        told.append(Told(trace, words))
    return told


def _kinds(enters: Bools, slow: Bools) -> npt.NDArray[np.uint8]:
    kind = np.where(slow, DWELL, TRAVEL).astype(np.uint8)
    kind[1:][~slow[:-1]] = TRAVEL  # a line is dwelling if both of its ends are
    kind[enters] = START
    kind[:1] = START
    return kind
