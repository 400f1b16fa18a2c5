"""Training killed at random steps, again and again, must give what an undisturbed run gives, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainer.engine.commands import changes, command
from trainer.engine.checkpoint import load_checkpoint
from trainer.engine.progress import read_metrics

KILLS = 20
STEPS = 48
MORE = [
    f"train.loop.max_steps={STEPS}",
    "train.loop.checkpoint_every=2",
    "train.cpu_threads=1",
    "data.train.num_workers=1",
]


def _run(module: str, *arguments: str) -> list[str]:
    call = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    done = subprocess.run(call, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.faults
@pytest.mark.parametrize("config", ["fcosmo", "maskrcnn_alp"])
def test_twenty_kills_change_no_bit(config: str, place: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    _run("trainer.train", *command(config, *changes(place, whole, config), *MORE))

    given = command(config, "--resume", *changes(place, parts, config), *MORE)
    told = _run("tests.trainer.engine.killed", str(parts), str(KILLS), str(STEPS), *given)
    kills = [line.removeprefix("killed ") for line in told if line.startswith("killed ")]
    assert len(kills) == KILLS

    found, expected = (read_metrics(run / "metrics.jsonl") for run in (parts, whole))
    assert len(expected) == STEPS
    assert found == expected  # every loss, source and rate of every step
    a, b = (load_checkpoint(run / f"step_{STEPS:07d}.pt") for run in (parts, whole))
    for key in ("model", "average"):
        assert all(torch.equal(a[key][name], b[key][name]) for name in b[key]), key
    results = f"evaluation_{STEPS:07d}/results.json"
    assert (parts / results).read_bytes() == (whole / results).read_bytes()
    print(f"{config}: {len(kills)} kills, {STEPS} losses bit-equal: {', '.join(kills)}")  # noqa: T201
