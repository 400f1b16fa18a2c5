"""Files appear whole or not at all.

A file is written under a temporary name in the folder it is meant for, flushed to disk and renamed; then the
folder's entry is flushed too. Whoever finds a file under its final name may trust that it is complete, also
after a power cut.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from alp_builder.errors import UsageError

TEMPORARY_PREFIX = "."
TEMPORARY_SUFFIX = ".tmp"


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing bytes that appears under `path` when the block ends without error.

    Args:
        path: Final name; its folder is made.

    Yields:
        The open file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"{TEMPORARY_PREFIX}{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}"
    temporary = path.with_name(name)
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a whole file at once, see `atomic_file`."""
    with atomic_file(path) as stream:
        stream.write(data)


def move(source: Path, target: Path) -> None:
    """Renames a complete file into another folder of the same file system, durably."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    flush_folder(target.parent)


def flush_folder(folder: Path) -> None:
    """Flushes a folder's entries to disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def exclusive(path: Path, doing: str) -> Iterator[None]:
    """Holds a lock file for as long as the block runs; the system lets go of it if the process dies.

    Args:
        path: The lock file; it stays, only its lock counts.
        doing: What the lock is for, for the message.

    Raises:
        UsageError: If another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{doing} is under way in another process; wait for it") from error
        yield
