"""The whole table in two steps a run: the real data, trainings, evaluation and report."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch")
pytest.importorskip("detectron2")

from pipelines.table import __main__ as table
from pipelines.table.plan import ROWS, Preset


@pytest.mark.slow
def test_the_table_in_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Preset(seeds=(0, 1), steps=2, pretrain_steps=2, scenes=(24, 4, 6), slots=2)
    monkeypatch.setitem(table.PRESETS, "cpu", tiny)
    out = tmp_path / "results" / "table"
    arguments = [
        "--data",
        str(tmp_path / "data"),
        "--runs",
        str(tmp_path / "runs"),
        "--out",
        str(out),
    ]
    # One row of each model runs here; the other rows differ in their sources only.
    arguments += ["--rows", "fcosmo_alps", "maskrcnn_boxes"]
    assert table.main(arguments) == 0
    record = msgspec.json.decode(out.with_suffix(".json").read_bytes())
    assert [row["name"] for row in record["rows"]] == ["maskrcnn_boxes", "fcosmo_alps"]
    for row in record["rows"]:
        assert len(row["ap50_base"]["seeds"]) == 2
        assert row["seconds"] > 0
        assert 100 < row["peak_memory_mb"] < 10_000
    results = sorted((tmp_path / "runs").rglob("result.json"))
    assert len(results) == 2 + 2 * 2
    before = [file.stat().st_mtime_ns for file in results]
    assert table.main(arguments) == 0
    assert [file.stat().st_mtime_ns for file in results] == before
    assert {row.name for row in ROWS} > {"maskrcnn_boxes", "fcosmo_alps"}
