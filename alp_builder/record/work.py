"""What runs in the worker process: decoding voices, aligning words, making ALPs, drafts, the narratives' file.

The server never does any of it: it answers while the worker computes, and outlives one that a broken recording
kills. Models are loaded once a process, when first needed.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from alp_builder.errors import AlpError, UsageError
from alp_builder.record.layout import Outcome, ShownAlp, ShownWord, StoredNarrative
from alp_builder.records import NarrativeRecord, Utterance

if TYPE_CHECKING:
    from alp_builder.extraction import AlpExtractor
    from alp_builder.voice import Aligner


def start_worker(niceness: int) -> None:
    """Called once in each worker process, which steps back behind the server by its niceness."""
    import signal
    import threading

    os.nice(niceness)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the server's to answer


def _end_with_parent() -> None:
    """Ends this process when the server does, also when it was killed: its queue alone would not tell."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def missing_extra() -> str | None:
    """Why voices cannot be aligned here, in one line, or `None` where they can."""
    from importlib.util import find_spec

    missing = [name for name in ("av", "pocketsphinx") if find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed: pip install 'alp-toolkit[record]'"
    return None


def length(path: str) -> float | None:
    """Length of a recording in seconds, from its packets alone; `None` where it cannot be read."""
    import av

    last = 0.0
    try:
        with av.open(path) as container:
            for packet in container.demux(audio=0):
                if packet.pts is not None and packet.time_base is not None:
                    last = max(
                        last, float((packet.pts + (packet.duration or 0)) * packet.time_base)
                    )
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None
    return last


def align(narrative: StoredNarrative, out: str, dataset_id: str, max_seconds: float) -> Outcome:
    """Word times and ALPs of a narrative.

    Args:
        narrative: The narrative.
        out: Folder its recording's path starts from.
        dataset_id: Of its record.
        max_seconds: Longest recording that is decoded.

    Returns:
        What became of it. Bad recordings and captions that do not fit give a flagged outcome.
    """
    from alp_builder.voice import VoiceError, decode

    try:
        samples, seconds = decode(Path(out) / narrative.recording, max_seconds)
        found = _aligner().align(narrative.caption, samples)
    except VoiceError as error:
        detail = str(error).replace(f"{out}{os.sep}", "")
        return Outcome(state="flagged", reason=error.reason, detail=detail)
    except UsageError:
        raise
    except AlpError as error:
        return Outcome(state="flagged", reason="not_aligned", detail=str(error))
    words = [
        ShownWord(
            text=word.text, char_start=word.char_start, char_end=word.char_end,
            start=word.start, end=word.end, confidence=word.confidence,
        )
        for word in found.words
    ]  # fmt: skip
    timed = found.timed_caption() if found.words else []
    alps, dropped = _alps(narrative, dataset_id, timed)
    return Outcome(
        state="flagged" if found.problem else "aligned",
        reason=found.reason or "",
        detail=found.problem or "",
        confidence=found.confidence,
        timed_caption=[] if found.problem else timed,
        words=words,
        alps=alps,
        seconds=seconds,
        dropped=dropped,
    )


def draft(path: str, max_seconds: float) -> str:
    """A rough transcript of a recording by pocketsphinx and the language model in its wheel."""
    import pocketsphinx

    from alp_builder.voice import decode

    samples, _ = decode(Path(path), max_seconds)
    decoder = pocketsphinx.Decoder(loglevel="FATAL", samprate=16_000)
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    words = hypothesis.hypstr.split() if hypothesis else []
    text = " ".join(word for word in words if word[0] not in "<[")
    return text[:1].upper() + text[1:] + ("." if text else "")


def write_narratives(out: str, dataset_id: str, only_accepted: bool) -> dict[str, int]:
    """Writes the narratives' file anew; returns how many went where."""
    from alp_builder.record.publish import publish
    from alp_builder.record.store import Store

    return dict(publish(Store(Path(out)), dataset_id, only_accepted))


@cache
def _aligner() -> Aligner:
    from alp_builder.voice import Aligner

    return Aligner()


@cache
def _extractor() -> AlpExtractor:
    from alp_builder.config import BuildConfig
    from alp_builder.extraction import AlpExtractor

    return AlpExtractor(BuildConfig())


def _alps(
    narrative: StoredNarrative, dataset_id: str, timed: list[Utterance]
) -> tuple[list[ShownAlp], dict[str, int]]:
    """The ALPs of a narrative under the default configuration, as a build would make them."""
    from alp_builder.extraction import DROPPED
    from alp_builder.narratives import NarrativeBatch

    if not timed or not any(narrative.traces):
        return [], {}
    record = NarrativeRecord(
        dataset_id=dataset_id,
        image_id=narrative.image_id,
        annotator_id=narrative.annotator,
        caption=narrative.caption,
        timed_caption=timed,
        traces=narrative.traces,
    )
    extraction = _extractor().extract(NarrativeBatch.from_records([record]))
    alps = [
        ShownAlp(
            phrase=row["phrase"], char_start=row["char_start"], char_end=row["char_end"],
            box=[round(row[name], 5) for name in ("x0", "y0", "x1", "y1")],
            t_start=round(row["t_start"], 3), t_end=round(row["t_end"], 3),
            score=round(row["score"], 3), component=row["component_index"],
        )
        for row in extraction.rows.to_pylist()
    ]  # fmt: skip
    dropped = {
        name.removeprefix(DROPPED): count
        for name, count in extraction.counts.items()
        if name.startswith(DROPPED) and count
    }
    return alps, dropped
