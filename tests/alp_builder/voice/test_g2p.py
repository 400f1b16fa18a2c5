"""The joint n-gram model, on a made-up language whose spelling is known."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from alp_builder.voice import g2p
from alp_builder.voice.letters import LetterModel
from alp_builder.voice.pronounce import DICTIONARY, dictionary_entries, model_path

_VOWELS = {"a": "AE", "e": "EH", "i": "IH", "o": "AA"}
_CONSONANTS = {"b": "B", "d": "D", "k": "K", "t": "T", "m": "M", "x": "K S"}


def _say(word: str) -> str:
    """The language: "c" is S before e and i, else K; "x" makes two phones; an e at the end none."""
    phones = []
    for index, letter in enumerate(word):
        after = word[index + 1 : index + 2]
        if letter == "c":
            phones.append("S" if after in ("e", "i") else "K")
        elif letter == "e" and not after:
            continue
        else:
            phones.append((_VOWELS | _CONSONANTS)[letter])
    return " ".join(phones)


@pytest.fixture(scope="module")
def words() -> list[str]:
    syllables = ["".join(pair) for pair in itertools.product([*_CONSONANTS, "c"], _VOWELS)]
    found = ["".join(word) for word in itertools.product(syllables, syllables)]
    found += [word + "te" for word in found]
    random.Random(0).shuffle(found)
    return found


@pytest.fixture(scope="module")
def model(words: list[str]) -> g2p.Pronouncer:
    return g2p.train((word, _say(word)) for word in words[200:])


def test_words_it_never_saw_are_said_by_the_rules_of_their_letters(
    model: g2p.Pronouncer, words: list[str]
) -> None:
    right = sum(model(word) == _say(word) for word in words[:200])
    assert right >= 196
    assert model("cica") == "S IH K AE"
    assert model("max") is not None


def test_letters_it_does_not_know_are_passed_over(model: g2p.Pronouncer) -> None:
    assert model("b-a-t-a!") == model("bata")
    assert model("???") is None


def test_probabilities_sum_to_one_after_any_history(model: g2p.Pronouncer) -> None:
    units = np.arange(len(model._units))
    rng = np.random.default_rng(0)
    packed = rng.integers(0, len(units), (50, g2p.ORDER - 1)) << (
        g2p.BITS * np.arange(g2p.ORDER - 1)
    )
    total = model._probability(np.append(packed.sum(axis=1), 0), units).sum(axis=1)
    np.testing.assert_allclose(total, 1.0, atol=1e-9)


def test_a_saved_model_says_the_same_and_a_broken_file_is_none(
    model: g2p.Pronouncer, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "folder/model.npz"
    assert g2p.Pronouncer.load(path) is None
    model.save(path)
    loaded = g2p.Pronouncer.load(path)
    assert loaded is not None
    assert [loaded(word) for word in words[:20]] == [model(word) for word in words[:20]]
    path.write_bytes(path.read_bytes()[:-200])
    assert g2p.Pronouncer.load(path) is None


def test_cuts_put_phones_under_their_letters() -> None:
    spelled, spoken = ["ax", "ba", "ab", "xa", "bx"], ["A K S", "B A", "A B", "K S A", "B K S"]
    letters = [["abx".index(letter) for letter in word] for word in spelled]
    phones = [[["A", "B", "K", "S"].index(p) for p in word.split()] for word in spoken]
    model = LetterModel(3, 4)
    model.fit(letters, phones, rounds=8)
    assert model.cut(letters, phones) == {0: [1, 2], 1: [1, 1], 2: [1, 1], 3: [2, 1], 4: [1, 2]}
    assert model.cut([[0]], [[0, 1, 2]]) == {}  # more phones than a letter can make


@pytest.mark.slow
def test_held_out_words_of_the_dictionary() -> None:
    pytest.importorskip("pocketsphinx")
    entries = list(dictionary_entries(model_path(DICTIONARY)))
    model = g2p.train(entry for index, entry in enumerate(entries) if index % 20)
    known: dict[str, set[str]] = {}
    for word, phones in entries:
        known.setdefault(word, set()).add(phones)
    held = [entries[index][0] for index in range(0, len(entries), 20)][::6]
    assert sum(model(word) in known[word] for word in held) > 0.7 * len(held)
