from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from alp_builder.manifest import read_manifest
from alp_builder.narratives import NarrativeBatch
from alp_builder.page.config import PageConfig
from alp_builder.page.document import PageTrace
from alp_builder.page.traces import DWELL, START, TRAVEL, UNKNOWN, Trace, read_told, shard_trace
from alp_builder.reader import read_alps
from alp_builder.records import NarrativeRecord, TracePoint, Utterance
from tests.alp_builder.page.conftest import page_of, points
from tests.alp_builder.simulated import simulated_records, to_line

CONFIG = PageConfig()


def unpacked(packed: PageTrace) -> np.ndarray:
    return np.cumsum(np.reshape(packed.points, (-1, 3)), 0) / (10_000, 10_000, 1_000)


def line(count: int) -> Trace:
    t = np.arange(count) / 10
    kind = np.full(count, DWELL, np.uint8)
    kind[0] = START
    return Trace(t / 100, t / 50, t, kind)


def test_packing_keeps_a_ten_thousandth_and_a_millisecond() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-0.1, 1.1, (2, 50))
    trace = Trace(x, y, np.sort(rng.uniform(0, 60, 50)), np.zeros(50, np.uint8))
    x, y, t = unpacked(trace.packed()).T
    assert np.abs(x - trace.x).max() <= 5.1e-5
    assert np.abs(y - trace.y).max() <= 5.1e-5
    assert np.abs(t - trace.t).max() <= 5.1e-4
    assert trace.packed().kinds == "0" * 50


def test_the_points_of_rows_are_joined_and_what_lies_between_is_unknown() -> None:
    rows = [points(3.0, 0.7, 0.5, 3), points(1.0, 0.2, 0.3, 3), points(1.05, 0.22, 0.3, 3)]
    trace = shard_trace(rows, CONFIG)
    assert trace is not None
    assert np.round(trace.t, 2).tolist() == [1.0, 1.05, 1.1, 1.15, 3.0, 3.05, 3.1]
    assert trace.kind.tolist() == [START, DWELL, DWELL, DWELL, UNKNOWN, DWELL, DWELL]
    assert trace.part(np.array([3.0, 3.05, 3.1])) == [4, 7]
    assert trace.part(np.array([1.0, 3.1, 99.0])) == [0, 1, 6, 7]
    assert trace.during(1.04, 1.12) == [1, 3]


def test_rows_without_points_or_with_broken_ones() -> None:
    assert shard_trace([{}], CONFIG) is None
    row = points(0.0, 0.5, 0.5, 4)
    row["trace_x"][1] = float("nan")
    row["trace_y"][2] = 1e300
    trace = shard_trace([row], CONFIG)
    assert trace is not None
    assert len(trace.t) == 3
    assert trace.y.max() == 10


def test_thinning_keeps_ends_and_starts() -> None:
    whole = line(1000)
    whole.kind[501] = START
    thin = whole.thinned(100)
    assert len(thin.t) == 100
    assert (thin.t[0], thin.t[-1]) == (whole.t[0], whole.t[-1])
    assert (thin.kind == START).sum() == 2
    assert whole.thinned(1000) is whole


def record(steps: list[tuple[float, float]]) -> NarrativeRecord:
    """Points 20 ms apart; two segments."""
    trace = [TracePoint(x, 0.5, round(0.02 * i, 3)) for i, (x, _) in enumerate(steps)]
    words = [Utterance("A", 0.0, 0.2), Utterance("dog", 0.2, 1.0)]
    return NarrativeRecord("d", "i", 1, "A dog", words, [trace[:-5], trace[-5:]])


def test_whole_traces_tell_dwelling_from_travelling(tmp_path: Path) -> None:
    still = [(0.2 + 0.001 * (i % 3), 0.0) for i in range(30)]
    fast = [(0.2 + 0.02 * i, 0.0) for i in range(30)]  # one image side a second
    told_by = record([*still, *fast, *([(0.8, 0.0)] * 30)])
    file = tmp_path / "n.jsonl"
    file.write_bytes(msgspec.json.encode(told_by) + b"\nbroken line\n")
    (name,) = NarrativeBatch.from_records([told_by]).narrative_ids()
    told = read_told([str(file)], {name, "unknown"}, {}, CONFIG, progress=False)
    assert list(told) == [name]
    trace = told[name].trace
    assert trace.kind[:20].tolist() == [START] + [DWELL] * 19
    assert set(trace.kind[38:52].tolist()) == {TRAVEL}
    assert np.flatnonzero(trace.kind == START).tolist() == [0, 85]
    assert told[name].words == [(0, 1, 0.0, 0.2), (2, 5, 0.2, 1.0)]


@pytest.fixture
def narratives(inputs_of_two_splits: dict[str, Path]) -> list[str]:
    return [str(path) for path in inputs_of_two_splits.values()]


def test_the_inputs_of_a_build_give_all_of_its_traces(
    built: Path, narratives: list[str], tmp_path: Path
) -> None:
    summary = page_of(tmp_path / "p.html", {"sample": 20}, alps=built, narratives=narratives)
    assert summary.traces == "whole"
    assert len(summary.about) == 1
    wanted = set(_ids(built))
    config: dict[str, Any] = read_manifest(built).config
    told = read_told(narratives, wanted, config, CONFIG, progress=False)
    assert set(told) == wanted
    count = {len(one.trace.t) for one in told.values()}
    assert count <= {sum(map(len, r["traces"])) for r in simulated_records(48)}


def test_narratives_that_lack_some_are_told(built: Path, tmp_path: Path) -> None:
    file = tmp_path / "n.jsonl"
    file.write_bytes(to_line(simulated_records(1)[0]) + b"\n")
    summary = page_of(tmp_path / "p.html", {"sample": 0}, alps=built, narratives=[str(file)])
    assert (
        summary.about[1] == f"{summary.narratives - 1} narratives were not found in --narratives."
    )


def _ids(folder: Path) -> list[str]:
    names: list[str] = read_alps(folder, columns=["narrative_id"])["narrative_id"].to_pylist()
    return names
