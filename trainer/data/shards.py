"""The trainer's one door to ALP shards: schema and manifest checked, only needed columns read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from alp_builder.errors import BadDataError, UsageError
from alp_builder.schema import COLUMNS, SCHEMA_VERSION, VERSION_KEY

MANIFEST = Path("_alps") / "manifest.json"
TEXT = ("dataset_id", "image_id", "phrase_text", "head_lemma")
"""Columns of text, read as dictionaries: a phrase said a thousand times is stored once."""


def manifest_fingerprint(folder: Path) -> str:
    """SHA-256 of the manifest, which names every shard's own hash.

    Raises:
        UsageError: If the folder does not exist.
        BadDataError: If it has no manifest.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: no such folder; build ALPs with `alps build ... --out {folder}`"
        )
    try:
        data = (folder / MANIFEST).read_bytes()
        json.loads(data)
    except FileNotFoundError:
        raise BadDataError(
            f"{folder}: no {MANIFEST}, so no finished data set; run `alps build` again to finish it"
        ) from None
    except ValueError:
        raise BadDataError(f"{folder / MANIFEST}: not JSON; build the data set again") from None
    return hashlib.sha256(data).hexdigest()


def scan_shards(
    folder: Path, columns: Sequence[str], where: pc.Expression | None, split: str | None
) -> Iterator[pa.RecordBatch]:
    """Batches of the rows of all shards, in the order of the files.

    Args:
        folder: Data set with a manifest.
        columns: Columns to read.
        where: Rows to read, all if `None`.
        split: Split to read, all if `None`.

    Raises:
        BadDataError: If there is no manifest, or the schema is newer than this program or lacks a
            column.
        UsageError: If there is no such split.
    """
    manifest_fingerprint(folder)
    files = sorted(folder.glob(f"split={split or '*'}/*.parquet"))
    if not files:
        splits = sorted(path.name.removeprefix("split=") for path in folder.glob("split=*"))
        raise UsageError(
            f"{folder}: no shards of split {split!r}; it has {', '.join(splits) or 'none'}"
        )
    types = {column.name: column.type for column in COLUMNS}
    text = [name for name in columns if name in TEXT]
    format_ = ds.ParquetFileFormat(dictionary_columns=text)
    for path in files:
        shard = ds.dataset(path, format=format_)
        _check(path, shard.schema, columns, types)
        yield from shard.to_batches(columns=list(columns), filter=where)


def _check(
    path: Path, schema: pa.Schema, columns: Sequence[str], types: dict[str, pa.DataType]
) -> None:
    """Whether a shard can be read by this program."""
    stamp = (schema.metadata or {}).get(VERSION_KEY, b"")
    if not stamp.isdigit():
        raise BadDataError(f"{path}: no ALP schema version in its metadata; not an ALP shard")
    if not SCHEMA_VERSION - 1 <= int(stamp) <= SCHEMA_VERSION:
        raise BadDataError(
            f"{path}: schema version {int(stamp)}, this program reads {max(1, SCHEMA_VERSION - 1)}"
            f" to {SCHEMA_VERSION}; update the toolkit or build the shards again"
        )
    for name in columns:
        found = schema.field(name).type if name in schema.names else pa.null()
        if pa.types.is_dictionary(found):
            found = found.value_type
        if found != types[name]:
            raise BadDataError(f"{path}: column {name} is {found}, expected {types[name]}")
