"""Nouns, captions and the times of words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_builder.simulate import PROFILES
from alp_builder.simulate.captions import Caption, Thing, compose
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.nouns import article, plural
from alp_builder.simulate.speech import time_words, utterances


@pytest.mark.parametrize(
    ("name", "many"),
    [
        ("person", "people"),
        ("wine glass", "wine glasses"),
        ("knife", "knives"),
        ("sheep", "sheep"),
        ("skis", "skis"),
        ("toothbrush", "toothbrushes"),
        ("couch", "couches"),
        ("key", "keys"),
        ("butterfly", "butterflies"),
        ("striped mug", "striped mugs"),
        ("mouse", "mice"),
        ("bus", "buses"),
    ],
)
def test_plurals(name: str, many: str) -> None:
    assert plural(name) == many


@pytest.mark.parametrize(
    ("name", "word"),
    [("apple", "an"), ("umbrella", "an"), ("unicorn", "a"), ("car", "a"), ("scissors", "")],
)
def test_articles(name: str, word: str) -> None:
    assert article(name) == word


@st.composite
def things(draw: st.DrawFn) -> list[Thing]:
    names = [
        (1, "dog", "dogs"),
        (2, "dotted mug", "dotted mugs"),
        (3, "wine glass", "wine glasses"),
    ]
    result = []
    for index in range(draw(st.integers(0, 9))):
        category, name, many = draw(st.sampled_from(names))
        x, y = draw(st.floats(0, 0.8)), draw(st.floats(0, 0.8))
        color = draw(st.sampled_from(["", "red", "orange"]))
        crowd = draw(st.booleans()) and draw(st.booleans())
        result.append(Thing(100 + index, category, name, many, color, (x, y, 0.1, 0.2), crowd))
    return result


def check_phrases(caption: Caption, named: list[Thing], stuff: int) -> None:
    last = -1
    for phrase in caption.phrases:
        assert last < phrase.first <= phrase.head_first <= phrase.last < len(caption.words)
        last = phrase.last
        said = " ".join(caption.words[phrase.head_first : phrase.last + 1]).rstrip(".,")
        if phrase.stuff >= 0:
            assert not phrase.things
            assert phrase.stuff < max(stuff, 1)
        else:
            first = named[phrase.things[0]]
            assert said in (first.name, first.many)
            assert len({named[i].category_id for i in phrase.things}) == 1
            if len(phrase.things) > 1:
                assert phrase.is_plural
                assert said == first.many


@settings(max_examples=120, deadline=None)
@given(things(), st.sampled_from([[], ["sky", "grass"]]), st.integers(0, 10**6))
def test_phrases_are_runs_of_words_that_name_their_things(
    named: list[Thing], backdrop: list[str], seed: int
) -> None:
    caption = compose(named, backdrop, Dice(generator("test", seed)))
    check_phrases(caption, named, len(backdrop))
    text = " ".join(caption.words)
    assert text[0].isupper()
    assert text.endswith(".")
    assert "{" not in text
    assert "  " not in text
    if named:
        assert any(phrase.things for phrase in caption.phrases)


@settings(max_examples=60, deadline=None)
@given(things(), st.sampled_from(sorted(PROFILES)), st.integers(0, 10**6))
def test_utterances_are_sorted_words_of_the_caption(
    named: list[Thing], name: str, seed: int
) -> None:
    profile, dice = PROFILES[name], Dice(generator("test", seed))
    caption = compose(named, ["sky", "grass"], dice)
    starts, ends = time_words(caption, [1] * len(caption.phrases), profile, dice.rng)
    assert (np.diff(starts) > 0).all()
    assert (np.array(starts[1:]) >= np.array(ends[:-1]) - 1e-9).all()
    said = utterances(caption, starts, ends, profile, dice)
    text, at = " ".join(caption.words), 0
    for (words, start, end), following in zip(said, [*said[1:], None], strict=True):
        at = text.index(words, at) + len(words)
        assert 0 <= start <= end
        assert following is None or following[1] >= start
    if profile.unheard_rate == 0:
        assert " ".join(words for words, _, _ in said) == text
