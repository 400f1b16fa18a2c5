from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.errors import BadDataError
from trainer.data.arraystore import ArrayStore, StringTable, is_published, publish


def test_arrays_come_back_mapped_and_read_only(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6).reshape(2, 3), "empty": np.empty((0, 4), np.float32)}
    store = publish(tmp_path / "deep" / "store", arrays, {"note": "x"})
    assert store["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert store["empty"].shape == (0, 4)
    assert store.info["note"] == "x"
    assert "a" in store
    assert store.nbytes == 48
    with pytest.raises(ValueError, match="read-only"):
        store["a"][0, 0] = 1


def test_a_store_pickles_as_its_path(tmp_path: Path) -> None:
    store = publish(tmp_path / "store", {"a": np.zeros(100_000)}, {})
    data = pickle.dumps(store)
    assert len(data) < 1000
    assert pickle.loads(data)["a"].sum() == 0


def test_an_unfinished_store_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        publish(tmp_path / "store", {"a": np.arange(3), "b": np.array([object()])}, {})
    assert not is_published(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_the_second_of_two_writers_uses_the_first_ones_result(tmp_path: Path) -> None:
    first = publish(tmp_path / "store", {"a": np.arange(3)}, {"by": "first"})
    second = publish(tmp_path / "store", {"a": np.arange(3)}, {"by": "second"})
    assert first.info["by"] == second.info["by"] == "first"


def test_damage_is_said_in_one_line(tmp_path: Path) -> None:
    publish(tmp_path / "store", {"a": np.arange(3)}, {})
    (tmp_path / "store" / "a.npy").unlink()
    with pytest.raises(BadDataError, match="delete the folder"):
        ArrayStore(tmp_path / "store")
    (tmp_path / "store" / "info.json").write_text("{}")
    with pytest.raises(BadDataError, match="not a readable cache"):
        ArrayStore(tmp_path / "store")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_strings_come_back(strings: list[str]) -> None:
    table = StringTable.of(strings)
    assert [table[i] for i in range(len(table))] == strings
    twice = StringTable.joined([table, StringTable.of([]), table])
    assert [twice[i] for i in range(len(twice))] == strings * 2


def test_a_path_that_is_no_utf_8_comes_back() -> None:
    path = os.fsdecode(b"/photos/caf\xe9.jpg")
    assert StringTable.of([path])[0] == path
