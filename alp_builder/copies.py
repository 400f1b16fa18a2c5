"""A source of narratives as a plain local file: what is packed or remote is copied once, unpacked.

Copies lie in the work folder of a build, so that every chunk can be read from its byte offset by whichever
worker takes it. What comes by http or https is downloaded as `alps fetch` does it: it resumes after a break,
retries, and follows no redirect to another scheme. Other URLs are read by fsspec, whose file systems retry by
themselves. A copy that an earlier call made is used again, unless the source has changed since.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa

from alp_builder.errors import BadDataError
from alp_builder.files import atomic_file
from alp_builder.inputs import PACKED_SUFFIXES, NarrativeSource
from alp_builder.progress import progress_bar
from alp_builder.remote import file_system, is_http, is_url, reason, remote_errors, shown

_BLOCK = 2**20
_OFFLINE_HINT = "try again, or download it by other means and name the file"


def localise(
    source: NarrativeSource, folder: Path, max_inflation: int, *, progress: bool = False
) -> Path:
    """Makes a source a plain local file.

    Args:
        source: The source.
        folder: Where a copy goes if one is needed. Its name up to the first dot tells the location.
        max_inflation: Most unpacked bytes, in multiples of the packed ones.
        progress: Whether to show the progress of copying.

    Returns:
        The source itself if it is plain and local, else the copy.

    Raises:
        BadDataError: If it cannot be read, is broken, or unpacks to absurdly much.
        OSError: If there is no room for the copy.
    """
    location = source.location
    packing = _packing(location)
    if not is_url(location) and not packing:
        return Path(location)
    try:
        packed = location
        if is_http(location):
            packed = str(_download(location, folder, progress))
            if not packing:
                return Path(packed)
        copy = folder / f"{_key(location)}.{_state(packed)}.jsonl"
        if not copy.exists():
            for older in folder.glob(f"{_key(location)}.*.jsonl"):
                older.unlink()
            _copy(packed, location, packing, copy, max_inflation, progress)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadDataError(f"{shown(location)}: broken or truncated archive ({error})") from error
    except remote_errors() as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the copy's disk is full; nothing is wrong with the source
        what = reason(error, location)
        raise BadDataError(f"{shown(location)}: cannot be read ({what})") from error
    return copy


def _download(url: str, folder: Path, progress: bool) -> Path:
    """A file of the web as it is, in a folder; asks the server whether one at hand has changed."""
    from alp_builder.fetch import fetch_file  # brings requests along, which few builds need
    from alp_builder.http_range import FetchError

    target = folder / f"{_key(url)}.download"
    name = Path(urlsplit(url).path).name or "narratives"
    try:
        fetch_file(
            url, target, refresh=True, progress=progress, name=name, offline_hint=_OFFLINE_HINT
        )
    except FetchError as error:
        what = str(error).removeprefix(f"{shown(url)}: ")
        raise BadDataError(f"{shown(url)}: cannot be read ({what})") from error
    return target


def _copy(
    packed: str, location: str, packing: str, copy: Path, max_inflation: int, progress: bool
) -> None:
    """Copies what lies at `packed`, unpacked."""
    with (
        _open_raw(packed, packing) as (raw, stream, size),
        atomic_file(copy) as target,
        progress_bar(size or None, "copying", "B", shown=progress) as bar,
    ):
        limit = max(size, _BLOCK) * max_inflation if packing else None
        written = 0
        while block := raw.read(_BLOCK):
            written += len(block)
            if limit is not None and written > limit:
                raise BadDataError(
                    f"{shown(location)}: unpacks to over {max_inflation} times its size;"
                    " if it is no bomb, raise input.max_inflation"
                )
            target.write(block)
            bar.update(stream.tell() - bar.n)


def _packing(location: str) -> str:
    """The suffix that says how a location is packed, or nothing; a URL's query does not count."""
    path = urlsplit(location).path if is_url(location) else location
    return next((suffix for suffix in PACKED_SUFFIXES if path.endswith(suffix)), "")


def _key(location: str) -> str:
    """A file name for a location."""
    return hashlib.sha256(location.encode()).hexdigest()[:20]


def _state(location: str) -> str:
    """A name for what lies at a location now: it changes with its size, time or tag."""
    if is_url(location):
        files, path = file_system(location)
        files.invalidate_cache()
        told = files.info(path)
        known = {key: str(told[key]) for key in sorted(told)}
    else:
        stat = Path(location).stat()
        known = {"size": str(stat.st_size), "mtime": str(stat.st_mtime_ns)}
    return hashlib.sha256(msgspec.json.encode(known)).hexdigest()[:20]


@contextmanager
def _open_raw(location: str, packing: str) -> Iterator[tuple[BinaryIO, BinaryIO, int]]:
    """Opens a location; yields the unpacked bytes, the packed ones below them, and the packed size.

    A local path is opened as it is: fsspec would take `::` in it for a chain of file systems.
    """
    if is_url(location):
        files, path = file_system(location)
        opening = files.open(path, "rb")
    else:
        opening = Path(location).open("rb")  # noqa: SIM115  closed below
    with opening as raw:
        size = int(getattr(raw, "size", None) or 0)
        if not is_url(location):
            size = Path(location).stat().st_size
        packed = cast("BinaryIO", raw)
        if packing == ".gz":
            yield cast("BinaryIO", gzip.GzipFile(fileobj=packed)), packed, size
        elif packing == ".zst":
            # Arrow's reader, because it tells a truncated stream from a finished one.
            with pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd") as stream:
                yield cast("BinaryIO", stream), packed, size
        else:
            yield packed, packed, size
