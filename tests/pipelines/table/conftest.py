from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pipelines.table.plan import PRESETS, ROWS, Plan

FAKE = Path(__file__).with_name("fake_job.py")
ROOT = FAKE.parents[3]


def fake(*flags: str) -> Callable[[Path], list[str]]:
    """The command of a fake job."""
    return lambda folder: [sys.executable, str(FAKE), str(folder), *flags]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    preset = msgspec.structs.replace(PRESETS["cpu"], steps=6, pretrain_steps=4, seeds=(0, 1))
    return Plan(rows=ROWS, preset=preset, data="data/table", runs=str(tmp_path / "runs"))
