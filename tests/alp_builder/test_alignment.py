"""Words to text: right, or dropped; never shifted."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.alignment import _letters_of, align_tokens, align_utterances
from alp_builder.narratives import NarrativeBatch
from alp_builder.records import NarrativeRecord, Utterance

from .narrative_strategies import timed_words


def align(caption: str, words: list[str], starts: list[float] | None = None) -> list[str | None]:
    """The part of the caption each utterance is aligned with, or `None`."""
    times = starts or [float(i) for i in range(len(words))]
    spoken = [Utterance(w, t, t + 0.5) for w, t in zip(words, times, strict=True)]
    batch = NarrativeBatch.from_records([NarrativeRecord("d", "i", 1, caption, spoken, [])])
    found = align_utterances(batch)
    spans = zip(found.char_start.tolist(), found.char_end.tolist(), strict=True)
    return [caption[a:b] if a >= 0 else None for a, b in spans]


CASES: list[tuple[str, str, list[str], list[str | None]]] = [
    ("plain", "a dog runs", ["a", "dog", "runs"], ["a", "dog", "runs"]),
    ("groups", "In the image we see", ["In the", "image", "we see"], ["In the", "image", "we see"]),
    ("punctuation", "A dog, a cat.", ["a", "dog", "A", "cat"], ["A", "dog", "a", "cat"]),
    ("its own punctuation", "A dog a cat", ["A", "dog,", "a", "cat."], ["A", "dog", "a", "cat"]),
    ("hyphens", "a t- shirt", ["a", "t-shirt"], ["a", "t- shirt"]),
    (
        "punctuation alone",
        "a dog - a cat",
        ["a", "dog", "-", "a", "cat"],
        ["a", "dog", None, "a", "cat"],
    ),
    ("unicode", "Ein Käfer, naïve", ["ein", "KÄFER", "naïve"], ["Ein", "Käfer", "naïve"]),
    ("dotted capital", "İstanbul is big", ["İstanbul", "is", "big"], ["İstanbul", "is", "big"]),
    ("final sigma", "A ΟΔΟΣ, b", ["a", "ΟΔΟΣ", "b"], ["A", "ΟΔΟΣ", "b"]),
    ("emoji", "a 🐶 dog", ["a", "dog"], ["a", "dog"]),
    ("missing word", "a big dog runs", ["a", "dog", "runs"], ["a", "dog", "runs"]),
    ("extra word", "a dog runs", ["a", "uh", "dog", "runs"], ["a", None, "dog", "runs"]),
    ("spelling", "a gray dog", ["a", "grey", "dog"], ["a", "gray", "dog"]),
    ("other word", "a gray dog", ["a", "picture", "dog"], ["a", None, "dog"]),
    ("repeated", "the the dog the cat", ["the", "the", "cat"], ["the", "the", "cat"]),
    ("group with extra", "a red car", ["a very red", "car"], ["a red", "car"]),
    ("nothing in common", "a dog", ["eins", "zwei"], [None, None]),
    ("empty utterance", "a dog", ["", "a", "dog"], [None, "a", "dog"]),
]


@pytest.mark.parametrize(
    ("caption", "words", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_alignment(caption: str, words: list[str], expected: list[str | None]) -> None:
    assert align(caption, words) == expected


def test_letters_do_not_depend_on_the_texts_beside() -> None:
    alone, beside = _letters_of(["ΣΑΣ"]), _letters_of(["ΣΑΣ", "abc"])
    assert alone.text(0, 3) == beside.text(0, 3) == "\u03c3\u03b1\u03c3"


def test_repeated_words_align_with_the_right_one() -> None:
    caption = "a dog and a cat and a bird"
    batch = NarrativeBatch.from_records(
        [
            NarrativeRecord(
                "d", "i", 1, caption, [Utterance(w, i, i) for i, w in enumerate(["a", "bird"])], []
            )
        ]
    )
    found = align_utterances(batch)
    assert caption[found.char_start[1] : found.char_end[1]] == "bird"
    assert found.char_start[0] < found.char_start[1]


def test_utterances_listed_out_of_order_are_sorted_by_time() -> None:
    assert align("a dog runs", ["runs", "a", "dog"], [3, 1, 2]) == ["runs", "a", "dog"]


def test_a_time_that_steps_back_is_marked() -> None:
    words = [Utterance("a", 0, 1), Utterance("dog", 5, 6), Utterance("runs", 2, 3)]
    batch = NarrativeBatch.from_records([NarrativeRecord("d", "i", 1, "a dog runs", words, [])])
    assert align_utterances(batch).out_of_order.tolist() == [False, False, True]


@given(st.lists(timed_words(), min_size=1, max_size=4))
def test_what_was_typed_as_spoken_aligns_exactly(
    narratives: list[tuple[str, list[Utterance]]],
) -> None:
    records = [NarrativeRecord("d", "i", 1, caption, words, []) for caption, words in narratives]
    batch = NarrativeBatch.from_records(records)
    found = align_utterances(batch)
    assert found.exact.all()
    owner = np.repeat(np.arange(len(records)), np.diff(batch.utterance_offsets))
    texts = [text for number in range(len(records)) for text in batch.utterances(number)]
    for index, text in enumerate(texts):
        start, end = found.char_start[index], found.char_end[index]
        letters = "".join(c for c in text.lower() if c.isalnum())
        if letters:
            place = batch.captions[owner[index]][start:end]
            assert "".join(c for c in place.lower() if c.isalnum()) == letters
            assert place[0].isalnum()
            assert place[-1].isalnum()


@given(st.text(max_size=40), st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_places_are_inside_ordered_and_share_a_word(caption: str, words: list[str]) -> None:
    spoken = [Utterance(word, i, i + 1) for i, word in enumerate(words)]
    batch = NarrativeBatch.from_records([NarrativeRecord("d", "i", 1, caption, spoken, [])])
    found = align_utterances(batch)
    end = 0
    for first, last in zip(found.char_start.tolist(), found.char_end.tolist(), strict=True):
        if first >= 0:
            assert end <= first < last <= len(caption)
            end = last


tokens = st.lists(st.sampled_from(["a", "b", "c", "dog"]), max_size=8)


@given(tokens, tokens)
def test_token_alignment_is_as_long_as_can_be(left: list[str], right: list[str]) -> None:
    """With tokens either equal or unlike, the pairs are a longest common subsequence."""
    pairs = align_tokens(left, right)
    assert all(left[i] == right[j] for i, j in pairs)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))
    longest = np.zeros((len(left) + 1, len(right) + 1), int)
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            best = max(longest[i, j + 1], longest[i + 1, j])
            longest[i + 1, j + 1] = max(best, longest[i, j] + (one == other))
    assert len(pairs) == longest[-1, -1]


def test_hostile_captions_end_in_bounded_time() -> None:
    caption = " ".join(f"word{i}" for i in range(2000))
    other = [f"term{i}x" for i in range(2000)]
    start = time.perf_counter()
    align(caption, other)
    align("a " * 5000, ["b a"] * 2000)
    assert time.perf_counter() - start < 20
