"""The benchmark measures what it says; its figures are never asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("detectron2", reason="the loader benchmark needs what trains")

from alp_builder.reader import read_alps
from pipelines.bench_loader import bench_evaluation, memory_of_opening
from pipelines.synthetic_shards import random_tables, write_data_set


@pytest.fixture
def alps(tmp_path: Path) -> Path:
    return write_data_set(tmp_path / "alps", random_tables(5000), count=1)


def test_random_shards_are_allowed_by_the_schema(alps: Path) -> None:
    table = read_alps(alps)
    assert table.num_rows == 5000
    sides = {side: table[side].to_numpy() for side in ("x0", "y0", "x1", "y1")}
    for low, high in (("x0", "x1"), ("y0", "y1")):
        assert (sides[low] >= 0).all()
        assert (sides[high] <= 1).all()
        assert (sides[low] < sides[high]).all()
    assert len(set(table["image_id"].to_pylist())) == 417
    again = next(random_tables(5000))
    assert again.equals(table.select(again.column_names))


def test_memory_is_measured_in_a_process_of_its_own(alps: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.bench_loader", "--measure"]
    done = subprocess.run(
        [*command, str(alps), str(tmp_path / "cache")], check=True, stdout=subprocess.PIPE
    )
    found = json.loads(done.stdout)
    assert found["alps"] == 5000
    assert found["mapped_mb"] > 0
    assert found["anonymous_mb"] > 0
    here = memory_of_opening(alps, tmp_path / "cache")
    assert here["mapped_mb"] == found["mapped_mb"]


def test_both_backends_are_timed_on_the_same_results() -> None:
    found = bench_evaluation(images=3, per_image=20)
    assert set(found) == {"hotcoco", "pycocotools", "ratio"}
    assert np.isclose(found["ratio"], found["pycocotools"] / found["hotcoco"])
