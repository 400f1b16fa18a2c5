from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from alp_builder.errors import BadDataError, UsageError
from alp_builder.manifest import read_manifest, write_manifest
from alp_builder.page.choose import Chosen, choose
from alp_builder.page.config import PageConfig
from alp_builder.reader import open_alps
from tests.alp_builder.page.conftest import alp_row, points, sample_rows, write_rows


def chosen(shards: Path, *where: str, **config: int) -> Chosen:
    return choose(open_alps(shards), list(where), None, PageConfig(**config))


def ids(shards: Path, *where: str, **config: int) -> list[str]:
    return list(dict.fromkeys(chosen(shards, *where, **config).rows["narrative_id"].to_pylist()))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], ["n1", "n2", "n3", "n4"]),
        (["score>=0.65"], ["n1", "n2"]),
        (["score > 0.65", "score<0.8"], ["n2"]),
        (["head_lemma=car"], ["n3"]),
        (["head_lemma!=dog"], ["n1", "n2", "n3", "n4"]),
        (["is_plural=true"], ["n2"]),
        (["is_plural=no", "annotator_id==7"], ["n1", "n3", "n4"]),
        (["caption~RED"], ["n1", "n3"]),
        (["phrase_text=red ball", "score>=0.5"], []),  # one ALP must fulfil both
        (["split=train"], ["n1", "n2", "n3", "n4"]),
    ],
)
def test_conditions(where: list[str], expected: list[str], shards: Path) -> None:
    assert ids(shards, *where) == expected


def test_a_narrative_comes_whole(shards: Path) -> None:
    found = chosen(shards, "head_lemma=ball")
    assert found.rows["phrase_text"].to_pylist() == ["big dog", "red ball"]
    assert (found.matched, found.total) == (1, 4)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("score", "expected COLUMN OP VALUE"),
        ("nothing=1", "no column 'nothing'"),
        ("trace_x>0", "no column 'trace_x' to compare"),
        ("score>high", "'high' is no value of type float"),
        ("annotator_id=99999999999999999999", "no value of type int64"),
        ("is_plural=maybe", "no value of type bool"),
        ("score~5", "'~' looks into text"),
    ],
)
def test_mistakes_get_one_line(where: str, message: str, shards: Path) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(shards, where)


def test_a_sample_is_random_by_seed_and_in_the_order_of_the_shards(tmp_path: Path) -> None:
    rows = [alp_row(f"n{i:03d}", "a", "a dog", "dog", **points(0, 0.5, 0.5)) for i in range(100)]
    folder = write_rows(tmp_path, rows)
    first = ids(folder, sample=10)
    assert len(first) == 10
    assert first == sorted(first)
    assert first == ids(folder, sample=10)
    assert first != ids(folder, sample=10, seed=1)
    assert len(ids(folder, sample=0)) == 100
    with pytest.raises(UsageError, match="100 narratives are too many for a page; at most 50"):
        ids(folder, sample=0, max_narratives=50)


def test_shards_without_traces_and_shards_that_lie(tmp_path: Path, shards: Path) -> None:
    plain = write_rows(tmp_path / "plain", sample_rows(), traces=False)
    assert "trace_x" not in chosen(plain).rows.schema.names
    assert "trace_x" in chosen(shards).rows.schema.names
    lying = msgspec.structs.replace(read_manifest(plain), groups=["core", "traces"])
    write_manifest(plain, lying)
    with pytest.raises((UsageError, BadDataError)):
        chosen(plain)
