"""Forced alignment of real recordings, against their published word times."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from alp_builder.voice import Aligner, Alignment, VoiceConfig, decode, pronounce
from alp_builder.voice.audio import RATE, Samples
from alp_builder.voice.g2p import train
from alp_builder.voice.pronounce import DICTIONARY, dictionary_entries, model_path
from tests.alp_builder.voice.voices import CAPTIONS, tone

pytest.importorskip("av")
pytest.importorskip("pocketsphinx")

PUBLISHED_OFFSET = 0.15


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner()


@pytest.fixture(scope="module")
def sounds(shared_data: Path) -> dict[str, Samples]:
    folder = shared_data / "vidln/recordings"
    return {name: decode(folder / f"{name}.webm")[0] for name in ("0_0", "1_1")}


@pytest.fixture(scope="module")
def tiger(aligner: Aligner, sounds: dict[str, Samples]) -> Alignment:
    return aligner.align(CAPTIONS["1_1"], sounds["1_1"])


def _published(shared_data: Path, caption: str) -> list[float]:
    lines = (shared_data / "vidln/ovis_in_ln_format.jsonl").read_bytes().splitlines()
    record = next(r for r in map(msgspec.json.decode, lines) if r["caption"] == caption)
    return [word["start_time"] for word in record["timed_caption"]]


def test_words_start_where_published_ones_do_but_for_a_constant(
    shared_data: Path, tiger: Alignment
) -> None:
    assert tiger.problem is None
    starts = np.array([word.start for word in tiger.words])
    error = np.array(_published(shared_data, CAPTIONS["1_1"])) - starts
    assert np.median(error) == pytest.approx(PUBLISHED_OFFSET, abs=0.03)
    assert np.median(np.abs(error - np.median(error))) < 0.05
    assert np.abs(error - np.median(error)).max() < 0.25


def test_the_words_are_the_caption(tiger: Alignment) -> None:
    caption = CAPTIONS["1_1"]
    assert " ".join(word.text for word in tiger.words) == caption
    assert all(caption[w.char_start : w.char_end] == w.text for w in tiger.words)
    times = [time for word in tiger.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 < word.confidence <= 1 for word in tiger.words)
    timed = tiger.timed_caption()
    assert (timed[0].utterance, timed[0].start_time) == ("Another", tiger.words[0].start)


def test_the_result_does_not_depend_on_what_was_heard_before(
    aligner: Aligner, sounds: dict[str, Samples], tiger: Alignment
) -> None:
    aligner.align(CAPTIONS["0_0"], sounds["0_0"])
    aligner.align("grellow wugs", tone(2))
    assert aligner.align(CAPTIONS["1_1"], sounds["1_1"]) == tiger
    assert Aligner().align(CAPTIONS["1_1"], sounds["1_1"]) == tiger


def test_words_no_dictionary_has_are_timed_too(
    aligner: Aligner,
    sounds: dict[str, Samples],
    tiger: Alignment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As heard, but written as people misspell and join; the model is of a fortieth of the dictionary here.
    entries = list(dictionary_entries(model_path(DICTIONARY)))[::40]
    monkeypatch.setattr(pronounce, "trained_model", lambda cache: train(entries))
    caption = "Another brown-tiger with blakk strypes - is fighting with the 1st tiger"
    found = aligner.align(caption, sounds["1_1"])
    assert found.problem is None
    assert [word.text for word in found.words] == [
        "Another", "brown-tiger", "with", "blakk", "strypes -", "is", "fighting", "with", "the", "1st", "tiger",
    ]  # fmt: skip
    ours = {word.text: word.start for word in tiger.words}
    assert found.words[3].start == pytest.approx(ours["black"], abs=0.15)
    assert found.words[4].start == pytest.approx(ours["stripes"], abs=0.15)
    assert found.words[9].start == pytest.approx(ours["first"], abs=0.1)
    assert found.words[1].end == pytest.approx(tiger.words[2].end, abs=0.1)


def test_an_offset_moves_every_time(sounds: dict[str, Samples], tiger: Alignment) -> None:
    moved = Aligner(VoiceConfig(offset=PUBLISHED_OFFSET)).align(CAPTIONS["1_1"], sounds["1_1"])
    assert [w.start for w in moved.words] == [round(w.start + 0.15, 3) for w in tiger.words]
    early = Aligner(VoiceConfig(offset=-10.0)).align(CAPTIONS["1_1"], sounds["1_1"])
    assert early.words[0].start == early.words[0].end == 0.0


@pytest.mark.parametrize(
    "caption",
    [
        CAPTIONS["2_1"],  # another image
        CAPTIONS["1_1"] + " " + CAPTIONS["1_1"],  # more than was said
        "Another brown tiger with black stripes",  # half of what was said
        "with is first tiger the stripes Another fighting black tiger with brown",
    ],
)
def test_a_caption_that_does_not_fit_is_flagged(
    caption: str, aligner: Aligner, sounds: dict[str, Samples]
) -> None:
    found = aligner.align(caption, sounds["1_1"])
    assert found.reason == "misfit"
    assert found.problem is not None
    assert "\n" not in found.problem


def test_half_a_recording_does_not_hold_the_caption(
    aligner: Aligner, sounds: dict[str, Samples]
) -> None:
    half = sounds["1_1"][: len(sounds["1_1"]) // 2]
    assert aligner.align(CAPTIONS["1_1"], half).reason == "misfit"


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.3, 20.0])
def test_silence_is_called_silence(seconds: float, aligner: Aligner) -> None:
    quiet = np.zeros(round(seconds * RATE), np.int16)
    assert aligner.align("A dog.", quiet).reason == "silence"


def test_noise_and_tones_fit_no_caption(aligner: Aligner) -> None:
    rng = np.random.default_rng(0)
    bursts = rng.normal(0, 3000, 5 * RATE) * (np.arange(5 * RATE) // (RATE // 4) % 3 == 0)
    for sound in (bursts.astype(np.int16), np.concatenate([tone(1), np.zeros(RATE, np.int16)])):
        assert aligner.align(CAPTIONS["1_1"], sound).problem is not None


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("", "empty_caption"),
        (" - … ", "empty_caption"),
        ("犬 と 猫 a", "not_english"),
        ("a " * 2000, "caption_too_long"),
    ],
)
def test_captions_that_cannot_be_spoken(
    caption: str, reason: str, aligner: Aligner, sounds: dict[str, Samples]
) -> None:
    found = aligner.align(caption, sounds["1_1"])
    assert (found.reason, found.words) == (reason, ())
    assert found.problem


@pytest.mark.slow
def test_all_recordings_against_all_captions(shared_data: Path, aligner: Aligner) -> None:
    lines = (shared_data / "vidln/OVIS_train_sample.jsonl").read_bytes().splitlines()
    actors = [a for line in lines for a in msgspec.json.decode(line)["actor_narratives"]]
    errors = []
    for own in actors:
        name = Path(own["recording_filename"]).name
        samples, _ = decode(shared_data / "vidln/recordings" / name)
        for other in actors:
            found = aligner.align(other["caption"], samples)
            assert (found.problem is None) == (other is own), (name, other["caption"])
            if other is own:
                published = [word["start_ms"] / 1000 for word in own["time_alignment"]]
                errors += [p - w.start for p, w in zip(published, found.words, strict=True)]
    error = np.abs(np.array(errors) - np.median(errors))
    assert len(error) == 118
    assert np.median(error) < 0.05
    assert np.quantile(error, 0.9) < 0.12
