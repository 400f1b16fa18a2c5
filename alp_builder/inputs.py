"""What the user named as input, as plain local files cut into chunks.

An input is a file, a folder, a glob or a URL that fsspec can open. A plain local file is read where it is.
What is compressed or remote is copied once, unpacked, into the build's work folder, so that every chunk can
be read from its byte offset by whichever worker takes it.

A **chunk** is a stretch of whole lines. The cut depends on the file and `shards.chunk_bytes` alone, never on
the number of workers, and is found in the same pass that computes the file's SHA-256.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import fsspec
import msgspec
import pyarrow as pa

from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import atomic_file

PLAIN_SUFFIXES = (".jsonl", ".ndjson")
"""Endings of the files of a folder that are taken; `.json` is left out, as data sets keep annotations in it."""

TRUTH_SUFFIX = ".truth.jsonl"
"""Ending of the file that `alps simulate narratives` writes beside its narratives: no narratives either."""

PACKED_SUFFIXES = (".gz", ".zst")
SPLITS = ("train", "val", "test")

_BLOCK = 2**20
_LOCAL_SCHEMES = ("file://", "local://")


class NarrativeSource(msgspec.Struct, frozen=True, kw_only=True):
    """A file of narratives and the split its ALPs go to.

    Attributes:
        location: Local path or URL.
        split: Name of the split.
    """

    location: str
    split: str


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of whole lines of an input.

    Attributes:
        number: Position among all chunks of the build.
        source: Index of the input.
        start: Byte offset of its first line.
        end: Byte offset one past its last line.
        first_line: Number of its first line, counted from 1.
    """

    number: int
    source: int
    start: int
    end: int
    first_line: int


class ScannedInput(msgspec.Struct, frozen=True, kw_only=True):
    """An input that was read once from end to end.

    Attributes:
        location: As the user gave it.
        split: Name of the split.
        size: Bytes, unpacked.
        sha256: Of the unpacked bytes.
        lines: Line ends in it.
    """

    location: str
    split: str
    size: int
    sha256: str
    lines: int


def is_url(location: str) -> bool:
    """Whether a location names its file system, such as `https://` or `s3://`."""
    return "://" in location


def find_sources(inputs: list[str], split: str) -> list[NarrativeSource]:
    """Expands files, folders and globs; URLs stay as they are.

    Args:
        inputs: What the user named.
        split: Split of all of them.

    Returns:
        The sources in the order given, the files of a folder or glob by name, each once.

    Raises:
        UsageError: If one of them matches no file of narratives, or its name is not UTF-8.
    """
    if not inputs:
        raise UsageError("no input: name files, folders, globs or URLs of narratives")
    found: dict[str, None] = {}
    for item in inputs:
        for location in _expand(item):
            try:
                location.encode()
            except UnicodeEncodeError as error:
                raise UsageError(f"{location!a}: a file's name must be UTF-8; rename it") from error
            found[location] = None
    return [NarrativeSource(location=location, split=split) for location in found]


def _expand(item: str) -> list[str]:
    """The files one input stands for."""
    for scheme in _LOCAL_SCHEMES:
        item = item.removeprefix(scheme)
    if is_url(item):
        return [item]
    path = Path(item)
    if path.is_file():
        return [item]
    if path.is_dir():
        files = [str(file) for file in sorted(path.rglob("*")) if _holds_narratives(file, path)]
        if not files:
            endings = ", ".join(PLAIN_SUFFIXES)
            raise UsageError(f"{item}: no file in it ends in {endings} (or those with .gz, .zst)")
        return files
    found = glob.glob(item, recursive=True)  # noqa: PTH207  absolute patterns, which Path.glob refuses
    matches = sorted(match for match in found if Path(match).is_file())
    if not matches:
        raise UsageError(f"{item}: no such file, folder or glob match")
    return matches


def _holds_narratives(file: Path, folder: Path) -> bool:
    """Whether a file below a folder is one of narratives, by its name.

    Names that start with a dot are hidden; folders that start with an underscore hold what programs keep
    for themselves, such as the manifest and the quarantine file of a data set built into `folder`.
    """
    name = file.name
    for suffix in PACKED_SUFFIXES:
        name = name.removesuffix(suffix)
    parts = file.relative_to(folder).parts
    hidden = any(part.startswith(".") for part in parts)
    private = any(part.startswith("_") for part in parts[:-1])
    fitting = name.endswith(PLAIN_SUFFIXES) and not name.endswith(TRUTH_SUFFIX)
    return file.is_file() and not hidden and not private and fitting


def localise(source: NarrativeSource, folder: Path, max_inflation: int) -> Path:
    """Makes a source a plain local file.

    Args:
        source: The source.
        folder: Where an unpacked copy goes if one is needed. A copy that an earlier call made of the same
            source is used again, unless the source has changed since.
        max_inflation: Most unpacked bytes, in multiples of the packed ones.

    Returns:
        The source itself if it is plain and local, else the copy.

    Raises:
        BadDataError: If it cannot be read, is broken, or unpacks to absurdly much.
    """
    location = source.location
    packing = _packing(location)
    if not is_url(location) and not packing:
        return Path(location)
    try:
        copy = folder / f"{_state(location)}.jsonl"
        if copy.exists():
            return copy
        with _open_raw(location) as (raw, size), atomic_file(copy) as target:
            limit = max(size, _BLOCK) * max_inflation if packing else None
            written = 0
            while block := raw.read(_BLOCK):
                written += len(block)
                if limit is not None and written > limit:
                    raise BadDataError(
                        f"{location}: unpacks to over {max_inflation} times its size;"
                        " if it is no bomb, raise input.max_inflation"
                    )
                target.write(block)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadDataError(f"{location}: broken or truncated archive ({error})") from error
    except (OSError, ValueError, ImportError, _client_error()) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise BadDataError(f"{location}: cannot be read ({what})") from error
    return copy


def _client_error() -> type[Exception]:
    """What fsspec's URLs raise besides; asked for only when something was raised."""
    import aiohttp  # slow to import, and every verb and worker imports this module

    return aiohttp.ClientError


def _packing(location: str) -> str:
    """The suffix that says how a location is packed, or nothing; a URL's query does not count."""
    path = urlsplit(location).path if is_url(location) else location
    return next((suffix for suffix in PACKED_SUFFIXES if path.endswith(suffix)), "")


def _state(location: str) -> str:
    """A name for what lies at a location now: it changes with its size, time or tag."""
    if is_url(location):
        files, path = fsspec.core.url_to_fs(location)
        told = files.info(path)
        known = {key: str(told[key]) for key in sorted(told)}
    else:
        stat = Path(location).stat()
        known = {"size": str(stat.st_size), "mtime": str(stat.st_mtime_ns)}
    return hashlib.sha256(msgspec.json.encode((location, known))).hexdigest()[:32]


def _open_packed(location: str) -> AbstractContextManager[Any]:
    """Opens a location for reading bytes as they are; fsspec would take `::` in a path for a chain."""
    return fsspec.open(location, "rb") if is_url(location) else Path(location).open("rb")


@contextmanager
def _open_raw(location: str) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a location for reading unpacked bytes; yields the stream and the packed size."""
    with _open_packed(location) as packed:
        raw = cast("BinaryIO", packed)
        size = int(getattr(packed, "size", None) or 0)
        if not is_url(location):
            size = Path(location).stat().st_size
        packing = _packing(location)
        if packing == ".gz":
            yield cast("BinaryIO", gzip.GzipFile(fileobj=raw)), size
        elif packing == ".zst":
            # Arrow's reader, because it tells a truncated stream from a finished one.
            with pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as stream:
                yield cast("BinaryIO", stream), size
        else:
            yield raw, size


def scan(
    path: Path,
    source: NarrativeSource,
    index: int,
    first_chunk: int,
    chunk_bytes: int,
    advance: Callable[[int], object] = lambda _: None,
) -> tuple[ScannedInput, list[Chunk]]:
    """Reads a plain file once: its hash and its chunks.

    Args:
        path: The file.
        source: Where it came from.
        index: Its number among the inputs.
        first_chunk: Number of its first chunk.
        chunk_bytes: About how many bytes make a chunk; a chunk ends with the line that reaches it.
        advance: Called with the bytes read, for a progress bar.

    Returns:
        What the file is, and its chunks. An empty file has none.

    Raises:
        BadDataError: If it cannot be read.
    """
    digest = hashlib.sha256()
    chunks: list[Chunk] = []
    offset = start = lines = 0
    first_line = 1

    def close_chunk(end: int) -> None:
        nonlocal start, first_line
        number = first_chunk + len(chunks)
        chunks.append(
            Chunk(number=number, source=index, start=start, end=end, first_line=first_line)
        )
        start, first_line = end, lines + 1

    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                position = 0
                # The first line end at or past the chunk's size closes it.
                while (goal := start + chunk_bytes - 1) < offset + len(block):
                    newline = block.find(b"\n", max(goal - offset, position))
                    if newline < 0:
                        break
                    lines += block.count(b"\n", position, newline + 1)
                    position = newline + 1
                    close_chunk(offset + position)
                lines += block.count(b"\n", position)
                offset += len(block)
                advance(len(block))
    except OSError as error:
        raise BadDataError(f"{source.location}: cannot be read ({error})") from error
    if offset > start:
        close_chunk(offset)
    scanned = ScannedInput(
        location=source.location, split=source.split, size=offset, sha256=digest.hexdigest(), lines=lines
    )  # fmt: skip
    return scanned, chunks
