from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.comparison import Change, compare, flat
from alp_builder.reader import open_alps, read_alps
from tests.alp_builder.conftest import SMALL_SHARDS, Builder


@pytest.fixture(scope="module")
def changed(
    tmp_path_factory: pytest.TempPathFactory,
    build_here: Builder,
    inputs_of_two_splits: dict[str, Path],
) -> Path:
    """The data set `built`, with wider boxes and without those of low score."""
    out = tmp_path_factory.mktemp("changed") / "alps"
    choices = ["boxes.margin=0.1", "boxes.min_score=0.3", "with_traces=true"]
    build_here(inputs_of_two_splits, out, *SMALL_SHARDS, *choices)
    return out


def test_a_data_set_against_itself(built: Path) -> None:
    found = compare(open_alps(built), open_alps(built))
    assert found.same == found.before == found.after == read_alps(built).num_rows
    assert (found.moved, found.gone, found.new) == (0, 0, 0)
    assert found.choices == found.versions == found.counts == found.nouns == []
    assert found.same_inputs
    assert found.score[0] == found.score[1]


def test_every_alp_has_one_fate(built: Path, changed: Path) -> None:
    found = compare(open_alps(built), open_alps(changed))
    old, new = (read_alps(folder).to_pandas().set_index("alp_id") for folder in (built, changed))
    assert (found.before, found.after) == (len(old), len(new))
    assert found.gone == len(old.index.difference(new.index)) > 0
    assert found.new == len(new.index.difference(old.index))
    both = old.index.intersection(new.index)
    assert found.same + found.moved == len(both)
    sides = ["x0", "y0", "x1", "y1"]
    differs = (old.loc[both, sides] != new.loc[both, sides]).any(axis=1)
    assert found.moved == int(differs.sum())
    assert 0.3 < found.moved_iou < 0.999
    assert found.same_inputs


def test_reasons_and_choices(built: Path, changed: Path) -> None:
    found = compare(open_alps(built), open_alps(changed))
    assert found.choices == [
        Change("boxes.margin", 0.06, 0.1),
        Change("boxes.min_score", 0.0, 0.3),
    ]
    low = next(change for change in found.counts if change.name == "dropped.low_score")
    assert (low.before, low.after) == (0, open_alps(changed).manifest.counts["dropped.low_score"])
    assert low.after > 0


def test_nouns_add_up(built: Path, changed: Path) -> None:
    found = compare(open_alps(built), open_alps(changed))
    assert sum(noun.gone for noun in found.nouns) == found.gone
    assert sum(noun.new for noun in found.nouns) == found.new
    assert sum(noun.moved for noun in found.nouns) == found.moved
    assert all(noun.after - noun.before == noun.new - noun.gone for noun in found.nouns)
    touched = [noun.touched for noun in found.nouns]
    assert touched == sorted(touched, reverse=True)
    frame = read_alps(built).to_pandas()
    counts = frame.head_lemma.value_counts()
    assert all(noun.before == counts.get(noun.noun, 0) for noun in found.nouns)


def test_an_empty_data_set_against_a_full_one(
    built: Path, tmp_path: Path, build_here: Builder
) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"")
    build_here(tmp_path / "x.jsonl", tmp_path / "out")
    found = compare(open_alps(tmp_path / "out"), open_alps(built))
    assert (found.before, found.gone, found.same) == (0, 0, 0)
    assert found.new == found.after == read_alps(built).num_rows
    assert not found.same_inputs


def test_flat_names_fields_by_their_path() -> None:
    tree = {"a": {"b": 1, "c": {"d": [2]}}, "calibration": {"sha256": "x", "terms": [3]}}
    assert flat(tree) == {"a.b": 1, "a.c.d": [2], "calibration.sha256": "x"}
