"""Narratives in, a data set of shards out: planned, resumable, the same bytes every time.

A build has four steps; what each leaves behind appears whole or not at all:

1. **Plan.** Every input is read once for its hash and cut into chunks. The hashes of inputs, configuration and
   versions make the build's fingerprint. Work left by an earlier build is used again if its fingerprint is
   the same, and otherwise thrown away, saying what changed.
2. **Map.** Each chunk becomes a file of rows in the work folder, by any number of workers in any order.
3. **Merge.** Each shard collects its images' rows from all chunks, sorts them and is written.
4. **Publish.** Shards move to their final names, then the manifest is written; the work folder goes.

Work lives in `OUT/_alps/work`, on the same file system as the result, so that publishing is renaming. A build
can be killed at any instant: run again, it goes on from the last finished file and ends in the same bytes.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pyarrow as pa
from tqdm import tqdm

from alp_builder import chunks as chunk_files
from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError, UsageError
from alp_builder.executors import Executor, run_local
from alp_builder.files import (
    TEMPORARY_PREFIX,
    TEMPORARY_SUFFIX,
    exclusive,
    flush_folder,
    move,
    sha256_of,
    write_atomic,
)
from alp_builder.inputs import Chunk, NarrativeSource, ScannedInput, localise, scan
from alp_builder.manifest import (
    META_FOLDER,
    QUARANTINE,
    Manifest,
    QuarantineInfo,
    deciding_config,
    fingerprint,
    joint_fingerprint,
    manifest_path,
    read_manifest,
    versions,
    write_manifest,
)
from alp_builder.records import RejectedRecord
from alp_builder.schema import SCHEMA_VERSION, arrow_schema
from alp_builder.shards import ShardInfo, merge_rows, shard_path, write_shard

WORK = "work"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a build will do, as kept in the work folder.

    Attributes:
        fingerprint: Hashes of inputs, configuration and versions.
        inputs: The inputs.
        chunks: Their chunks.
    """

    fingerprint: dict[str, str]
    inputs: list[ScannedInput]
    chunks: list[Chunk]


@dataclass
class BuildSummary:
    """What a build did.

    Attributes:
        folder: Where the data set is.
        counts: Narratives, phrases and ALPs by what became of them.
        rejected: Records set aside, by reason.
        shards: The shards.
        seconds: Time the build took.
        built: Narratives read in this run, without chunks an earlier run had finished.
        reused_chunks: Chunks an earlier run had finished.
        already_built: Nothing had to be done.
        notes: What the user should know, such as why a build started afresh.
    """

    folder: Path
    counts: dict[str, int]
    rejected: dict[str, int]
    shards: list[ShardInfo]
    seconds: float = 0.0
    built: int = 0
    reused_chunks: int = 0
    already_built: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def bad_fraction(self) -> float:
        """Records set aside over records read."""
        return sum(self.rejected.values()) / max(self.counts.get("lines", 0), 1)


def build(
    sources: list[NarrativeSource],
    folder: Path,
    config: BuildConfig,
    workers: int = 1,
    progress: bool = True,
    executor: Executor = run_local,
    checkpoint: Callable[[str], object] = lambda _: None,
) -> BuildSummary:
    """Builds a data set of ALPs.

    Args:
        sources: Files of narratives and their splits.
        folder: Where the data set goes; made if need be.
        config: All choices.
        workers: Processes for step 2; the result does not depend on it.
        progress: Whether to show progress bars.
        executor: What runs step 2.
        checkpoint: Called with the name of each step of publishing as it is reached; for tests.

    Returns:
        What was done.

    Raises:
        UsageError: If another build is at work in the folder, or there is nothing to read.
        BadDataError: If an input cannot be read.
    """
    started = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / META_FOLDER / "lock", f"a build into {folder}"):
            summary = _Build(folder, config, workers, progress, executor, checkpoint).run(sources)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror or error})") from error
    summary.seconds = time.monotonic() - started
    return summary


@dataclass
class _Build:
    """One run of a build, holding the lock of its folder."""

    folder: Path
    config: BuildConfig
    workers: int
    progress: bool
    executor: Executor
    checkpoint: Callable[[str], object]

    @property
    def work(self) -> Path:
        return self.folder / META_FOLDER / WORK

    def run(self, sources: list[NarrativeSource]) -> BuildSummary:
        plan, paths, states = self._plan(sources)
        done = self._finished(plan)
        if done is not None:
            return done
        notes = self._adopt_work(plan) + _nesting_notes(self.folder)
        todo = [chunk for chunk in plan.chunks if not self._chunk_path(chunk.number).exists()]
        before = self._counts(plan, todo)
        self._map(plan, paths, todo, before["narratives"])
        self._check_unchanged(plan, paths, states)
        counts, rejected = self._collect(plan)
        shards = self._merge(plan, counts)
        self._publish(plan, shards, counts, rejected)
        return BuildSummary(
            folder=self.folder,
            counts=dict(counts),
            rejected=dict(Counter(entry.reason for entry in rejected)),
            shards=shards,
            built=counts["narratives"] - before["narratives"],
            reused_chunks=len(plan.chunks) - len(todo),
            notes=notes,
        )

    def _plan(
        self, sources: list[NarrativeSource]
    ) -> tuple[Plan, list[Path], list[tuple[int, int]]]:
        """Step 1. Returns the plan, and of each input the plain local file and its state before the scan."""
        if not sources:
            raise UsageError("no input: name files, folders, globs or URLs of narratives")
        for leftover in (self.folder / META_FOLDER).glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            leftover.unlink()  # of a build that was killed
        inputs: list[ScannedInput] = []
        chunks: list[Chunk] = []
        paths: list[Path] = []
        states: list[tuple[int, int]] = []
        with self._bar(None, "hashing", "B") as bar:
            for index, source in enumerate(sources):
                path = localise(source, self.work / "inputs", self.config.input.max_inflation)
                states.append(_state(path, source.location))
                scanned, cut = scan(
                    path, source, index, len(chunks), self.config.shards.chunk_bytes, bar.update
                )
                inputs.append(scanned)
                chunks += cut
                paths.append(path)
        for copy in (self.work / "inputs").glob("*"):
            if copy not in paths:  # of a source that has changed since, or that is no longer named
                copy.unlink()
        found = versions(self.config.phrases.spacy_model)
        parts = fingerprint(inputs, self.config, found)
        return Plan(fingerprint=parts, inputs=inputs, chunks=chunks), paths, states

    def _finished(self, plan: Plan) -> BuildSummary | None:
        """The summary of the data set that is there, if this very build has made it."""
        if not manifest_path(self.folder).exists():
            return None
        try:
            manifest = read_manifest(self.folder)
        except BadDataError:
            return None
        if manifest.fingerprint != joint_fingerprint(plan.fingerprint):
            return None
        files = {shard.path: shard.sha256 for shard in manifest.shards}
        files[manifest.quarantine.path] = manifest.quarantine.sha256
        for name, sha256 in files.items():
            path = self.folder / name
            if not path.is_file() or sha256_of(path) != sha256:
                return None
        shutil.rmtree(self.work, ignore_errors=True)
        reasons = {
            k.removeprefix("rejected."): v for k, v in manifest.counts.items() if "rejected." in k
        }
        return BuildSummary(
            folder=self.folder,
            counts=manifest.counts,
            rejected=reasons,
            shards=manifest.shards,
            already_built=True,
        )

    def _adopt_work(self, plan: Plan) -> list[str]:
        """Keeps work of the same build, throws other work away; returns notes for the user."""
        path = self.work / "plan.json"
        notes: list[str] = []
        try:
            old = msgspec.json.decode(path.read_bytes(), type=Plan).fingerprint
        except (OSError, msgspec.DecodeError):
            old = None
        if old is None and manifest_path(self.folder).exists():
            notes.append(
                "rebuilding: the data set here is damaged, or of other inputs, configuration or versions"
            )
        if old is not None and old != plan.fingerprint:
            changed = [name for name in plan.fingerprint if old.get(name) != plan.fingerprint[name]]
            notes.append(
                f"starting afresh: {' and '.join(changed)} changed since the interrupted build"
            )
        if old != plan.fingerprint:
            for stale in ("chunks", "shards"):
                if (self.work / stale).exists():
                    shutil.rmtree(self.work / stale)
            write_atomic(path, msgspec.json.encode(plan))
        return notes

    def _map(self, plan: Plan, paths: list[Path], todo: list[Chunk], before: int) -> None:
        """Step 2, for the chunks that are not done yet."""
        tasks = [
            chunk_files.ChunkTask(
                chunk=chunk,
                path=str(paths[chunk.source]),
                name=plan.inputs[chunk.source].location,
                output=str(self._chunk_path(chunk.number)),
            )
            for chunk in todo
        ]
        total = sum(chunk.end - chunk.start for chunk in plan.chunks)
        narratives = before
        with self._bar(total, "building", "B") as bar:
            bar.update(total - sum(chunk.end - chunk.start for chunk in todo))
            for task, made in self.executor(tasks, self.config, self.workers):
                narratives += made
                bar.set_postfix_str(f"{narratives} narratives", refresh=False)
                bar.update(task.chunk.end - task.chunk.start)

    def _check_unchanged(
        self, plan: Plan, paths: list[Path], states: list[tuple[int, int]]
    ) -> None:
        """Makes sure that what was read is what was hashed."""
        for path, scanned, state in zip(paths, plan.inputs, states, strict=True):
            if _state(path, scanned.location) != state:
                (self.work / "plan.json").unlink()  # what was read of it is of no use
                raise BadDataError(f"{scanned.location}: changed while it was read; run again")

    def _counts(self, plan: Plan, todo: list[Chunk]) -> Counter[str]:
        """Counts over the chunks that are done already."""
        missing = {chunk.number for chunk in todo}
        counts: Counter[str] = Counter()
        for chunk in plan.chunks:
            if chunk.number not in missing:
                counts.update(chunk_files.read_header(self._chunk_path(chunk.number)).counts)
        return counts

    def _collect(self, plan: Plan) -> tuple[Counter[str], list[RejectedRecord]]:
        """Counts and rejected records of all chunks, the latter in the order of the inputs."""
        counts: Counter[str] = Counter(lines=0, narratives=0, usable=0, phrases=0, alps=0)
        rejected: list[RejectedRecord] = []
        for chunk in plan.chunks:
            header = chunk_files.read_header(self._chunk_path(chunk.number))
            counts.update(header.counts)
            rejected += header.rejected
        for reason, number in Counter(entry.reason for entry in rejected).items():
            counts[f"rejected.{reason}"] = number
        return counts, rejected

    def _merge(self, plan: Plan, counts: Counter[str]) -> list[ShardInfo]:
        """Step 3. Adds to the counts what was found twice."""
        schema = arrow_schema(self.config.groups)
        shards: list[ShardInfo] = []
        jobs: list[tuple[str, list[int], int, int]] = []
        for split in sorted({entry.split for entry in plan.inputs}):
            numbers = [c.number for c in plan.chunks if plan.inputs[c.source].split == split]
            rows = sum(chunk_files.read_header(self._chunk_path(n)).counts["alps"] for n in numbers)
            shard_count = max(1, -(-rows // self.config.shards.rows_per_shard))
            jobs += [(split, numbers, index, shard_count) for index in range(shard_count)]
        with self._bar(len(jobs), "writing", "shard") as bar:
            for split, numbers, index, shard_count in jobs:
                info, extra, narratives = self._merge_shard(
                    split, numbers, index, shard_count, schema
                )
                counts["duplicate_alps"] += extra
                counts["duplicate_narratives"] += narratives
                shards.append(info)
                bar.update()
        counts["alps_written"] = sum(shard.rows for shard in shards)
        return shards

    def _merge_shard(
        self, split: str, numbers: list[int], index: int, count: int, schema: pa.Schema
    ) -> tuple[ShardInfo, int, int]:
        """Writes one shard, or finds it written; returns it and the duplicates left out."""
        relative = shard_path(split, index, count)
        note = self.work / "shards" / f"{split}-{index:05d}.json"
        staged, final = self.work / "shards" / relative, self.folder / relative
        if note.exists():
            info, extra, narratives = msgspec.json.decode(
                note.read_bytes(), type=tuple[ShardInfo, int, int]
            )
            if any(p.is_file() and sha256_of(p) == info.sha256 for p in (staged, final)):
                return info, extra, narratives
        pieces = (chunk_files.read_rows(self._chunk_path(n), index, count) for n in numbers)
        rows, extra, narratives = merge_rows(pieces, schema)
        info = write_shard(rows, staged, relative, split, self.config.shards)
        write_atomic(note, msgspec.json.encode((info, extra, narratives)))
        return info, extra, narratives

    def _publish(
        self,
        plan: Plan,
        shards: list[ShardInfo],
        counts: Counter[str],
        rejected: list[RejectedRecord],
    ) -> None:
        """Step 4."""
        meta = self.folder / META_FOLDER
        self.checkpoint("before")
        manifest_path(self.folder).unlink(missing_ok=True)  # from here on there is no data set
        flush_folder(meta)
        self.checkpoint("old manifest gone")
        for shard in shards:
            staged = self.work / "shards" / shard.path
            if staged.exists():
                move(staged, self.folder / shard.path)
            self.checkpoint(f"moved {shard.path}")
        kept = {shard.path for shard in shards}
        for stale in self.folder.glob("split=*/part-*-of-*.parquet"):
            if stale.relative_to(self.folder).as_posix() not in kept:
                stale.unlink()
        for empty in self.folder.glob("split=*"):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in rejected)
        write_atomic(meta / QUARANTINE, lines)
        self.checkpoint("quarantine written")
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            groups=list(self.config.groups),
            fingerprint=joint_fingerprint(plan.fingerprint),
            config=deciding_config(self.config),
            versions=versions(self.config.phrases.spacy_model),
            inputs=plan.inputs,
            shards=shards,
            quarantine=QuarantineInfo(
                path=f"{META_FOLDER}/{QUARANTINE}",
                records=len(rejected),
                sha256=sha256_of(meta / QUARANTINE),
            ),
            counts=dict(sorted(counts.items())),
        )
        write_manifest(self.folder, manifest)
        self.checkpoint("manifest written")
        shutil.rmtree(self.work, ignore_errors=True)

    def _chunk_path(self, number: int) -> Path:
        return self.work / "chunks" / f"{number:06d}.arrow"

    def _bar(self, total: int | None, what: str, unit: str) -> tqdm:
        return tqdm(
            total=total,
            desc=f"{what:>9}",
            unit=unit,
            unit_scale=unit == "B",
            disable=not self.progress,
            dynamic_ncols=True,
        )


def _state(path: Path, location: str) -> tuple[int, int]:
    """Size and time of an input, to notice that it is written to.

    Raises:
        BadDataError: If it is gone.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise BadDataError(f"{location}: cannot be read any more ({error.strerror})") from error
    return stat.st_size, stat.st_mtime_ns


def _nesting_notes(folder: Path) -> list[str]:
    """Says so if the folder lies inside another data set: readers of that one would find these shards too."""
    outer = next((p for p in folder.resolve().parents if manifest_path(p).is_file()), None)
    if outer is None:
        return []
    return [
        f"{folder} lies inside the data set {outer}: `pd.read_parquet` of that folder reads both"
    ]
