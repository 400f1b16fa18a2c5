"""Narratives and recordings in, narratives with forced word times out.

1. **Plan.** Every input is hashed and cut into chunks of lines (`alp_builder.inputs`).
2. **Align.** Chunks become result files, one by one or on several processes. A run that is stopped goes on from
   those that are there, if inputs, recordings' place and choices are the same.
3. **Publish.** The results are strung together in the order of the inputs. Beside FILE lies `_align/FILE/`, a
   folder that readers of narratives pass over: `quarantine.jsonl`, the lines without times and why, and
   `confidence.jsonl`, how sure the times of the others are. FILE comes last, and whole.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from alp_builder.config import InputConfig
from alp_builder.copies import localise
from alp_builder.errors import UsageError
from alp_builder.files import atomic_file, exclusive, write_atomic
from alp_builder.inputs import Chunk, NarrativeSource, ScannedInput, scan
from alp_builder.progress import progress_bar
from alp_builder.voice.comparison import StartPair, VersusPublished, versus_published
from alp_builder.voice.config import VoiceConfig
from alp_builder.voice.pool import MakeWorker, run_tasks
from alp_builder.voice.recordings import Recordings
from alp_builder.voice.work import Result, Task, Worker, read_result

SIDE_FOLDER = "_align"
QUARANTINE = "quarantine.jsonl"
CONFIDENCE = "confidence.jsonl"

CHUNK_BYTES = 256 * 1024
"""Bytes of input to a unit of work: some eight narratives, seconds of work."""


@dataclass(frozen=True)
class AlignOptions:
    """How to run.

    Attributes:
        config: Choices of the alignment.
        limits: Limits on records.
        keep: Whether a narrative without times is written as it was, rather than left out.
        workers: Processes.
        progress: Whether to show progress.
    """

    config: VoiceConfig = field(default_factory=VoiceConfig)
    limits: InputConfig = field(default_factory=InputConfig)
    keep: bool = False
    workers: int = 1
    progress: bool = True


@dataclass
class AlignSummary:
    """What was done.

    Attributes:
        out: The output.
        side: The folder of its side files.
        counts: `lines`, `narratives`, `words`, `words_aligned`, `kept`.
        rejected: Lines without times, by reason.
        versus: Forced starts against published ones, where there are any.
        sound_seconds: Length of the recordings, in seconds; each narration's counts once.
        work_seconds: Processor time for decoding and aligning them, over all workers.
        low_words: Words of confidence under one half.
        reused: Chunks that an earlier, stopped run had done.
    """

    out: Path
    side: Path
    counts: dict[str, int]
    rejected: dict[str, int]
    versus: VersusPublished | None
    sound_seconds: float
    work_seconds: float
    low_words: int
    reused: int = 0
    seconds: float = 0.0


def align_files(
    sources: list[NarrativeSource],
    recordings: Recordings,
    origin: str,
    out: Path,
    options: AlignOptions,
) -> AlignSummary:
    """Aligns narratives.

    Args:
        sources: Files of narratives.
        recordings: Where their recordings are.
        origin: What identifies that place, for telling whether a stopped run was the same.
        out: The output.
        options: How to run.

    Raises:
        UsageError: If the output cannot be written, is an input, or another run is writing it.
        BadDataError: If an input cannot be read.
        OfflineError: If recordings have to be fetched and there is no connection.
    """
    started = time.monotonic()
    if any(Path(source.location).resolve() == out.resolve() for source in sources):
        raise UsageError(f"--out {out}: is one of the inputs; give another name")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; give the name of a file")
    side = out.parent / SIDE_FOLDER / out.name
    try:
        side.mkdir(parents=True, exist_ok=True)
        with exclusive(side / "lock", f"an alignment into {out}"):
            summary = _Run(sources, recordings, origin, out, side, options).run()
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror or error})") from error
    summary.seconds = time.monotonic() - started
    return summary


def _make_worker(
    config: VoiceConfig, limits: InputConfig, recordings: Recordings, keep: bool
) -> Worker:
    return Worker(config, limits, recordings, keep)


@dataclass
class _Run:
    """One run, holding the lock of its output."""

    sources: list[NarrativeSource]
    recordings: Recordings
    origin: str
    out: Path
    side: Path
    options: AlignOptions

    @property
    def work(self) -> Path:
        return self.side / "work"

    def run(self) -> AlignSummary:
        inputs, chunks, paths = self._plan()
        self._adopt(inputs)
        tasks = [
            Task(
                chunk=chunk, path=str(paths[chunk.source]), name=inputs[chunk.source].location,
                output=str(self._result(chunk)),
            )
            for chunk in chunks
        ]  # fmt: skip
        todo = [task for task in tasks if not Path(task.output).exists()]
        make: MakeWorker = partial(
            _make_worker,
            self.options.config,
            self.options.limits,
            self.recordings,
            self.options.keep,
        )
        sizes = [chunk.end - chunk.start for chunk in chunks]
        left = sum(task.chunk.end - task.chunk.start for task in todo)
        shown = self.options.progress
        with progress_bar(sum(sizes), "aligning", "B", shown=shown, done=sum(sizes) - left) as bar:
            narratives = 0
            for task, number in run_tasks(todo, make, self.options.workers):
                narratives += number
                bar.set_postfix_str(f"{narratives} narratives", refresh=False)
                bar.update(task.chunk.end - task.chunk.start)
        summary = self._publish([self._result(chunk) for chunk in chunks])
        summary.reused = len(tasks) - len(todo)
        shutil.rmtree(self.work, ignore_errors=True)
        return summary

    def _plan(self) -> tuple[list[ScannedInput], list[Chunk], list[Path]]:
        inputs: list[ScannedInput] = []
        chunks: list[Chunk] = []
        paths: list[Path] = []
        with progress_bar(None, "hashing", "B", shown=self.options.progress) as bar:
            for index, source in enumerate(self.sources):
                path = localise(source, self.work / "inputs", self.options.limits.max_inflation)
                scanned, cut = scan(path, source, index, len(chunks), CHUNK_BYTES, bar.update)
                inputs.append(scanned)
                chunks += cut
                paths.append(path)
        return inputs, chunks, paths

    def _adopt(self, inputs: list[ScannedInput]) -> None:
        """Keeps the results of a stopped run of the same work, throws others away."""
        options = self.options
        told = (inputs, options.config, options.limits, options.keep, self.origin, _versions())
        plan = hashlib.sha256(msgspec.json.encode(told)).hexdigest().encode()
        path = self.work / "plan"
        if not path.is_file() or path.read_bytes() != plan:
            shutil.rmtree(self.work / "results", ignore_errors=True)
            write_atomic(path, plan)

    def _result(self, chunk: Chunk) -> Path:
        return self.work / "results" / f"{chunk.number:06d}.msgpack"

    def _publish(self, results: list[Path]) -> AlignSummary:
        """Strings the results together."""
        totals = _Totals()
        with (
            atomic_file(self.side / QUARANTINE) as rejected,
            atomic_file(self.side / CONFIDENCE) as confidences,
            atomic_file(self.out) as lines,
        ):
            for path in results:
                result = read_result(path)
                lines.writelines(line + b"\n" for line in result.lines)
                rejected.writelines(_json_lines(result.rejected))
                confidences.writelines(_json_lines(result.confidences))
                totals.add(result)
        pairs = [pair for starts in totals.pairs.values() for pair in starts]
        return AlignSummary(
            out=self.out, side=self.side, counts=dict(totals.counts), rejected=dict(totals.rejected),
            versus=versus_published(pairs), sound_seconds=totals.sound, work_seconds=totals.work,
            low_words=totals.low,
        )  # fmt: skip


@dataclass
class _Totals:
    """Sums over results."""

    counts: Counter[str] = field(
        default_factory=lambda: Counter(lines=0, narratives=0, words=0, words_aligned=0, kept=0)
    )
    rejected: Counter[str] = field(default_factory=Counter)
    pairs: dict[tuple[str, str], list[StartPair]] = field(default_factory=dict)
    sound: float = 0.0
    work: float = 0.0
    low: int = 0

    def add(self, result: Result) -> None:
        self.counts.update(result.counts)
        self.rejected.update(entry.reason for entry in result.rejected)
        # Lines of one narration, as those of a video's key frames, count once.
        self.pairs |= {(pairs.recording, pairs.caption): pairs.starts for pairs in result.pairs}
        self.sound += result.sound_seconds
        self.work += result.work_seconds
        self.low += sum(word < 0.5 for entry in result.confidences for word in entry.words)


def _json_lines(entries: Iterable[msgspec.Struct]) -> Iterable[bytes]:
    encode: Callable[[msgspec.Struct], bytes] = msgspec.json.encode
    return (encode(entry) + b"\n" for entry in entries)


def _versions() -> dict[str, str]:
    """What else the times depend on."""
    found = {}
    for name in ("pocketsphinx", "av"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
