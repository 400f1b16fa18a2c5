"""Pauses are cut out of a recording, and frames keep their place."""

from __future__ import annotations

import numpy as np
import pytest

from alp_builder.voice.audio import RATE, Samples
from alp_builder.voice.config import VoiceConfig
from alp_builder.voice.speech import HOP, without_pauses
from tests.alp_builder.voice.voices import tone


def _room(seconds: float, loudness: float = 20.0) -> Samples:
    return np.random.default_rng(0).normal(0, loudness, round(seconds * RATE)).astype(np.int16)


def test_sound_stays_with_its_margin_and_pauses_go() -> None:
    samples = np.concatenate([_room(3), tone(1), _room(4), tone(0.5, 300.0), _room(2)])
    sound = without_pauses(samples, VoiceConfig())
    seconds = sound.frames * HOP / RATE
    kept = np.split(seconds, np.flatnonzero(np.diff(sound.frames) > 1) + 1)
    spans = [(float(part[0]), float(part[-1])) for part in kept]
    assert spans == [
        (pytest.approx(2.75, abs=0.03), pytest.approx(4.25, abs=0.03)),
        (pytest.approx(7.75, abs=0.03), pytest.approx(8.75, abs=0.03)),
    ]
    assert sound.loud_seconds == pytest.approx(1.5, abs=0.06)
    whole = samples.reshape(-1, HOP)
    np.testing.assert_array_equal(sound.samples.reshape(-1, HOP), whole[sound.frames])


@pytest.mark.parametrize("loudness", [0.0, 1.0, 500.0])
def test_an_even_room_is_silent_however_loud(loudness: float) -> None:
    assert without_pauses(_room(5, loudness), VoiceConfig()).loud_seconds < 0.05


@pytest.mark.parametrize("count", [0, 1, HOP - 1, HOP, 3 * HOP + 7])
def test_any_number_of_samples_will_do(count: int) -> None:
    sound = without_pauses(tone(1)[:count], VoiceConfig())
    assert len(sound.samples) == len(sound.frames) * HOP == len(sound.loud) * HOP
    assert len(sound.frames) <= count // HOP
