from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alp_builder import statistics
from alp_builder.reader import open_alps, read_alps
from alp_builder.schema import arrow_schema
from alp_builder.statistics import BAR_BINS, collect
from tests.alp_builder.conftest import Builder


def test_statistics_are_those_of_the_rows(built: Path) -> None:
    found = collect(open_alps(built), top=3)
    frame = read_alps(built).to_pandas()
    assert found.rows == len(frame) == sum(found.splits.values())
    assert found.images == len(frame.groupby(["split", "dataset_id", "image_id"]))
    assert found.narratives == frame.narrative_id.nunique()
    assert found.datasets == {"simulated": len(frame)}
    counts = frame.head_lemma.value_counts()
    assert [number for _, number in found.top_nouns] == counts.tolist()[:3]
    columns = {column.name: column for column in found.columns}
    assert list(columns) == arrow_schema(("core", "traces")).names
    score = columns["score"]
    assert score.quantiles == pytest.approx(frame.score.quantile([0.05, 0.5, 0.95]).tolist())
    assert len(frame) * 0.97 <= sum(score.histogram) <= len(frame)
    assert (score.low, score.high, columns["x0"].unit) == ("0", "1", "image width")
    assert columns["caption"].quantiles == ()
    assert all(column.doc for column in found.columns)


def test_an_empty_data_set_has_figures_too(tmp_path: Path, build_here: Builder) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"")
    build_here(tmp_path / "x.jsonl", tmp_path / "out")
    found = collect(open_alps(tmp_path / "out"))
    assert (found.rows, found.images, found.narratives, found.top_nouns) == (0, 0, 0, [])
    assert all(column.quantiles == () for column in found.columns)


def test_a_constant_column_has_all_its_values_in_one_bin(built: Path) -> None:
    column = next(c for c in collect(open_alps(built)).columns if c.name == "inside_fraction")
    assert len(column.histogram) == BAR_BINS
    assert column.histogram[0] == read_alps(built).num_rows


def test_quantiles_of_much_data_come_from_a_part_of_it(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "_SAMPLE", 20)
    found = collect(open_alps(built))
    assert found.rows == read_alps(built).num_rows
    score = next(column for column in found.columns if column.name == "score")
    assert 15 <= sum(score.histogram) <= 25
    assert 0 <= score.quantiles[0] <= score.quantiles[2] <= 1


def test_that_part_is_spread_over_the_rows(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_alps(built)
    monkeypatch.setattr(statistics, "_SAMPLE", -(-dataset.num_rows // 4))
    spread = [table["x0"].to_numpy()[::4] for table in dataset.shards()]
    found = next(column for column in collect(dataset).columns if column.name == "x0")
    assert found.quantiles == pytest.approx(np.percentile(np.concatenate(spread), [5, 50, 95]))
