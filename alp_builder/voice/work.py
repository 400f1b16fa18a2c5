"""A stretch of lines aligned: what a worker does with a task, and the file it leaves.

A result holds everything the output needs of its stretch, so that the output is a concatenation: it depends on the
lines, the recordings and the choices, not on which worker did it, nor on what else it did.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from alp_builder.config import InputConfig
from alp_builder.files import write_atomic
from alp_builder.inputs import Chunk
from alp_builder.records import Line, RecordError, RejectedRecord, read_lines
from alp_builder.voice.aligner import Aligner, Alignment
from alp_builder.voice.audio import VoiceError, decode
from alp_builder.voice.comparison import StartPair, start_pairs
from alp_builder.voice.config import VoiceConfig
from alp_builder.voice.narrations import NarratedLine, Narration
from alp_builder.voice.recordings import Recordings
from alp_builder.voice.words import tokens_of

_Key = tuple[str | None, str]  # recording and caption


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of work.

    Attributes:
        chunk: Which lines.
        path: The plain local file they are in.
        name: Name of the input, as the user gave it.
        output: Where the result goes.
    """

    chunk: Chunk
    path: str
    name: str
    output: str


class Confidences(msgspec.Struct, frozen=True, kw_only=True):
    """How sure the times of a narrative are, as it goes into the side file.

    Attributes:
        file: Name of the input.
        line: Its line there, counted from 1.
        recording: Name of the recording.
        confidence: Of the whole, in [0, 1].
        score: Mean acoustic score a frame.
        unclaimed: Share of the speech without words.
        words: Confidence of each utterance, in the order of the line's timed caption.
    """

    file: str
    line: int
    recording: str
    confidence: float
    score: float
    unclaimed: float
    words: list[float]


class Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """Forced and published starts of a narration: several lines may share one."""

    recording: str
    caption: str
    starts: list[StartPair]


class Result(msgspec.Struct, kw_only=True):
    """What became of a chunk.

    Attributes:
        lines: Lines of the output.
        counts: `lines`, `narratives`, `words`, `words_aligned`, `kept`.
        rejected: Lines without times.
        confidences: Of each narration with times.
        pairs: Starts to compare with published ones.
        sound_seconds: Length of the recordings listened to, in seconds.
        work_seconds: Processor time that took, in seconds.
    """

    lines: list[bytes] = []
    counts: dict[str, int] = {}
    rejected: list[RejectedRecord] = []
    confidences: list[Confidences] = []
    pairs: list[Pairs] = []
    sound_seconds: float = 0.0
    work_seconds: float = 0.0


@dataclass
class Worker:
    """What a process needs to do tasks.

    Attributes:
        config: Choices of the alignment.
        limits: Limits on records.
        recordings: Where recordings come from.
        keep: Whether a line without times is written as it was.
    """

    config: VoiceConfig
    limits: InputConfig
    recordings: Recordings
    keep: bool = False

    def __post_init__(self) -> None:
        self._aligner = Aligner(self.config)

    def do(self, task: Task) -> int:
        """Aligns a chunk and writes its result; returns the number of narratives."""
        chunk = task.chunk
        with Path(task.path).open("rb") as stream:
            stream.seek(chunk.start)
            lines = list(
                read_lines(
                    stream, chunk.start, chunk.end, chunk.first_line, self.limits.max_record_bytes
                )
            )
        result = self.align(lines, task.name)
        write_atomic(Path(task.output), msgspec.msgpack.encode(result))
        return result.counts["narratives"]

    def align(self, lines: list[Line], file: str) -> Result:
        """Aligns lines.

        Args:
            lines: Lines of an input.
            file: Its name.
        """
        counts: Counter[str] = Counter(
            lines=len(lines), narratives=0, words=0, words_aligned=0, kept=0
        )
        result = Result()
        parsed: list[tuple[Line, NarratedLine]] = []
        for line in lines:
            try:
                parsed.append((line, NarratedLine(line, self.limits)))
            except RecordError as error:
                result.rejected.append(line.rejected(file, error))
        named = [n.recording for _, record in parsed for n in record.narrations if n.recording]
        self.recordings.prepare(named)
        done: dict[_Key, Alignment] = {}
        for line, record in parsed:
            counts["narratives"] += len(record.narrations)
            alignments = []
            for narration in record.narrations:
                key = (narration.recording, narration.caption)
                if key not in done:
                    done[key] = self._narration(narration, result)
                alignments.append(done[key])
                counts["words"] += len(tokens_of(narration.caption))
            problem = next((a for a in alignments if a.problem is not None), None)
            if problem is not None:
                reason = RecordError(problem.reason or "misfit", problem.problem or "")
                result.rejected.append(line.rejected(file, reason))
                if self.keep:
                    counts["kept"] += 1
                    result.lines.append(line.data)
                continue
            result.lines.append(record.with_times(alignments))
            for narration, alignment in zip(record.narrations, alignments, strict=True):
                counts["words_aligned"] += len(alignment.words)
                result.confidences.append(_confidences(file, line, narration, alignment))
        result.rejected.sort(key=lambda entry: entry.line)
        result.counts = dict(counts)
        return result

    def _narration(self, narration: Narration, result: Result) -> Alignment:
        """Aligns one narration and notes the time it took and how it compares."""
        started = time.process_time()
        try:
            samples, seconds = decode(self.recordings.find(narration.recording), config=self.config)
        except VoiceError as error:
            return Alignment(problem=str(error), reason=error.reason)
        alignment = self._aligner.align(narration.caption, samples)
        result.sound_seconds += seconds
        result.work_seconds += time.process_time() - started
        if alignment.problem is None and narration.published:
            pairs = start_pairs(narration, alignment.words)
            result.pairs.append(
                Pairs(recording=narration.recording or "", caption=narration.caption, starts=pairs)
            )
        return alignment


def read_result(path: Path) -> Result:
    """Reads what a worker wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Result)


def _confidences(file: str, line: Line, narration: Narration, alignment: Alignment) -> Confidences:
    return Confidences(
        file=file,
        line=line.number,
        recording=narration.recording or "",
        confidence=round(alignment.confidence, 3),
        score=round(alignment.score, 2) if math.isfinite(alignment.score) else 0.0,
        unclaimed=round(alignment.unclaimed, 3),
        words=[word.confidence for word in alignment.words],
    )
