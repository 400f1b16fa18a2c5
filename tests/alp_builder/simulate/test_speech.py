"""Times of words, worked by hand where noise is off, and the quirks of published files one by one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_builder.simulate import PROFILES
from alp_builder.simulate.captions import Caption
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.speech import time_words, utterances

EXACT = msgspec.structs.replace(
    PROFILES["clean"], word_base=0.1, word_per_char=0.05, dwell_min=2.0, frame_pause=0.0,
    grouped_rate=0.0,
)  # fmt: skip


def spoken_caption() -> Caption:
    """ "In this image I see a dog and two mugs." of two phrases."""
    caption = Caption()
    caption.openers.append(0)
    caption.say("In this image I see")
    caption.mention("a", "dog", [0])
    caption.say("and")
    caption.mention("two", "mugs", [1, 2])
    caption.end(".")
    return caption


def test_a_word_takes_as_long_as_its_letters_and_a_phrase_as_long_as_its_visits() -> None:
    caption = spoken_caption()
    starts, ends = time_words(caption, [1, 2], EXACT, generator("speech"))
    lengths = [0.1 + 0.05 * len(word) for word in caption.words]
    assert np.subtract(ends, starts) == pytest.approx(lengths)
    assert starts[:7] == pytest.approx(np.cumsum([0, *lengths[:6]]))
    # "a dog" is pointed at for 2 s in all: silence until "and" makes up for what the words lack.
    assert starts[7] - starts[5] == pytest.approx(2.0)
    assert starts[8] == pytest.approx(ends[7])


def test_silences_grow_with_the_visits() -> None:
    slow = msgspec.structs.replace(EXACT, dwell_min=0.0, pause_mean=1.0)
    waits = []
    for visits in (1, 3):
        total = 0.0
        for seed in range(400):
            starts, ends = time_words(spoken_caption(), [visits, 1], slow, generator("w", seed))
            total += starts[7] - ends[6]
        waits.append(total / 400)
    assert waits[0] == pytest.approx(1.0, rel=0.15)
    assert waits[1] == pytest.approx(3.0, rel=0.15)


def said(profile: NoiseProfile, seed: int = 0) -> list[tuple[str, float, float]]:
    caption, dice = spoken_caption(), Dice(generator("said", seed))
    starts, ends = time_words(caption, [1, 2], profile, dice.rng)
    return utterances(caption, starts, ends, profile, dice)


def test_frame_words_are_grouped_and_phrases_keep_their_words() -> None:
    grouped = said(msgspec.structs.replace(EXACT, grouped_rate=1.0))
    assert [text for text, _, _ in grouped][:3] == ["In this", "image", "I"]
    alone = said(EXACT)
    assert [text for text, _, _ in alone] == spoken_caption().words
    assert grouped[0][1:] == (alone[0][1], alone[1][2])


def test_the_first_utterance_may_have_no_length() -> None:
    first, second, *rest = said(msgspec.structs.replace(EXACT, zero_length_rate=1.0))
    plain = said(EXACT)
    assert first == ("In", 0.0, 0.0)
    assert second == ("this", 0.0, plain[1][2])
    assert rest == plain[2:]


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 0.9), st.integers(0, 10**6))
def test_unheard_words_are_left_out_and_the_others_stay(rate: float, seed: int) -> None:
    heard = said(msgspec.structs.replace(EXACT, unheard_rate=rate), seed)
    everything = said(EXACT, seed)
    assert len(heard) <= len(everything)
    left = iter(everything)
    assert all(word in left for word in heard), "a subsequence"


def test_as_many_words_are_unheard_as_the_profile_says() -> None:
    profile = msgspec.structs.replace(EXACT, unheard_rate=0.3)
    counts = [len(said(profile, seed)) for seed in range(300)]
    assert np.mean(counts) / len(spoken_caption().words) == pytest.approx(0.7, abs=0.03)
