from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.calibrate_quantization import Truth, main, markdown, measure, tabulate, variants
from tests.alp_builder.conftest import (  # fixtures
    Builder,
    alp_extractor,
    build_here,
    here,
    phrase_extractor,
)
from tests.alp_builder.simulated import simulated_records, write_narratives

__all__ = ["alp_extractor", "build_here", "here", "phrase_extractor"]


def _truth(count: int = 200) -> Truth:
    """Boxes in the middle half of their truth; every fourth lies elsewhere."""
    rng = np.random.default_rng(0)
    centre, half = rng.uniform(0.3, 0.7, (count, 2)), rng.uniform(0.05, 0.2, (count, 2))
    boxes = np.hstack([centre - half / 2, centre + half / 2])
    boxes[::4] = [0.0, 0.0, 0.01, 0.01]
    return Truth("made up", True, boxes, np.hstack([centre - half, centre + half]))


def test_expansion_raises_coverage_and_area() -> None:
    data, tried = _truth(), variants()
    assert len(data.hits.boxes) == 150
    none = measure(data.hits, tried["none"], 0)
    assert none == (pytest.approx(0.25), pytest.approx(0.25))
    for name in ("uniform 1 to 2", "fixed 8", "snap 4 to 16"):
        coverage, ratio = measure(data.hits, tried[name], 0)
        assert coverage > none[0]
        assert ratio > none[1]
    assert measure(data, tried["snap 2 to 4"], 0) > measure(data, tried["snap 8 to 32"], 0)


def test_the_table_calls_simulated_data_simulated() -> None:
    rows = tabulate(_truth(40), 0)
    lines = markdown(rows)
    assert "**made up** (simulated, 40 boxes)" in lines
    assert len([line for line in lines if "snap" in line]) == sum("snap" in v for v in variants())
    assert rows == tabulate(_truth(40), 0)


def test_on_gold_boxes(
    tmp_path: Path, build_here: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    build_here(write_narratives(tmp_path / "n.jsonl", simulated_records(12)), tmp_path / "alps")
    frame = pd.read_parquet(tmp_path / "alps")
    gold = tmp_path / "gold.csv"
    frame[frame.component_index == 0].to_csv(gold, index=False, quoting=csv.QUOTE_MINIMAL)
    assert main(["--gold", str(tmp_path / "alps"), str(gold)]) == 0
    assert "| **none** | 1.00 | 1.00 |" in capsys.readouterr().out
    assert main([]) == 2
    assert "--alps" in capsys.readouterr().err
