"""Checks every truth a data set claims: hashes, schema, ranges, order, counts.

The checks run from cheap to dear and stop at the first that fails, with what was found, what was expected and
what it means.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from alp_builder.errors import BadDataError
from alp_builder.manifest import Manifest
from alp_builder.reader import AlpDataset, is_remote, open_alps
from alp_builder.records import RejectedRecord
from alp_builder.schema import BOX, CALIBRATED_BOX, COLUMNS, SCHEMA_VERSION, arrow_schema
from alp_builder.shards import SORT_KEYS, ShardInfo, check_bytes, logical_hash, read_shard


def validate(folder: Path | str, progress: bool = True) -> Manifest:
    """Checks a data set.

    Args:
        folder: The data set: a folder, or a URL such as `s3://bucket/alps`.
        progress: Whether to show a progress bar.

    Returns:
        Its manifest, if all is true.

    Raises:
        UsageError: If a URL cannot be reached.
        BadDataError: At the first truth broken.
    """
    with _opened(folder) as dataset:
        manifest = dataset.manifest
        _check_files(dataset)
        _check_quarantine(dataset)
        seen: set[str] = set()
        for shard in tqdm(manifest.shards, desc="validating", unit="shard", disable=not progress):
            with dataset.local(shard):
                _check_shard(dataset.folder, shard, manifest)
                images = _check_rows(dataset.folder, shard)
            if not images.isdisjoint(seen):
                raise BadDataError(
                    f"{shard.path}: holds an image that an earlier shard of {shard.split} holds"
                )
            seen |= images
        _check_counts(manifest)
    return manifest


@contextmanager
def _opened(folder: Path | str) -> Iterator[AlpDataset]:
    """Opens a data set to check it.

    Shards of a URL are fetched afresh, one at a time: those in the user's cache tell nothing of what is there.
    """
    if not is_remote(folder):
        yield open_alps(folder)
        return
    from alp_builder.shard_cache import open_remote  # few validate from afar

    with TemporaryDirectory(prefix="alps-validate-") as cache:
        dataset = open_remote(str(folder), Path(cache))
        largest = max((shard.size for shard in dataset.manifest.shards), default=0)
        yield dataclasses.replace(dataset, max_bytes=largest)


def check_shard_files(dataset: AlpDataset) -> None:
    """Checks that the shards that are there are those of the manifest, byte for byte; reads no rows.

    Raises:
        BadDataError: If one is missing, changed, or not in the manifest.
    """
    _check_files(dataset)
    for shard in dataset.manifest.shards:
        with dataset.local(shard):
            check_bytes(dataset.folder, shard)


def _check_files(dataset: AlpDataset) -> None:
    """The shards that are there are those of the manifest, no more and no fewer."""
    listed = {shard.path for shard in dataset.manifest.shards}
    found = dataset.found()
    for missing in sorted(listed - found):
        raise BadDataError(
            f"{missing}: listed in the manifest, not on disk; build the data set again"
        )
    for extra in sorted(found - listed):
        raise BadDataError(
            f"{extra}: on disk, not in the manifest; readers would count it in: remove it"
        )


def _check_quarantine(dataset: AlpDataset) -> None:
    info = dataset.manifest.quarantine
    lines = dataset.quarantine().splitlines()
    try:
        for line in lines:
            msgspec.json.decode(line, type=RejectedRecord)
    except msgspec.DecodeError as error:
        raise BadDataError(f"{info.path}: a line is no quarantine record ({error})") from error
    if len(lines) != info.records:
        raise BadDataError(f"{info.path}: {len(lines)} records, the manifest says {info.records}")


def _check_shard(folder: Path, shard: ShardInfo, manifest: Manifest) -> None:
    """Bytes and schema are those of the manifest."""
    check_bytes(folder, shard)
    path = folder / shard.path
    if manifest.schema_version == SCHEMA_VERSION:
        expected = arrow_schema(tuple(manifest.groups))
        found = read_shard(path).schema
        if not found.equals(expected, check_metadata=True):
            raise BadDataError(
                f"{shard.path}: its schema is not version {SCHEMA_VERSION} of the columns"
            )


def _check_rows(folder: Path, shard: ShardInfo) -> set[str]:
    """Values keep what the schema promises. Returns the shard's images as keys."""
    table = read_shard(folder / shard.path)
    if table.num_rows != shard.rows:
        raise BadDataError(f"{shard.path}: {table.num_rows} rows, the manifest says {shard.rows}")
    if logical_hash(table) != shard.logical_sha256:
        raise BadDataError(f"{shard.path}: its logical hash differs from the manifest's")
    for problem in row_problems(table):
        raise BadDataError(f"{shard.path}: {problem}")
    keys = zip(table["dataset_id"].to_pylist(), table["image_id"].to_pylist(), strict=True)
    return {f"{shard.split}\0{dataset}\0{image}" for dataset, image in keys}


def row_problems(table: pa.Table) -> Iterator[str]:
    """Yields what is wrong with rows of the ALP schema; nothing if all is well.

    Args:
        table: Rows of any columns groups of the present schema.
    """
    for column in COLUMNS:
        if column.name not in table.schema.names or pa.types.is_list(column.type):
            continue
        values = table[column.name]
        if values.null_count:
            yield f"{column.name} holds nulls"
        if column.low is None and not pa.types.is_floating(column.type):
            continue
        numbers = values.to_numpy()
        bad = ~np.isfinite(numbers)
        if column.low is not None:
            bad |= numbers < column.low
        if column.high is not None:
            bad |= numbers > column.high
        if bad.any():
            yield f"{column.name} is {numbers[bad.argmax()]} in row {bad.argmax()}, out of its range"
    for names, what in ((BOX, "its box"), (CALIBRATED_BOX, "its calibrated box")):
        if set(names) <= set(table.schema.names):
            x0, y0, x1, y1 = (table[name].to_numpy() for name in names)
            yield from _rows_where((x0 >= x1) | (y0 >= y1), f"{what} has no area")
    start, end = table["t_start"].to_numpy(), table["t_end"].to_numpy()
    yield from _rows_where(start > end, "its window ends before it starts")
    spans = zip(
        *(table[name].to_pylist() for name in ("caption", "char_start", "char_end", "phrase")),
        strict=True,
    )
    wrong = np.array(
        [caption[first:last] != phrase for caption, first, last, phrase in spans], bool
    )
    yield from _rows_where(wrong, "caption[char_start:char_end] is not the phrase")
    if pc.count_distinct(table["alp_id"]).as_py() != table.num_rows:
        yield "an alp_id stands there twice"
    order = pc.sort_indices(table, sort_keys=[(key, "ascending") for key in SORT_KEYS])
    if not np.array_equal(order.to_numpy(), np.arange(table.num_rows)):
        yield "rows are not sorted by data set, image, narrative, phrase and component"


def _rows_where(bad: npt.NDArray[np.bool_], what: str) -> Iterator[str]:
    if bad.any():
        yield f"row {int(bad.argmax())}: {what}"


def _check_counts(manifest: Manifest) -> None:
    """In = out + set aside, for lines, narratives, phrases and ALPs."""
    counts = Counter(manifest.counts)

    def total(prefix: str) -> int:
        return sum(number for name, number in counts.items() if name.startswith(prefix))

    set_aside = total("rejected.")
    lacking = counts["no_traces"] + counts["empty_caption"] + counts["no_timed_words"]
    claims = [
        (
            "narratives = usable + lacking something",
            counts["narratives"],
            counts["usable"] + lacking,
        ),
        ("records set aside = quarantine", set_aside, manifest.quarantine.records),
        (
            "ALPs = written + duplicates",
            counts["alps"],
            counts["alps_written"] + counts["duplicate_alps"],
        ),
        (
            "rows = ALPs written",
            sum(shard.rows for shard in manifest.shards),
            counts["alps_written"],
        ),
    ]
    if "phrases_with_alps" in counts:  # data sets of before it was counted lack it
        with_alps = counts["phrases_with_alps"]
        claims.append(
            ("phrases = with ALPs + dropped", counts["phrases"], with_alps + total("dropped."))
        )
    if counts["lines"] < set_aside:
        raise BadDataError("manifest: more records set aside than lines read")
    for claim, left, right in claims:
        if left != right:
            raise BadDataError(f"manifest: {claim} does not hold: {left} is not {right}")
