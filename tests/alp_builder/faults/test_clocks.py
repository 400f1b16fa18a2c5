"""Clocks that jump: a build asks them for its speed alone."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alp_builder.cached_file import CachedFile, Record
from tests.alp_builder.conftest import Builder, tree_bytes
from tests.alp_builder.faults.running import OPTIONS

YEAR = 365 * 86_400.0


def _jumping(seed: int) -> Callable[[], float]:
    """A wall clock that jumps by up to twenty years either way at every look."""
    rng, real = random.Random(seed), time.time
    return lambda: real() + rng.uniform(-20, 20) * YEAR


@pytest.mark.parametrize("tries", [1, pytest.param(20, marks=pytest.mark.faults)])
def test_the_wall_clock_jumps_at_every_look(
    tries: int, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path,
    build_here: Builder, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for seed in range(tries):
        out = tmp_path / str(seed)
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", _jumping(seed))
            summary = build_here(inputs_of_two_splits, out, *OPTIONS, progress=True)
        assert tree_bytes(out) == tree_bytes(built)
        assert 0 < summary.seconds < 600


@pytest.mark.parametrize("moment", [0, -1e8, 4e9], ids=["1970", "1966", "2096"])
def test_files_from_another_time(
    moment: float,
    inputs_of_two_splits: dict[str, Path],
    built: Path,
    tmp_path: Path,
    build_here: Builder,
) -> None:
    """Times of change are compared with each other alone, and never ordered."""
    inputs = {}
    for split, file in inputs_of_two_splits.items():
        inputs[split] = tmp_path / f"{split}.jsonl"
        inputs[split].write_bytes(file.read_bytes())
        os.utime(inputs[split], (moment, moment))
    out = tmp_path / "out"
    build_here(inputs, out, *OPTIONS)
    shards = {name: sha for name, sha in tree_bytes(out).items() if name.endswith(".parquet")}
    assert shards.items() <= tree_bytes(built).items()
    for path in out.rglob("*.parquet"):
        os.utime(path, (moment, moment))
    assert build_here(inputs, out, *OPTIONS).already_built


def test_a_download_record_knows_no_clock(tmp_path: Path) -> None:
    file = CachedFile(tmp_path / "x.jsonl")
    file.start_part(Record(url="https://example.org/x", total=3, validator='"v"', md5=None))
    file.part.write_bytes(b"ab")
    os.utime(file.part, (4e9, 4e9))
    assert file.taken_up("https://example.org/x")[0] == 2
