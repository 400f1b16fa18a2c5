"""ALP data sets on object storage, read through a bounded cache on this machine.

    open_alps("s3://bucket/alps").table(["phrase_text", "score"])

The manifest is read first, each time, and says which shards there are and what their bytes hash to. The
cache keeps a data set under the hash of its manifest, so one that was built anew is another one:

    CACHE/a1b2c3d4e5f60718/_alps/manifest.json
    CACHE/a1b2c3d4e5f60718/split=train/part-00000-of-00012.parquet

Invariants: a shard under its final name is whole and has the SHA-256 of the manifest. All processes of a
machine share the cache; one of them downloads at a time (a file lock), so a shard comes once, and a download
that broke off goes on where it was. The files of shards, and of parts of them, stay below `max_bytes`: before a
download those used longest ago go, but none that a process is reading (it holds a shared lock).
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from tqdm import tqdm

from alp_builder.errors import AlpError, BadDataError, UsageError
from alp_builder.files import exclusive, move, sha256_of, write_atomic
from alp_builder.manifest import MANIFEST, MAX_MANIFEST_BYTES, META_FOLDER, decode_manifest
from alp_builder.reader import AlpDataset, Filters, check_version
from alp_builder.remote import file_system, is_http, reason, remote_errors, shard_names
from alp_builder.shards import ShardInfo

T = TypeVar("T")

MAX_BYTES = 20 * 2**30
"""Most bytes of shards kept, unless another bound is given."""

_BLOCK = 8 * 2**20
_LOCK = ".download.lock"


def open_remote(url: str, cache: Path, max_bytes: int = MAX_BYTES) -> RemoteAlps:
    """Opens a finished data set on object storage; fetches its manifest.

    Args:
        url: Where it lies, such as `s3://bucket/alps`.
        cache: Folder on this machine for shards; made where it is missing.
        max_bytes: Most bytes of shards to keep there.

    Raises:
        UsageError: If the storage cannot be reached, a package for it is missing, or the cache cannot be
            written to.
        BadDataError: If there is no data set, or its manifest is not one of ours.
    """
    url = url.rstrip("/")
    data = _told(lambda: _read_manifest(url), url)
    manifest = decode_manifest(data, f"{url}/{META_FOLDER}/{MANIFEST}")
    check_version(manifest, url)
    folder = cache / hashlib.sha256(data).hexdigest()[:16]
    kept = folder / META_FOLDER / MANIFEST
    try:
        if not kept.is_file() or kept.read_bytes() != data:
            write_atomic(kept, data)
    except OSError as error:
        raise UsageError(
            f"{cache}: no cache of shards can be kept there ({error.strerror or error}); name another folder"
            " ($ALPS_CACHE)"
        ) from error
    return RemoteAlps(folder, manifest, url=url, cache=cache, max_bytes=max_bytes)


@dataclass(frozen=True)
class RemoteAlps(AlpDataset):
    """A finished data set on object storage.

    Attributes:
        folder: Where its files are kept on this machine.
        manifest: What is known of it.
        url: Where it lies, without a slash at the end.
        cache: Folder of this and other data sets on this machine.
        max_bytes: Most bytes of shards there.
    """

    url: str
    cache: Path
    max_bytes: int

    @property
    def name(self) -> str:
        """See `AlpDataset.name`."""
        return self.url

    def found(self) -> set[str]:
        """See `AlpDataset.found`; the web has no folders to list: there it is what the manifest lists."""
        if is_http(self.url):
            return {shard.path for shard in self.manifest.shards}
        return _told(self._listed, self.url)

    def _listed(self) -> set[str]:
        files, root = file_system(self.url)
        files.invalidate_cache()
        return shard_names(files, root)

    def _bytes_of(self, name: str) -> bytes | None:
        files, root = file_system(self.url)
        path = f"{root.rstrip('/')}/{name}"
        return _told(lambda: files.cat_file(path) if files.isfile(path) else None, self.url)

    @contextmanager
    def local(self, info: ShardInfo) -> Iterator[Path]:
        """A shard on this machine, downloaded where it is missing; it stays while the block runs.

        Raises:
            UsageError: If the storage cannot be reached, or the shard does not fit.
            BadDataError: If it is not what the manifest says.
        """
        path = self.folder / info.path
        while True:
            with exclusive(_lock_of(path), f"a reading of {path}", shared=True, wait=True):
                if path.is_file():
                    os.utime(path, (time.time(), path.stat().st_mtime))  # used now: others go first
                    yield path
                    return
            with exclusive(self.cache / _LOCK, f"a download into {self.cache}", wait=True):
                if not path.is_file():
                    self._make_room(info)
                    _told(lambda: self._download(info), f"{self.url}/{info.path}")

    def alone(self, name: str) -> AbstractContextManager[None]:
        """See `AlpDataset.alone`."""
        return exclusive(self.cache / f".{name}.lock", f"work on {self.url}", wait=True)

    def paths(self, split: str | None = None) -> list[Path]:
        """The shard files of a split, or of all, downloaded where they are missing.

        Raises:
            UsageError: If there is no such split, or the shards do not fit all at once.
        """
        infos = self.infos(split)
        self._check_bound(infos)
        paths = []
        for info in infos:
            with self.local(info) as path:
                paths.append(path)
        return paths

    def table(
        self,
        columns: Sequence[str] | None = None,
        filters: Filters = None,
        split: str | None = None,
    ) -> pa.Table:
        """See `AlpDataset.table`; all shards of the split must fit into the cache."""
        infos = self.infos(split)
        self._check_bound(infos)
        with ExitStack() as held:
            for info in infos:
                held.enter_context(self.local(info))
            return super().table(columns, filters, split)

    def _check_bound(self, infos: Sequence[ShardInfo]) -> None:
        need = sum(info.size for info in infos)
        if need > self.max_bytes:
            raise UsageError(
                f"{self.url}: the shards have {need:,} bytes, the cache {self.cache} takes {self.max_bytes:,};"
                " raise its bound, or read shard by shard"
            )

    def _make_room(self, info: ShardInfo) -> None:
        """Delete shards used longest ago until one more fits; the download lock is held."""
        own = _part_of(self.folder / info.path)
        files = [*self.cache.glob("*/split=*/*.parquet"), *self.cache.glob("*/split=*/.*.part")]
        found = sorted((p.stat().st_atime, p.stat().st_size, p) for p in files if p != own)
        total = info.size + sum(size for _, size, _ in found)
        for _, size, path in found:
            if total <= self.max_bytes:
                break
            try:
                with exclusive(_lock_of(path), f"a reading of {path}"):
                    path.unlink()
                    total -= size
            except UsageError:  # in use
                continue
        if total > self.max_bytes:
            raise UsageError(
                f"{self.cache}: no room for {info.path} of {info.size:,} bytes; what is in use and it take"
                f" {total:,}, the bound is {self.max_bytes:,}: raise it"
            )

    def _download(self, info: ShardInfo) -> None:
        """Bring a shard here; the download lock is held."""
        path = self.folder / info.path
        part = _part_of(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(
            2
        ):  # what an earlier call left may be of no use: then once more, from the start
            self._receive(info, part)
            if sha256_of(part) == info.sha256:
                move(part, path)
                return
            part.unlink()
        raise BadDataError(
            f"{self.url}/{info.path}: its bytes do not have the SHA-256 of the manifest; the data set was"
            " changed or damaged: upload it again"
        )

    def _receive(self, info: ShardInfo, part: Path) -> None:
        """Append to a part what it lacks."""
        files, root = file_system(self.url)
        if part.is_file() and part.stat().st_size > info.size:
            part.unlink()
        with (
            files.open(f"{root.rstrip('/')}/{info.path}", "rb", block_size=_BLOCK) as source,
            part.open("ab") as target,
            tqdm(
                desc=f"fetching {Path(info.path).name}", total=info.size, initial=target.tell(),
                unit="B", unit_scale=True, disable=None, leave=False,
            ) as bar,
        ):  # fmt: skip
            source.seek(target.tell())
            while block := source.read(min(_BLOCK, info.size - target.tell())):
                bar.update(target.write(block))
            target.flush()
            os.fsync(target.fileno())


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _read_manifest(url: str) -> bytes:
    files, root = file_system(url)
    files.invalidate_cache()
    path = f"{root.rstrip('/')}/{META_FOLDER}/{MANIFEST}"
    with files.open(path, "rb") as stream:
        data: bytes = stream.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise BadDataError(f"{url}: larger than any manifest; build the data set again")
    return data


def _told(work: Callable[[], T], url: str) -> T:
    """Do what needs the storage; what goes wrong becomes one line."""
    try:
        return work()
    except AlpError:
        raise
    except FileNotFoundError as error:
        raise BadDataError(
            f"{url}: not there; expected a finished ALP data set (a folder with {META_FOLDER}/{MANIFEST} and "
            "the shards that it lists)"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise UsageError(f"{url}: no space left here for it; what came is kept") from error
        if not isinstance(error, remote_errors()):
            raise
        raise UsageError(
            f"{url}: cannot be read ({reason(error, url)}); check network, name and credentials, or copy the "
            "data set here and name the folder"
        ) from error
