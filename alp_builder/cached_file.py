"""A file of the download cache: what stands beside it, and the order in which it comes to be.

For a file NAME the cache folder holds

    NAME             the complete file; it appears by one rename, so whoever sees it sees all of it
    .NAME.json       its record: URL, size, validator (ETag or time of the last change), MD5
    .NAME.part       what has arrived so far
    .NAME.part.json  what it is part of: the same fields; written before the first byte
    .NAME.lock       held while downloading; the system frees it when a process dies

Invariants: bytes are only ever appended to a part whose record names the validator they came with; a
record says of a complete file what its part's record said; a file that somebody put there by hand (no
record) is complete as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from tqdm import tqdm


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a file, or a part of one, was downloaded from.

    Attributes:
        url: Where from, without credentials, see `alp_builder.remote.shown`.
        total: Size of the whole file in bytes; None in a part whose server does not tell.
        validator: Strong ETag or time of the last change, if the server gave one.
        md5: MD5 of the whole file in hexadecimal, if the server named it.
    """

    url: str
    total: int | None
    validator: str | None
    md5: str | None


class CachedFile:
    """One file of the cache.

    Args:
        path: Where the complete file is, or shall be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.part")
        self._record = path.with_name(f".{path.name}.json")
        self._part_record = path.with_name(f".{path.name}.part.json")
        self._lock = path.with_name(f".{path.name}.lock")

    def is_complete(self) -> bool:
        """Whether the file is there, at the recorded size if there is a record."""
        if not self.path.is_file():
            return False
        record = self.record()
        return record is None or record.total == self.path.stat().st_size

    def record(self) -> Record | None:
        """What the complete file was downloaded from; None if that is not known."""
        return _read(self._record)

    def part_size(self) -> int:
        """Bytes that arrived so far."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def taken_up(self, url: str) -> tuple[int, Record | None]:
        """Where a download of `url` can go on: bytes at hand and their record; (0, None) for nowhere."""
        record = _read(self._part_record)
        if record is None or record.url != url or record.validator is None:
            return 0, None
        size = self.part_size()
        if size == 0 or (record.total is not None and size > record.total):
            return 0, None
        return size, record

    def start_part(self, record: Record) -> None:
        """Empty the part and say what it will be part of."""
        self._part_record.unlink(missing_ok=True)
        self.part.write_bytes(b"")
        _write(self._part_record, record)

    def discard_part(self) -> None:
        """Make the next download start afresh."""
        self._part_record.unlink(missing_ok=True)

    def publish(self, record: Record) -> None:
        """Make the part the file: on disk first, then under its name, in one step."""
        with self.part.open("rb") as part:
            os.fsync(part.fileno())
        _write(self._record, record)
        self.part.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._part_record.unlink(missing_ok=True)

    def part_md5(self) -> str:
        """MD5 of the part in hexadecimal."""
        with self.part.open("rb") as part:
            digest = hashlib.file_digest(part, lambda: hashlib.md5(usedforsecurity=False))
        return digest.hexdigest()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file's lock, waiting for another download of it to end."""
        with self._lock.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tqdm.write(f"{self.path.name}: waiting for another download of it", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write(path: Path, record: Record) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(msgspec.json.encode(record))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
