"""Forced starts against published ones."""

from __future__ import annotations

import pytest

from alp_builder.records import Utterance
from alp_builder.voice.aligner import TimedWord
from alp_builder.voice.comparison import start_pairs, versus_published
from alp_builder.voice.narrations import Narration


def _words(caption: str, starts: list[float]) -> list[TimedWord]:
    words, at = [], 0
    for text, start in zip(caption.split(), starts, strict=True):
        at = caption.index(text, at)
        words.append(
            TimedWord(text=text, char_start=at, char_end=at + len(text), start=start, end=start,
                      confidence=1.0)
        )  # fmt: skip
        at += len(text)
    return words


def test_grouped_bare_and_misplaced_utterances_find_their_words() -> None:
    caption = 'In the "image", a grey-red dog runs.'
    published = [
        Utterance("In the", 0.0, 0.4),
        Utterance("image", 0.5, 0.9),
        Utterance("um", 0.9, 1.0),  # not in the caption
        Utterance("grey", 1.2, 1.4),
        Utterance("red", 1.4, 1.6),  # starts within one of our words
        Utterance("dog", 1.7, 2.0),
    ]
    words = _words(caption, [0.1, 0.3, 0.6, 1.0, 1.3, 1.8, 2.1])
    assert start_pairs(Narration(caption, "a.ogg", published), words) == [
        (0.1, 0.0), (0.6, 0.5), (1.3, 1.2), (1.8, 1.7),
    ]  # fmt: skip


def test_a_constant_is_no_error() -> None:
    pairs = [(1.0, 1.15), (2.0, 2.15), (3.0, 3.15), (4.0, 4.25), (5.0, 5.05)]
    versus = versus_published(pairs)
    assert versus is not None
    assert versus.offset_s == pytest.approx(0.15)
    assert versus.median_abs_s == pytest.approx(0.0)
    assert versus.p90_abs_s == pytest.approx(0.1)
    assert versus.words == 5
    assert versus_published([]) is None
