"""How others read ALP shards: by manifest, by schema version, by split, with filters.

    from alp_builder import read_alps
    table = read_alps("data/alps", columns=["phrase_text", "x0", "y0", "x1", "y1"], split="train")
    frame = read_alps("data/alps", filters=[("score", ">=", 0.5)]).to_pandas()
    table = read_alps("s3://bucket/alps")               # through a cache, see `alp_builder.shard_cache`

The shards are plain Parquet and any Parquet reader opens them; this one adds what a program wants: a folder
without manifest is refused, so is a schema it does not know, and the columns of the version before are
brought up to the present one. Parquet finds only some damage by itself: a flipped bit may read as another box. So
a shard's hash is compared with the manifest's the first time a process reads it (1 GB/s), and again if it changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from alp_builder.errors import BadDataError, UsageError
from alp_builder.manifest import Manifest, read_manifest
from alp_builder.remote import is_url
from alp_builder.schema import GROUPS, SCHEMA_VERSION, VERSION_KEY
from alp_builder.shards import ShardInfo, check_bytes

Filters: TypeAlias = Any
"""`[(column, op, value), ...]`, lists of such lists joined by "or", or a `pyarrow.dataset` expression."""


def _from_1(table: pa.Table) -> pa.Table:
    """Version 2 only adds a group of columns that shards may lack."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), VERSION_KEY: b"2"})


UPGRADES: dict[int, Callable[[pa.Table], pa.Table]] = {1: _from_1}
"""For each older version that is still read, what turns its rows into those of the next version."""


_checked: set[tuple[str, str, int, int]] = set()
"""Shards whose bytes this process has checked: path, hash, size and time of change."""


@dataclass(frozen=True)
class AlpDataset:
    """A finished ALP data set.

    Attributes:
        folder: Where it lies.
        manifest: What is known of it.
    """

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """What the user calls it: its folder, or its URL."""
        return str(self.folder)

    @property
    def splits(self) -> list[str]:
        """Names of the splits, sorted."""
        return sorted({shard.split for shard in self.manifest.shards})

    @property
    def columns(self) -> list[str]:
        """Names of the columns its shards have, `split` left out; none where there is no shard.

        Raises:
            BadDataError: If the first shard is missing or broken.
        """
        for info in self.infos()[:1]:
            with self.local(info) as path:
                try:
                    return list(pq.read_schema(path).names)
                except (OSError, pa.ArrowException) as error:
                    raise BadDataError(f"{path}: not a readable shard ({error})") from error
        return []

    @property
    def num_rows(self) -> int:
        """Number of ALPs in all splits."""
        return sum(shard.rows for shard in self.manifest.shards)

    def infos(self, split: str | None = None) -> list[ShardInfo]:
        """What the manifest says of the shards of a split, or of all.

        Raises:
            UsageError: If there is no such split.
        """
        if split is not None and split not in self.splits:
            raise UsageError(f"{self.name}: no split {split!r}; there is {', '.join(self.splits)}")
        return [shard for shard in self.manifest.shards if split in (None, shard.split)]

    def paths(self, split: str | None = None) -> list[Path]:
        """The shard files of a split, or of all.

        Raises:
            UsageError: If there is no such split.
        """
        return [self.folder / shard.path for shard in self.infos(split)]

    def local(self, info: ShardInfo) -> AbstractContextManager[Path]:
        """The file of a shard, which stays while the context lasts."""
        return nullcontext(self.folder / info.path)

    def found(self) -> set[str]:
        """Names of the shard files that are there, whatever the manifest says."""
        files = self.folder.glob("split=*/*.parquet")
        return {path.relative_to(self.folder).as_posix() for path in files}

    def quarantine(self) -> bytes:
        """The file of the records that were set aside.

        Raises:
            BadDataError: If it is missing or was changed since the build.
        """
        info = self.manifest.quarantine
        data = self._bytes_of(info.path)
        if data is None or hashlib.sha256(data).hexdigest() != info.sha256:
            raise BadDataError(f"{info.path}: missing or changed since the build")
        return data

    def _bytes_of(self, name: str) -> bytes | None:
        """A small file of the data set, if it is there."""
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None

    def alone(self, name: str) -> AbstractContextManager[None]:
        """For work on a remote data set that one process of a machine does for all: others wait.

        Args:
            name: Of the work, as a file's name.
        """
        del name
        return nullcontext()

    def check(self, shards: Iterable[ShardInfo]) -> None:
        """Checks the bytes of shards; those that have not changed since the last check are not read again.

        Raises:
            BadDataError: If one is missing, or is not the file the manifest speaks of.
        """
        for shard in shards:
            path = self.folder / shard.path
            try:
                stat = path.stat()
            except OSError as error:
                raise BadDataError(f"{path}: cannot be read ({error.strerror})") from error
            key = (str(path.absolute()), shard.sha256, stat.st_size, stat.st_mtime_ns)
            if key not in _checked:
                check_bytes(self.folder, shard)
                _checked.add(key)

    def table(
        self,
        columns: Sequence[str] | None = None,
        filters: Filters = None,
        split: str | None = None,
    ) -> pa.Table:
        """Reads rows into memory.

        Args:
            columns: Which columns; default all, and `split`, the name of the row's split.
            filters: As `pyarrow.parquet.read_table` takes them, or a dataset expression.
            split: Which split; default all.

        Returns:
            An Arrow table in the order of the shards, the columns those of the present version.

        Raises:
            UsageError: If a column, a filter or a split does not exist.
            BadDataError: If a shard is missing, broken or changed.
        """
        import pyarrow.dataset as ds  # brings pandas along, and every verb imports this module

        self.check(self.infos(split))
        paths = self.paths(split)
        expression = filters
        if filters is not None and not isinstance(filters, ds.Expression):
            try:
                expression = pq.filters_to_expression(filters)
            except (TypeError, ValueError) as error:
                raise UsageError(f"filters {filters!r}: expected [(column, op, value)]") from error
        old = self.manifest.schema_version < SCHEMA_VERSION
        try:
            dataset = ds.dataset(
                [str(path) for path in paths],
                format="parquet",
                partitioning=ds.HivePartitioning(pa.schema([("split", pa.string())])),
                partition_base_dir=str(self.folder),
            )
            if not old:
                return dataset.to_table(
                    columns=None if columns is None else list(columns), filter=expression
                )
            upgraded = self._upgrade(dataset.to_table())
            kept = upgraded if expression is None else upgraded.filter(expression)
            return kept if columns is None else kept.select(list(columns))
        except (pa.ArrowInvalid, KeyError) as error:
            if isinstance(error, KeyError) or "No match for FieldRef" in str(error):
                message = str(error).splitlines()[0]
                raise UsageError(f"{self.name}: no such column ({message})") from error
            raise BadDataError(f"{self.name}: a shard is broken ({error})") from error
        except pa.ArrowNotImplementedError as error:
            raise UsageError(f"{self.name}: filters {filters!r} do not fit ({error})") from error
        except OSError as error:
            raise BadDataError(f"{self.name}: a shard cannot be read ({error})") from error

    def shards(self, split: str | None = None) -> Iterator[pa.Table]:
        """Yields shard after shard, for data that does not fit memory."""
        for info in self.infos(split):
            with self.local(info) as path:
                self.check([info])
                try:
                    table = pq.ParquetFile(path).read()
                except (OSError, pa.ArrowException) as error:
                    raise BadDataError(f"{path}: not a readable shard ({error})") from error
            yield self._upgrade(table)

    def _upgrade(self, table: pa.Table) -> pa.Table:
        for version in range(self.manifest.schema_version, SCHEMA_VERSION):
            table = UPGRADES[version](table)
        return table


def open_alps(
    folder: str | Path, cache: Path | None = None, max_bytes: int | None = None
) -> AlpDataset:
    """Opens a finished data set.

    Args:
        folder: Where `alps build` wrote it; a folder, or a URL such as `s3://bucket/alps`.
        cache: Where the shards of a URL are kept; default a folder of the user's cache.
        max_bytes: Most bytes of shards to keep there; default 20 GiB.

    Returns:
        The data set.

    Raises:
        UsageError: If a URL cannot be reached.
        BadDataError: If there is no manifest, or its schema is too new or too old for this program.
    """
    if is_remote(folder):
        from alp_builder.fetch import default_cache  # brings requests along
        from alp_builder.shard_cache import MAX_BYTES, open_remote

        kept = default_cache() / "shards" if cache is None else cache
        return open_remote(str(folder), kept, MAX_BYTES if max_bytes is None else max_bytes)
    manifest = read_manifest(Path(folder))
    check_version(manifest, folder)
    return AlpDataset(Path(folder), manifest)


def is_remote(folder: str | Path) -> bool:
    """Whether a data set is named by a URL such as `s3://bucket/alps`."""
    return is_url(str(folder))


def check_version(manifest: Manifest, place: str | Path) -> None:
    """Refuse a schema that this program does not read.

    Args:
        manifest: Of a data set.
        place: Where that is, for messages.

    Raises:
        BadDataError: If the schema is too new or too old.
    """
    found = manifest.schema_version
    if found > SCHEMA_VERSION:
        raise BadDataError(
            f"{place}: schema version {found} is newer than {SCHEMA_VERSION}, the one this program knows;"
            " upgrade alp-toolkit"
        )
    if found < SCHEMA_VERSION and not set(range(found, SCHEMA_VERSION)) <= set(UPGRADES):
        raise BadDataError(f"{place}: schema version {found} is too old to read; build it again")
    if not {"core"} <= set(manifest.groups) <= set(GROUPS):
        raise BadDataError(
            f"{place}: column groups {manifest.groups}, expected core and any of {GROUPS[1:]}"
        )


def read_alps(
    folder: str | Path,
    columns: Sequence[str] | None = None,
    filters: Filters = None,
    split: str | None = None,
) -> pa.Table:
    """Opens a finished data set and reads rows of it, see `open_alps` and `AlpDataset.table`."""
    return open_alps(folder).table(columns, filters, split)
