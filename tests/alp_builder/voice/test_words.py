"""What of a caption is spoken: tokens that cover it, numbers, symbols, accents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.voice.words import spoken_words, tokens_of, unspeakable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hoodie,", "hoodie"),
        ("t-shirt", "t shirt"),
        ("grey-red", "grey red"),
        ("Tiger\u2019s", "tiger's"),
        ("'quoted'", "quoted"),
        ("Café", "cafe"),
        ("0", "zero"),
        ("12", "twelve"),
        ("45,", "forty five"),
        ("110", "one hundred ten"),
        ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"),
        ("1900", "nineteen hundred"),
        ("1905", "nineteen oh five"),
        ("1990s", "nineteen nineties"),
        ("2019", "two thousand nineteen"),
        ("2nd", "second"),
        ("23rd", "twenty third"),
        ("40th", "fortieth"),
        ("12th", "twelfth"),
        ("3.5", "three point five"),
        ("007", "zero zero seven"),
        ("1234567890", "one two three four five six seven eight nine zero"),
        ("10:30.", "ten thirty"),
        ("9:05", "nine oh five"),
        ("50%", "fifty percent"),
        ("$20", "twenty dollars"),
        ("&", "and"),
        ("3d", "three d"),
        ("4x4", "four x four"),
        ("\uff11\uff12", "twelve"),
        ("-", ""),
        ("...", ""),
        ("木", ""),
    ],
)
def test_how_a_token_is_said(text: str, words: str) -> None:
    assert " ".join(spoken_words(text)) == words


def test_what_is_not_heard_is_grouped_with_its_neighbour() -> None:
    caption = '  - "A man - with  2 dogs ...'
    tokens = tokens_of(caption)
    assert [caption[t.start : t.end] for t in tokens] == ['- "A', "man -", "with", "2", "dogs ..."]
    assert [t.spoken for t in tokens] == [("a",), ("man",), ("with",), ("two",), ("dogs",)]


def test_captions_without_a_word_have_no_token() -> None:
    assert not tokens_of("")
    assert not tokens_of(" \n - … ")
    assert unspeakable("一 二 three") == 2


@given(st.text(max_size=60))
def test_tokens_cover_all_but_white_space_and_say_letters_only(caption: str) -> None:
    tokens = tokens_of(caption)
    ends = [0, *(t.end for t in tokens)]
    for token, before in zip(tokens, ends, strict=False):
        assert before <= token.start < token.end
        assert not caption[before : token.start].strip()
        assert token.spoken
        assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz'") for word in token.spoken)
    if tokens:
        assert not caption[ends[-1] :].strip()
