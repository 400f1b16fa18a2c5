"""The trainer's one door to ALP shards: the builder's reader, and only the columns that are needed.

The reader checks manifest, schema version and split. What is added here is reading text columns as dictionaries,
so that a phrase said a thousand times is stored once, and captions, most of the bytes, never.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from alp_builder.errors import BadDataError, UsageError
from alp_builder.reader import AlpDataset, is_remote, open_alps
from alp_builder.schema import SCHEMA_VERSION

TEXT = ("dataset_id", "image_id", "phrase_text", "head_lemma")
"""Columns read as dictionaries."""


def open_shards(folder: str | Path, cache: Path, max_bytes: int) -> AlpDataset:
    """A finished data set.

    Args:
        folder: A folder, or a URL such as `s3://bucket/alps`.
        cache: Where shards of a URL are kept on this machine.
        max_bytes: Most bytes of them to keep.

    Raises:
        UsageError: If the folder does not exist, or the URL cannot be reached.
        BadDataError: If it has no manifest, or its schema is not one this program reads.
    """
    if is_remote(folder):
        return open_alps(folder, cache=cache, max_bytes=max_bytes)
    if not Path(folder).is_dir():
        raise UsageError(
            f"{folder}: no such folder; make ALPs with `alps build ... --out {folder}`"
        )
    return open_alps(folder)


def rows_fingerprint(shards: AlpDataset) -> str:
    """SHA-256 of the hashes of all rows, as the manifest lists them."""
    listed = shards.manifest.shards
    rows = [(shard.split, shard.path, shard.logical_sha256) for shard in listed]
    recipe = msgspec.json.encode((shards.manifest.schema_version, rows))
    return hashlib.sha256(recipe).hexdigest()


def scan_rows(
    shards: AlpDataset, columns: Sequence[str], where: pc.Expression, split: str | None
) -> Iterator[pa.RecordBatch]:
    """Batches of rows, in the order of the shards, text columns as dictionaries.

    Args:
        shards: Data set.
        columns: Columns to read.
        where: Rows to read.
        split: Split to read, all if `None`.

    Raises:
        UsageError: If there is no such split.
        BadDataError: If a shard is missing, broken, or lacks a column.
    """
    text = [name for name in columns if name in TEXT]
    if shards.manifest.schema_version != SCHEMA_VERSION:
        for table in shards.shards(split):  # the reader brings older columns up to date
            yield from _encoded(table.filter(where).select(list(columns)), text).to_batches()
        return
    form = ds.ParquetFileFormat(dictionary_columns=text)
    for info in shards.infos(split):
        with shards.local(info) as path:
            shards.check([info])
            try:
                # No reading ahead: with it, the whole data set would wait in memory at once.
                scanner = ds.dataset(str(path), format=form).scanner(
                    columns=list(columns), filter=where, batch_readahead=1, fragment_readahead=1
                )
                yield from scanner.to_batches()
            except (OSError, pa.ArrowException) as error:
                reason = str(error).splitlines()[0]
                raise BadDataError(f"{path}: not a readable ALP shard ({reason})") from None


def _encoded(table: pa.Table, text: Sequence[str]) -> pa.Table:
    """The table with its text columns as dictionaries."""
    for name in text:
        column = table[name].dictionary_encode()
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table
