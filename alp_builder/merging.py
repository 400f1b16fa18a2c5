"""Step 3 of a build: rows of all chunks into shards, rejected records of all chunks into one file.

Which image goes to which shard depends on the number of ALPs alone, so the counts of all chunks come first.
A shard that an earlier run has written is found by the note beside it and used again.

Every shard takes a little of every chunk. So that the cost does not grow with chunks times shards, the chunks
of a split of many shards are first joined to **runs** (of external sorting): files of `shards.run_bytes`,
sorted by image hash as chunks are, of which a shard takes its stretch. They change nothing in what is written.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from alp_builder import chunks as chunk_files
from alp_builder.config import BuildConfig
from alp_builder.files import atomic_file, sha256_of, write_atomic
from alp_builder.grouping import groups
from alp_builder.planning import Plan, Workplace
from alp_builder.progress import progress_bar
from alp_builder.publishing import Destination
from alp_builder.schema import arrow_schema
from alp_builder.shards import ShardInfo, merge_rows, shard_path, write_shard

JOINED_FROM = 8
"""With more shards than this chunks are joined first: it costs 3 ms a chunk, and spares 0.6 ms a chunk and
shard."""


def count_narratives(place: Workplace, numbers: list[int]) -> int:
    """Narratives in chunks that are done."""
    headers = (chunk_files.read_header(place.chunk(number)) for number in numbers)
    return sum(header.counts["narratives"] for header in headers)


@dataclass(frozen=True)
class Collected:
    """What the headers of all chunks say.

    Attributes:
        counts: Of narratives, phrases and ALPs, by what became of them.
        rejected: Records set aside, by reason.
        rows: ALPs of each split.
    """

    counts: Counter[str]
    rejected: Counter[str]
    rows: Counter[str]


def collect(plan: Plan, place: Workplace) -> Collected:
    """Counts over all chunks; writes the records set aside, in the order of the inputs, to a file.

    One chunk at a time is held: an input may be nothing but bad records.
    """
    counts: Counter[str] = Counter(lines=0, narratives=0, usable=0, phrases=0, alps=0)
    rejected: Counter[str] = Counter()
    rows = Counter({entry.split: 0 for entry in plan.inputs})
    with atomic_file(place.quarantine) as stream:
        for chunk in plan.chunks:
            header = chunk_files.read_header(place.chunk(chunk.number))
            counts.update(header.counts)
            rows[plan.inputs[chunk.source].split] += header.counts["alps"]
            for entry in header.rejected:
                rejected[entry.reason] += 1
                stream.write(msgspec.json.encode(entry) + b"\n")
    for reason, number in rejected.items():
        counts[f"rejected.{reason}"] = number
    return Collected(counts, rejected, rows)


def merge(
    plan: Plan,
    place: Workplace,
    destination: Destination,
    found: Collected,
    config: BuildConfig,
    progress: bool,
) -> list[ShardInfo]:
    """Writes all shards into the work folder; adds to the counts what was found twice."""
    schema = arrow_schema(config.groups)
    jobs: list[tuple[str, list[Path], int, int]] = []
    for split, rows in sorted(found.rows.items()):
        numbers = [c.number for c in plan.chunks if plan.inputs[c.source].split == split]
        count = max(1, -(-rows // config.shards.rows_per_shard))
        files = [place.chunk(number) for number in numbers]
        if count > JOINED_FROM:
            files = _join_chunks(place, numbers, config.shards.run_bytes, progress)
        jobs += [(split, files, index, count) for index in range(count)]
    shards: list[ShardInfo] = []
    with progress_bar(len(jobs), "writing", "shard", shown=progress) as bar:
        for split, files, index, count in jobs:
            merged = _known_shard(place, destination, split, index, count)
            if merged is None:
                merged = _merge_shard(place, split, files, index, count, schema, config)
            found.counts["duplicate_alps"] += merged.extra_alps
            found.counts["duplicate_narratives"] += merged.extra_narratives
            shards.append(merged.info)
            bar.update()
    found.counts["alps_written"] = sum(shard.rows for shard in shards)
    return shards


def _join_chunks(
    place: Workplace, numbers: list[int], run_bytes: int, progress: bool
) -> list[Path]:
    """The files that hold the rows of some chunks: runs of consecutive chunks, of about a size.

    A run an earlier run of the program has made is used again: chunks do not change within a plan.
    """
    files: list[Path] = []
    with progress_bar(len(numbers), "joining", "chunk", shown=progress) as bar:
        for group in groups(numbers, lambda n: place.chunk(n).stat().st_size, run_bytes):
            if len(group) == 1:
                files.append(place.chunk(group[0]))
            else:
                files.append(place.work / "runs" / f"{group[0]:06d}-{group[-1]:06d}.arrow")
                if not files[-1].exists():
                    chunk_files.join([place.chunk(number) for number in group], files[-1])
            bar.update(len(group))
    return files


class _Merged(msgspec.Struct, frozen=True):
    """A shard that is written, and the duplicates left out of it."""

    info: ShardInfo
    extra_alps: int
    extra_narratives: int


def _known_shard(
    place: Workplace, destination: Destination, split: str, index: int, count: int
) -> _Merged | None:
    """A shard that an earlier run has written, staged or published already."""
    relative = shard_path(split, index, count)
    staged = place.shards / relative
    try:
        note = msgspec.json.decode(place.note(relative).read_bytes(), type=_Merged)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    info = note.info
    if (info.path, info.split) != (relative, split):  # damaged: it would go into the manifest
        return None
    if staged.is_file():
        return note if sha256_of(staged) == info.sha256 else None
    return note if destination.holds(relative, info.sha256, info.size) else None


def _merge_shard(
    place: Workplace,
    split: str,
    files: list[Path],
    index: int,
    count: int,
    schema: pa.Schema,
    config: BuildConfig,
) -> _Merged:
    """Writes one shard."""
    relative = shard_path(split, index, count)
    pieces = (chunk_files.read_rows(file, index, count) for file in files)
    rows, extra, narratives = merge_rows(pieces, schema)
    info = write_shard(rows, place.shards / relative, relative, split, config.shards)
    merged = _Merged(info, extra, narratives)
    write_atomic(place.note(relative), msgspec.json.encode(merged))
    return merged
