"""One chunk of input to one file of rows: the unit of work, of progress and of resuming.

An Arrow IPC file of the shard's columns plus the image hash, by which it is sorted, and where each
row came from. Counts and rejected records travel in its schema metadata, so that a chunk is one file that is
there or not.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import pyarrow as pa

from alp_builder.arrays import arrow_ints, numpy_of
from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError
from alp_builder.extraction import AlpExtractor
from alp_builder.files import atomic_file
from alp_builder.inputs import Chunk
from alp_builder.narratives import read_stream
from alp_builder.records import RejectedRecord
from alp_builder.shards import IMAGE_HASH, SOURCE, hash_range, image_hashes

_HEADER = b"alp_chunk"
_NARRATIVE_BITS = 24  # narratives to a chunk, in the row's source number


class ChunkTask(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk and where its rows go.

    Attributes:
        chunk: The stretch of input.
        path: Plain local file that holds it.
        name: What the user called the input.
        output: File for the rows.
    """

    chunk: Chunk
    path: str
    name: str
    output: str


class ChunkHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a chunk's file says besides its rows.

    Attributes:
        counts: `lines`, `narratives`, `usable` and its like, `phrases`, `dropped.*`, `alps`.
        rejected: Records set aside.
    """

    counts: dict[str, int]
    rejected: list[RejectedRecord]


def build_chunk(task: ChunkTask, extractor: AlpExtractor, config: BuildConfig) -> int:
    """Turns a chunk into its file of rows.

    Args:
        task: What to read and write.
        extractor: The method, loaded.
        config: All choices.

    Returns:
        Number of narratives read.

    Raises:
        BadDataError: If the input can no longer be read.
    """
    try:
        with Path(task.path).open("rb") as stream:
            stream.seek(task.chunk.start)
            rows, narratives = chunk_rows(stream, task, extractor, config)
    except OSError as error:
        raise BadDataError(f"{task.name}: cannot be read any more ({error.strerror})") from error
    with atomic_file(Path(task.output)) as out:
        write_rows(rows, out)
    return narratives


def chunk_rows(
    stream: BinaryIO, task: ChunkTask, extractor: AlpExtractor, config: BuildConfig
) -> tuple[pa.Table, int]:
    """The rows of a chunk, sorted by image hash, with its header.

    Args:
        stream: Stands at the chunk's first byte.
        task: What is read.
        extractor: The method, loaded.
        config: All choices.

    Returns:
        The rows, and the number of narratives read.
    """
    chunk = task.chunk
    read = read_stream(stream, chunk.start, chunk.end, chunk.first_line, config.input, task.name)
    found = extractor.extract(read.batch)
    rows, counts = found.rows, found.counts
    counts.update(read.counts)
    narratives = sum(read.counts[name] for name in read.counts if name != "lines")
    counts["narratives"] = narratives
    hashes = image_hashes(rows["dataset_id"].to_pylist(), rows["image_id"].to_pylist())
    order = np.argsort(hashes, kind="stable")
    source = (chunk.number << _NARRATIVE_BITS) + found.narrative
    rows = rows.append_column(IMAGE_HASH, pa.array(hashes)).append_column(SOURCE, pa.array(source))
    header = ChunkHeader(counts=dict(counts), rejected=read.rejected)
    metadata = {_HEADER: msgspec.json.encode(header)}
    return rows.take(pa.array(order)).replace_schema_metadata(metadata), narratives


def write_rows(rows: pa.Table, stream: BinaryIO) -> None:
    """Writes the rows of a chunk as an Arrow IPC file."""
    with pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_table(rows)


def read_header(path: Path) -> ChunkHeader:
    """Reads what a chunk's file says besides its rows.

    Raises:
        BadDataError: If the file is broken.
    """
    try:
        with pa.memory_map(str(path)) as stream:
            metadata = pa.ipc.open_file(stream).schema.metadata
            return msgspec.json.decode(metadata[_HEADER], type=ChunkHeader)
    except (OSError, pa.ArrowException, KeyError, TypeError, msgspec.DecodeError) as error:
        raise BadDataError(
            f"{path}: broken work file ({error}); delete it and run again"
        ) from error


def read_rows(path: Path, index: int, count: int) -> pa.Table:
    """Reads the rows of a chunk that go to one shard.

    Args:
        path: The chunk's file.
        index: Which shard.
        count: Of how many.

    Returns:
        The rows, with their image hash and source.

    Raises:
        BadDataError: If the file is broken.
    """
    try:
        with pa.memory_map(str(path)) as stream:
            table = pa.ipc.open_file(stream).read_all()
            low, high = hash_range(index, count)
            hashes = numpy_of(table[IMAGE_HASH])
            first = int(np.searchsorted(hashes, np.uint64(low), "left"))
            last = int(np.searchsorted(hashes, np.uint64(high), "right"))
            # A copy: a slice would keep the whole file mapped, and a shard takes a little of many files.
            chosen = arrow_ints(np.arange(first, last))
            return table.take(chosen).replace_schema_metadata(None)
    except (OSError, pa.ArrowException) as error:
        raise BadDataError(
            f"{path}: broken work file ({error}); delete it and run again"
        ) from error


def join(paths: list[Path], target: Path) -> None:
    """Writes the rows of some chunks, sorted by image hash, as one file of the same kind without header.

    Args:
        paths: Files of chunks.
        target: Where the file appears, whole.

    Raises:
        BadDataError: If one is broken.
    """
    rows = pa.concat_tables([read_rows(path, 0, 1) for path in paths])
    order = np.argsort(numpy_of(rows[IMAGE_HASH]), kind="stable")
    with atomic_file(target) as out:
        write_rows(rows.take(arrow_ints(order)).combine_chunks(), out)
