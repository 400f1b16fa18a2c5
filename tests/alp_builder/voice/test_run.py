"""Whole runs: outputs, what is set aside, stopping and going on, workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alp_builder.errors import BadDataError, UsageError
from alp_builder.inputs import NarrativeSource
from alp_builder.narratives import read_narratives
from alp_builder.voice import work
from alp_builder.voice.aligner import Alignment, TimedWord
from alp_builder.voice.audio import Samples
from alp_builder.voice.config import VoiceConfig
from alp_builder.voice.recordings import LocalRecordings
from alp_builder.voice.run import AlignOptions, AlignSummary, align_files
from alp_builder.voice.words import tokens_of
from tests.alp_builder.voice.voices import encode, tone

pytest.importorskip("av")


class StandIn:
    """An aligner that gives every word a second, refuses "wrong", and counts its calls."""

    calls = 0
    stop_after: int | None = None

    def __init__(self, config: VoiceConfig) -> None:
        self.config = config

    def align(self, caption: str, samples: Samples) -> Alignment:
        StandIn.calls += 1
        if StandIn.stop_after is not None and StandIn.calls > StandIn.stop_after:
            raise KeyboardInterrupt
        if "wrong" in caption:
            return Alignment(problem="it does not fit", reason="misfit")
        words = tuple(
            TimedWord(text=caption[t.start : t.end], char_start=t.start, char_end=t.end, start=float(n),
                      end=n + 0.5, confidence=0.25 if n else 1.0)
            for n, t in enumerate(tokens_of(caption))
        )  # fmt: skip
        return Alignment(words, 0.9, score=-20.0)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    monkeypatch.setattr(work, "Aligner", StandIn)
    StandIn.calls, StandIn.stop_after = 0, None
    return StandIn


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    encode(folder / "a.wav", tone(2), "pcm_s16le", 16_000)
    (folder / "broken.wav").write_bytes(b"RIFFnothing")
    return folder


def _record(caption: str, voice: str | None = "a.wav", pad: int = 0, **more: Any) -> bytes:
    record = {
        "dataset_id": "d",
        "image_id": "i",
        "annotator_id": 1,
        "caption": caption,
        "pad": "." * pad,
    }
    if voice is not None:
        record["voice_recording"] = voice
    return json.dumps(record | more).encode()


def _run(
    tmp_path: Path, lines: list[bytes], out: str = "out.jsonl", **options: Any
) -> AlignSummary:
    source = tmp_path / "in.jsonl"
    if not source.exists():
        source.write_bytes(b"\n".join(lines) + b"\n")
    folder = LocalRecordings(tmp_path / "recordings")
    return align_files(
        [NarrativeSource(location=str(source), split="train")], folder, "here", tmp_path / out,
        AlignOptions(progress=False, **options),
    )  # fmt: skip


def test_the_output_holds_what_was_aligned_and_the_rest_is_set_aside(
    tmp_path: Path, recordings: Path, stand_in: type[StandIn]
) -> None:
    published = [{"utterance": "A", "start_time": 0.2, "end_time": 0.3}]
    lines = [
        _record("A dog.", timed_caption=published, traces=[[{"x": 0.1, "y": 0.2, "t": 0.3}]]),
        _record("A wrong one"),
        _record("No file", "none.wav"),
        _record("Broken", "broken.wav"),
        _record("Escapes", "../in.jsonl"),
        _record("Silent", None),
        b"{not json",
        _record("A dog.", timed_caption=published, other=1),
    ]
    summary = _run(tmp_path, lines)
    out = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert [json.loads(line).get("other") for line in out] == [None, 1]
    assert json.loads(out[0])["timed_caption"] == [
        {"utterance": "A", "start_time": 0.0, "end_time": 0.5},
        {"utterance": "dog.", "start_time": 1.0, "end_time": 1.5},
    ]
    assert summary.counts == {
        "lines": 8,
        "narratives": 7,
        "words": 12,
        "words_aligned": 4,
        "kept": 0,
    }
    assert summary.rejected == {
        "misfit": 1, "no_recording": 2, "broken_recording": 1, "unsafe_name": 1, "not_json": 1,
    }  # fmt: skip
    assert stand_in.calls == 2  # two lines share a narration
    assert summary.versus is not None
    assert summary.versus.words == 1
    assert summary.versus.offset_s == pytest.approx(0.2)
    assert summary.sound_seconds == pytest.approx(4.0)
    side = tmp_path / "_align/out.jsonl"
    rejected = [json.loads(line) for line in (side / "quarantine.jsonl").read_bytes().splitlines()]
    assert [entry["line"] for entry in rejected] == [2, 3, 4, 5, 6, 7]
    assert all(entry["file"].endswith("in.jsonl") and entry["detail"] for entry in rejected)
    sure = [json.loads(line) for line in (side / "confidence.jsonl").read_bytes().splitlines()]
    assert [(entry["line"], entry["words"]) for entry in sure] == [
        (1, [1.0, 0.25]),
        (8, [1.0, 0.25]),
    ]
    assert summary.low_words == 2
    assert not (side / "work").exists()
    result = read_narratives(tmp_path / "out.jsonl", 0, 10**9, 1, AlignOptions().limits)
    assert (result.counts["usable"], result.rejected) == (1, [])


def test_narratives_without_times_can_be_kept(
    tmp_path: Path, recordings: Path, stand_in: type[StandIn]
) -> None:
    wrong = _record("A wrong one", timed_caption=[])
    summary = _run(tmp_path, [wrong, _record("A dog"), b"[]"], keep=True)
    out = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert (len(out), out[0], summary.counts["kept"]) == (2, wrong, 1)


def test_a_stopped_run_goes_on_and_gives_the_same(
    tmp_path: Path, recordings: Path, stand_in: type[StandIn]
) -> None:
    lines = [_record(f"Dog number {n}", pad=100_000) for n in range(12)]
    _run(tmp_path, lines, "whole.jsonl")
    stand_in.calls, stand_in.stop_after = 0, 7
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, lines)
    assert not (tmp_path / "out.jsonl").exists()
    stand_in.calls, stand_in.stop_after = 0, None
    summary = _run(tmp_path, lines)
    assert summary.reused == 2
    assert stand_in.calls == 6
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert summary.counts["narratives"] == 12


def test_other_choices_begin_afresh(
    tmp_path: Path, recordings: Path, stand_in: type[StandIn]
) -> None:
    lines = [_record(f"Dog number {n}", pad=100_000) for n in range(6)]
    stand_in.stop_after = 4
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, lines)
    stand_in.stop_after = None
    assert _run(tmp_path, lines, config=VoiceConfig(offset=1.0)).reused == 0


def test_outputs_that_would_destroy_something_are_refused(
    tmp_path: Path, recordings: Path, stand_in: type[StandIn]
) -> None:
    with pytest.raises(UsageError, match="is one of the inputs"):
        _run(tmp_path, [_record("A dog")], "in.jsonl")
    with pytest.raises(UsageError, match="is a folder"):
        _run(tmp_path, [_record("A dog")], "recordings")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        _run(tmp_path, [_record("A dog")], "file/out.jsonl")
    with pytest.raises(BadDataError, match="cannot be read"):
        align_files(
            [NarrativeSource(location=str(tmp_path / "none"), split="train")],
            LocalRecordings(recordings), "here", tmp_path / "o.jsonl", AlignOptions(progress=False),
        )  # fmt: skip


def test_two_processes_give_the_bytes_of_one(tmp_path: Path, shared_data: Path) -> None:
    pytest.importorskip("pocketsphinx")
    (tmp_path / "recordings").symlink_to(shared_data / "vidln/recordings")
    caption = "Another brown tiger with black stripes is fighting with the first tiger."
    lines = [
        _record(caption, "1_1.webm", pad=300_000, n=0),
        _record(caption + " not", "1_1.webm", n=1),
    ]
    one = _run(tmp_path, lines, "one.jsonl", workers=1)
    two = _run(tmp_path, lines, "two.jsonl", workers=2)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert one.counts == two.counts
    assert np.isclose(two.sound_seconds, 2 * 22.92)
