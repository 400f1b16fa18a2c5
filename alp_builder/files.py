"""Files appear whole or not at all.

A file is written under a temporary name in the folder it is meant for, flushed to disk and renamed; then the
folder's entry is flushed too. Whoever finds a file under its final name may trust that it is complete, also
after a power cut.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
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
    # Not the process's number: on a shared folder another machine may have the same.
    name = f"{TEMPORARY_PREFIX}{path.name}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
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
def exclusive(
    path: Path, doing: str, *, shared: bool = False, wait: bool = False
) -> Iterator[None]:
    """Holds a lock file for as long as the block runs; the system lets go of it if the process dies.

    Args:
        path: The lock file; it stays, only its lock counts.
        doing: What the lock is for, for the message.
        shared: Whether others may hold it at the same time, if they ask for no more than that too.
        wait: Whether to wait for others to let go of it.

    Raises:
        UsageError: If another process holds it, or the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(stream, kind)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise UsageError(
                    f"{path}: this file system has no locks ({error.strerror}), without which two processes"
                    " may harm each other's work; use another folder, or mount it with locks"
                ) from error
            raise UsageError(f"{doing} is under way in another process; wait for it") from error
        yield
