"""Where a word's phones come from, and the cache of the trained model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from alp_builder.errors import UsageError
from alp_builder.voice import g2p, pronounce
from alp_builder.voice.g2p import Pronouncer, train
from alp_builder.voice.pronounce import Lexicon, dictionary_entries, trained_model

_KNOWN = {
    "red": "R EH D", "cats": "K AE T S", "l": "EH L", "c": "S IY", "d": "D IY", "it's": "IH T S",
}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("red", "R EH D"),
        ("it's", "IH T S"),
        ("cat's", "K AE T S"),
        ("lcd", "EH L S IY D IY"),
    ],
)
def test_what_the_dictionary_and_its_letters_give(word: str, phones: str) -> None:
    assert Lexicon(_KNOWN.get).phones(word) == phones


def test_what_nothing_knows_is_guessed_by_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dictionary = tmp_path / "words.dict"
    dictionary.write_text("ba B AA\nba(2) B AH\nda D AA\nbob B AA B\nit's IH T S\n$x X\n")
    assert list(dictionary_entries(dictionary)) == [
        ("ba", "B AA"), ("ba", "B AH"), ("da", "D AA"), ("bob", "B AA B"), ("its", "IH T S"),
    ]  # fmt: skip
    monkeypatch.setattr(pronounce, "model_path", lambda name: dictionary)
    calls = []

    def counted(entries: Iterable[tuple[str, str]]) -> Pronouncer:
        calls.append(1)
        return train(entries)

    monkeypatch.setattr(g2p, "train", counted)
    cache = tmp_path / "cache"
    assert Lexicon(_KNOWN.get, cache).phones("dab") == "D AA B"
    assert Lexicon(_KNOWN.get, cache).phones("dab") == "D AA B"
    assert len(calls) == 1  # the second time it came from the cache
    [file] = (cache / "voice").glob("*.npz")
    file.write_bytes(b"broken")
    assert trained_model(cache)("ab") == "AA B"
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_to_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dictionary = tmp_path / "words.dict"
    dictionary.write_text("ba B AA\nda D AA\n")
    monkeypatch.setattr(pronounce, "model_path", lambda name: dictionary)
    (tmp_path / "file").write_text("")
    assert trained_model(tmp_path / "file")("da") == "D AA"


def test_without_pocketsphinx_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(UsageError, match=r"pip install alp-toolkit\[record\]"):
        pronounce.model_path("en-us")
