"""Parquet shards: the same rows give the same bytes.

A shard holds all ALPs of a range of images. Which shard an image falls into follows from a hash of its name
and the number of shards alone; within a shard, rows are sorted by data set, image, narrative, phrase and
component, so an image's ALPs stand together. Nothing depends on the order in which chunks were finished.

Besides the SHA-256 of its bytes, which repeat within a version of pyarrow (the footer holds the version), a
shard has a **logical hash** of its rows alone, to be compared across versions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alp_builder.arrays import arrow_ints, numpy_of
from alp_builder.config import ShardConfig
from alp_builder.errors import BadDataError
from alp_builder.files import atomic_file, sha256_of

IMAGE_HASH = "_image_hash"
"""Column of intermediate rows: which shard they go to, uint64."""

SOURCE = "_source"
"""Column of intermediate rows: chunk number and narrative in it, int64, to tell duplicates apart."""

SORT_KEYS = ("dataset_id", "image_id", "narrative_id", "phrase_index", "component_index")

_STRING_COLUMNS = (
    "narrative_id", "dataset_id", "image_id", "caption", "phrase", "phrase_text", "head_lemma",
)  # fmt: skip


class ShardInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A shard as the manifest lists it.

    Attributes:
        path: Relative to the data set's folder, with `/`.
        split: Its split.
        rows: ALPs.
        size: Bytes.
        sha256: Of the bytes.
        logical_sha256: Of the rows, see `logical_hash`.
    """

    path: str
    split: str
    rows: int
    size: int
    sha256: str
    logical_sha256: str


def shard_path(split: str, index: int, count: int) -> str:
    """Where a shard lies in the data set's folder, such as `split=train/part-00000-of-00002.parquet`."""
    return f"split={split}/part-{index:05d}-of-{count:05d}.parquet"


SHARD_PATH = re.compile("split=[^/]+/part-[^/]*-of-[^/]*[.]parquet")
"""What `shard_path` names look like, of any number of shards."""


def image_hashes(dataset_ids: list[str], image_ids: list[str]) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each (data set, image) pair, uint64 of the lists' length."""
    known: dict[tuple[str, str], int] = {}
    hashes = np.empty(len(image_ids), np.uint64)
    for row, key in enumerate(zip(dataset_ids, image_ids, strict=True)):
        value = known.get(key)
        if value is None:
            digest = hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest()
            value = known[key] = int.from_bytes(digest, "big")
        hashes[row] = value
    return hashes


def hash_range(index: int, count: int) -> tuple[int, int]:
    """The image hashes of one of `count` shards, as a closed range."""
    return index * 2**64 // count, (index + 1) * 2**64 // count - 1


def merge_rows(pieces: Iterable[pa.Table], schema: pa.Schema) -> tuple[pa.Table, int, int]:
    """Rows of a shard out of the pieces of all chunks.

    A narrative that stands in the inputs more than once (a file given twice, two overlapping files) is
    taken from where it stands first.

    Args:
        pieces: Tables of the schema's columns plus `IMAGE_HASH` and `SOURCE`.
        schema: Columns of the shard.

    Returns:
        The sorted rows, the number of rows left out as duplicates, and of narratives they came from.
    """
    filled = [piece for piece in pieces if piece.num_rows]
    if not filled:
        return schema.empty_table(), 0, 0
    table = pa.concat_tables(filled)
    del filled
    narrative = table["narrative_id"].combine_chunks().dictionary_encode()
    code, source = numpy_of(narrative.indices), numpy_of(table[SOURCE])
    first = np.full(len(narrative.dictionary), np.iinfo(np.int64).max)
    np.minimum.at(first, code, source)
    extra = source != first[code]
    duplicates = len(np.unique(np.stack([code[extra], source[extra]]), axis=1).T)
    order = numpy_of(pc.sort_indices(table, sort_keys=[(key, "ascending") for key in SORT_KEYS]))
    order = arrow_ints(order[~extra[order]])
    columns = []
    for (
        name
    ) in schema.names:  # one at a time, letting go of each, so that a shard is held about once
        columns.append(table[name].take(order).combine_chunks())
        table = table.drop_columns(name)
    return pa.Table.from_arrays(columns, schema=schema), int(extra.sum()), duplicates


def write_shard(
    table: pa.Table, path: Path, relative: str, split: str, config: ShardConfig
) -> ShardInfo:
    """Writes rows to a Parquet file that appears whole or not at all.

    Args:
        table: Sorted rows of the ALP schema.
        path: Where it goes.
        relative: Its path in the data set.
        split: Its split.
        config: Row groups and compression.

    Returns:
        What the manifest says of it.
    """
    with atomic_file(path) as stream:
        pq.write_table(
            table,
            stream,
            compression="zstd",
            compression_level=config.compression_level,
            row_group_size=config.row_group_rows,
            use_dictionary=list(_STRING_COLUMNS),
            write_statistics=True,
        )
    return ShardInfo(
        path=relative,
        split=split,
        rows=table.num_rows,
        size=path.stat().st_size,
        sha256=sha256_of(path),
        logical_sha256=logical_hash(table),
    )


def logical_hash(table: pa.Table) -> str:
    """SHA-256 over names, types and values, column by column, the same in every version of pyarrow.

    Args:
        table: Any rows without nulls.

    Returns:
        The hash in hexadecimal.
    """
    digest = hashlib.sha256(f"{table.num_rows} rows\n".encode())
    for name in table.schema.names:
        digest.update(f"{name} {table.schema.field(name).type}\n".encode())
        _hash_array(digest, table[name].combine_chunks())
    return digest.hexdigest()


def _hash_array(digest: hashlib._Hash, array: pa.Array) -> None:
    """Adds the values of an array: lengths of strings or lists first, then content, little-endian."""
    if pa.types.is_string(array.type):
        if not len(array):
            return  # there may be no buffers
        _, places, content = array.buffers()
        bounds = np.frombuffer(places, np.int32)[array.offset : array.offset + len(array) + 1]
        text = memoryview(content or b"")
        for start in range(0, len(array), 65_536):
            block = bounds[start : start + 65_536 + 1]
            digest.update(np.diff(block).astype("<i4").tobytes())
            digest.update(text[block[0] : block[-1]])
    elif pa.types.is_list(array.type):
        lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
        digest.update(lengths.astype("<i4").tobytes())
        _hash_array(digest, array.flatten())
    else:
        is_bits = pa.types.is_boolean(array.type)
        values = numpy_of(array.cast(pa.uint8()) if is_bits else array)
        digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())


def check_bytes(folder: Path, shard: ShardInfo) -> None:
    """Checks that a shard's file is the one of the manifest, byte for byte.

    Raises:
        BadDataError: If it is missing, or its size or hash differs.
    """
    path = folder / shard.path
    try:
        size = path.stat().st_size
        if size != shard.size:
            raise BadDataError(f"{shard.path}: {size} bytes, the manifest says {shard.size}")
        if sha256_of(path) != shard.sha256:
            raise BadDataError(
                f"{shard.path}: its SHA-256 differs from the manifest's: the file was changed"
            )
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror})") from error


def read_shard(path: Path) -> pa.Table:
    """Reads one shard without taking the `split=` of its folder for a column.

    Raises:
        BadDataError: If it is no readable Parquet file.
    """
    try:
        # A path, not an open Python file: a thread of Arrow's that lets go of one while the interpreter
        # ends aborts the process (apache/arrow#34314).
        with pq.ParquetFile(path) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise BadDataError(f"{path}: not a readable Parquet file ({error})") from error
