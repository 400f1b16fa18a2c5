"""What the user named as input, as files cut into chunks.

An input is a file, a folder, a glob or a URL, of the web or of object storage, where folders and globs stand
for their files too. `alp_builder.copies` makes it a plain local file.

A **chunk** is a stretch of whole lines. The cut depends on the file and `shards.chunk_bytes` alone, never on
the number of workers, and is found in the same pass that computes the file's SHA-256.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import msgspec

from alp_builder.errors import BadDataError, UsageError
from alp_builder.remote import file_system, is_http, is_url, reason, remote_errors, shown

PLAIN_SUFFIXES = (".jsonl", ".ndjson")
"""Endings of the files of a folder that are taken; `.json` is left out, as data sets keep annotations in it."""

TRUTH_SUFFIX = ".truth.jsonl"
"""Ending of the file that `alps simulate narratives` writes beside its narratives: no narratives either."""

PACKED_SUFFIXES = (".gz", ".zst")
SPLITS = ("train", "val", "test")

_BLOCK = 2**20
LOCAL_SCHEMES = ("file://", "local://")
"""URLs that mean a path of this machine."""


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
        location: As the user gave it, a URL without credentials, see `alp_builder.remote.shown`.
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


def find_sources(inputs: list[str], split: str) -> list[NarrativeSource]:
    """Expands files, folders and globs, also of object storage; URLs of the web stay as they are.

    Args:
        inputs: What the user named.
        split: Split of all of them.

    Returns:
        The sources in the order given, the files of a folder or glob by name, each once.

    Raises:
        UsageError: If one of them matches no file of narratives, its name is not UTF-8, or its storage
            cannot be asked.
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
    for scheme in LOCAL_SCHEMES:
        item = item.removeprefix(scheme)
    if is_url(item):
        return _expand_url(item)
    path = Path(item)
    if path.is_file():
        return [item]
    if path.is_dir():
        files = [str(file) for file in _files_below(path) if _holds_narratives(file, path)]
        if not files:
            endings = ", ".join(PLAIN_SUFFIXES)
            raise UsageError(f"{item}: no file in it ends in {endings} (or those with .gz, .zst)")
        return files
    found = glob.glob(item, recursive=True)  # noqa: PTH207  absolute patterns, which Path.glob refuses
    matches = sorted(match for match in found if Path(match).is_file())
    if not matches:
        raise UsageError(f"{item}: no such file, folder or glob match")
    return matches


def _files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted; links to folders are not followed.

    Raises:
        UsageError: If a folder cannot be listed: left out in silence, its narratives would be lost.
    """

    def fail(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot be read ({error.strerror})") from error

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        found += [Path(place, name) for name in names]
    return sorted(found)


def _expand_url(url: str) -> list[str]:
    """The objects a URL stands for: itself, those below a prefix, or those a glob matches."""
    try:
        path = urlsplit(url).path
    except ValueError as error:
        raise UsageError(f"{shown(url)}: no address ({error})") from error
    if is_http(url) or (path.endswith((*PLAIN_SUFFIXES, *PACKED_SUFFIXES)) and "*" not in url):
        return [url]
    try:
        files, root = file_system(url)
        if "*" in url:
            found = [name for name in files.glob(root) if files.isfile(name)]
        elif files.isdir(root):
            found = [
                name
                for name in files.find(root)
                if _is_named_so(PurePosixPath(name).relative_to(root.rstrip("/")))
            ]
        else:
            return [url]
        locations = [str(files.unstrip_protocol(name)) for name in sorted(found)]
    except remote_errors() as error:
        raise UsageError(f"{shown(url)}: cannot be listed ({reason(error, url)})") from error
    if not locations:
        raise UsageError(f"{shown(url)}: no file of narratives there ({', '.join(PLAIN_SUFFIXES)})")
    return locations


def _holds_narratives(file: Path, folder: Path) -> bool:
    """Whether a file below a folder is one of narratives, by its name."""
    return file.is_file() and _is_named_so(PurePosixPath(file.relative_to(folder).as_posix()))


def _is_named_so(path: PurePosixPath) -> bool:
    """Whether a path within a folder is named as files of narratives are.

    Names that start with a dot are hidden; folders that start with an underscore hold what programs keep
    for themselves, such as the manifest and the quarantine file of a data set built into the folder.
    """
    name = path.name
    for suffix in PACKED_SUFFIXES:
        name = name.removesuffix(suffix)
    hidden = any(part.startswith(".") for part in path.parts)
    private = any(part.startswith("_") for part in path.parts[:-1])
    return (
        name.endswith(PLAIN_SUFFIXES) and not name.endswith(TRUTH_SUFFIX) and not hidden | private
    )


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
        raise BadDataError(f"{shown(source.location)}: cannot be read ({error})") from error
    if offset > start:
        close_chunk(offset)
    scanned = ScannedInput(
        location=shown(source.location), split=source.split, size=offset, sha256=digest.hexdigest(),
        lines=lines,
    )  # fmt: skip
    return scanned, chunks
