"""Six simulated narratives, written by hand, and what must come of them.

A change of what a build writes has to be meant. Whoever means one changes the hashes here, the expected
phrases where they differ, and says in CHANGELOG.md what changed for those who have built shards before. The
hashes cover floating-point values, so a new spaCy model is such a change too.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from alp_builder import read_alps
from alp_builder.manifest import read_manifest
from tests.alp_builder.conftest import Builder

_NARRATIVES = Path(__file__).with_name("simulated_narratives.jsonl")

_LOGICAL_SHA256 = {
    "plain": "bad140d2141efd69fe312f981e08504cd4b89b33cfd85e9ad641cf21f4efc859",
    "traces": "1621d677433616f11073ea527d77806e1eb90ba56fb99d1cd5ca2b7e9831af5f",
    "tight": "9024059a711738dc6e843db0621f33b6be73fd5bde6631cbe34cd8f29f902018",
}
_OPTIONS = {"plain": [], "traces": ["with_traces=true"], "tight": ["boxes.rule=tight"]}


@pytest.mark.parametrize("name", list(_OPTIONS))
def test_the_rows_are_those_of_old(name: str, tmp_path: Path, build_here: Builder) -> None:
    build_here(_NARRATIVES, tmp_path / "out", *_OPTIONS[name])
    (shard,) = read_manifest(tmp_path / "out").shards
    assert shard.logical_sha256 == _LOGICAL_SHA256[name]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, build_here: Builder) -> pa.Table:
    out = tmp_path_factory.mktemp("golden") / "out"
    summary = build_here(_NARRATIVES, out)
    assert summary.rejected == {"missing_field": 1}
    assert summary.counts["no_traces"] == 1
    return read_alps(out)


def test_ids_are_those_of_old(rows: pa.Table) -> None:
    """Others keep lists of ids: they may not change even where boxes do."""
    assert sorted(set(rows["narrative_id"].to_pylist())) == [
        "74d0863ab8edbc28",
        "833487d43cf49e67",
        "c2559e76c14c6b2c",
        "c6cd0af2f32d7fbe",
        "f17eb62717f874d6",
    ]


def test_phrases_are_those_of_old(rows: pa.Table) -> None:
    found = sorted(
        set(
            zip(
                rows["phrase"].to_pylist(),
                rows["phrase_text"].to_pylist(),
                rows["head_lemma"].to_pylist(),
                strict=True,
            )
        )
    )
    assert found == [
        ("A cup of coffee", "cup of coffee", "cup"),
        ("The car", "car", "car"),
        ("a brown dog", "brown dog", "dog"),
        ("a group of people", "people", "people"),
        ("a tall tree", "tall tree", "tree"),
        ("an old café table", "old café table", "table"),
        ("some naïve 🐕 pictures", "naïve 🐕 pictures", "picture"),
        ("the small house", "small house", "house"),
        ("the wall", "wall", "wall"),
        ("the water", "water", "water"),
        ("two red chairs", "red chairs", "chair"),
    ]
