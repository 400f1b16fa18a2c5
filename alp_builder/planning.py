"""Step 1 of a build: what there is to do, and whether work that lies there is of any use for it.

Every input is made a plain local file and read once, for its hash and for its chunks. The hashes of inputs,
configuration and versions make the build's **fingerprint**: work left by another process is used again if its
fingerprint is the same, and otherwise thrown away, saying what changed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from alp_builder.config import BuildConfig
from alp_builder.copies import localise
from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, write_atomic
from alp_builder.inputs import Chunk, NarrativeSource, ScannedInput, scan
from alp_builder.manifest import fingerprint, versions
from alp_builder.progress import progress_bar
from alp_builder.remote import shown

WORK = "work"


class LocalFile(msgspec.Struct, frozen=True, kw_only=True):
    """The plain local file of an input, as it was when it was hashed.

    Attributes:
        copy: Its name in the folder of copies; empty for an input that is read where it is.
        size: Bytes.
        mtime_ns: When it was last written to, in nanoseconds.
    """

    copy: str
    size: int
    mtime_ns: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a build will do, as kept in the work folder.

    Attributes:
        fingerprint: Hashes of inputs, configuration and versions.
        inputs: The inputs.
        files: Of each input the file that is read.
        chunks: Their chunks.
    """

    fingerprint: dict[str, str]
    inputs: list[ScannedInput]
    files: list[LocalFile]
    chunks: list[Chunk]


class Workplace:
    """The folder a build works in: its lock, its plan, its chunks, its shards.

    Args:
        base: Folder that holds the lock and, below `work`, all the rest.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.work = base / WORK
        self.lock = base / "lock"
        self.plan_lock = base / "plan.lock"
        self.inputs = self.work / "inputs"
        self.shards = self.work / "shards"
        self.quarantine = self.work / "quarantine.jsonl"

    def chunk(self, number: int) -> Path:
        """The file of a chunk's rows."""
        return self.work / "chunks" / f"{number:06d}.arrow"

    def note(self, relative: str) -> Path:
        """The file that tells what a written shard is, beside it."""
        return (self.shards / relative).with_suffix(".json")

    def input(self, plan: Plan, index: int) -> Path:
        """The plain local file of an input."""
        copy = plan.files[index].copy
        return self.inputs / copy if copy else Path(plan.inputs[index].location)

    def missing(self, plan: Plan) -> list[Chunk]:
        """The chunks that are not done yet."""
        return [chunk for chunk in plan.chunks if not self.chunk(chunk.number).exists()]

    def read_plan(self) -> Plan | None:
        """The plan of the work that lies here, if it can be read."""
        try:
            return msgspec.json.decode((self.work / "plan.json").read_bytes(), type=Plan)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def adopt(self, plan: Plan) -> list[str]:
        """Keeps work of the same build, throws other work away; returns what the user should know of it."""
        old = self.read_plan()
        if old is not None and old.fingerprint == plan.fingerprint:
            if old != plan:  # the same content under another name, or written anew
                write_atomic(self.work / "plan.json", msgspec.json.encode(plan))
            return []
        notes = []
        if old is not None:
            new = plan.fingerprint
            changed = [name for name in new if old.fingerprint.get(name) != new[name]]
            notes.append(
                f"starting afresh: {' and '.join(changed)} changed since the interrupted build"
            )
        self.discard()
        write_atomic(self.work / "plan.json", msgspec.json.encode(plan))
        return notes

    def discard(self) -> None:
        """Throws away what was done, not the copies of inputs."""
        for stale in ("chunks", "runs", "shards"):
            if (self.work / stale).exists():
                shutil.rmtree(self.work / stale)

    def tidy(self) -> None:
        """Removes what a killed build left under temporary names beside its lock."""
        for leftover in self.base.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            leftover.unlink()

    def remove(self) -> None:
        """Removes all work; the data set is there. Locks stay: others may be waiting for these very files."""
        shutil.rmtree(self.work, ignore_errors=True)


def make_plan(
    sources: list[NarrativeSource], place: Workplace, config: BuildConfig, progress: bool
) -> Plan:
    """Copies what must be copied, reads every input once and cuts it into chunks.

    Args:
        sources: The inputs.
        place: Where copies go.
        config: All choices.
        progress: Whether to show progress.

    Raises:
        UsageError: If there is nothing to read.
        BadDataError: If an input cannot be read.
    """
    if not sources:
        raise UsageError("no input: name files, folders, globs or URLs of narratives")
    paths = [
        localise(source, place.inputs, config.input.max_inflation, progress=progress)
        for source in sources
    ]
    _drop_other_copies(place.inputs, paths)
    pairs = list(zip(sources, paths, strict=True))
    files = [_local_file(path, source, place) for source, path in pairs]
    inputs: list[ScannedInput] = []
    chunks: list[Chunk] = []
    with progress_bar(sum(f.size for f in files), "hashing", "B", shown=progress) as bar:
        for index, (source, path) in enumerate(pairs):
            scanned, cut = scan(
                path, source, index, len(chunks), config.shards.chunk_bytes, bar.update
            )
            inputs.append(scanned)
            chunks += cut
    parts = fingerprint(inputs, config, versions(config.phrases.spacy_model))
    return Plan(fingerprint=parts, inputs=inputs, files=files, chunks=chunks)


def still_holds(
    plan: Plan, sources: list[NarrativeSource], place: Workplace, config: BuildConfig
) -> bool:
    """Whether a plan is that of these inputs, as far as their sizes and times tell, and of these choices."""
    named = [(shown(source.location), source.split) for source in sources]
    if named != [(entry.location, entry.split) for entry in plan.inputs]:
        return False
    found = fingerprint(plan.inputs, config, versions(config.phrases.spacy_model))
    try:
        return found == plan.fingerprint and _changed(plan, place) is None
    except BadDataError:  # a file is gone; whoever plans anew says which
        return False


def check_unchanged(plan: Plan, place: Workplace) -> None:
    """Makes sure that what was read is what was hashed.

    Raises:
        BadDataError: If an input has changed or is gone.
    """
    name = _changed(plan, place)
    if name is not None:
        (place.work / "plan.json").unlink(missing_ok=True)  # what was read of it is of no use
        raise BadDataError(f"{name}: changed while it was read; run again")


def _changed(plan: Plan, place: Workplace) -> str | None:
    """The first input that is no longer as it was."""
    for index, (entry, file) in enumerate(zip(plan.inputs, plan.files, strict=True)):
        source = NarrativeSource(location=entry.location, split=entry.split)
        if _local_file(place.input(plan, index), source, place) != file:
            return entry.location
    return None


def _local_file(path: Path, source: NarrativeSource, place: Workplace) -> LocalFile:
    """An input's file as it is now.

    Raises:
        BadDataError: If it is gone.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise BadDataError(
            f"{shown(source.location)}: cannot be read any more ({error.strerror})"
        ) from error
    copy = path.name if path.parent == place.inputs else ""
    return LocalFile(copy=copy, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _drop_other_copies(folder: Path, kept: list[Path]) -> None:
    """Removes copies of sources that have changed since, or that are no longer named."""
    stems = tuple({path.name.split(".")[0] for path in kept})
    for copy in folder.glob("*"):
        if copy not in kept and not copy.name.lstrip(".").startswith(stems or ("none",)):
            copy.unlink()
