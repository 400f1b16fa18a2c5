"""The export command: weights out, mistakes told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from trainer.engine.checkpoint import save_checkpoint
from trainer.export import main


def save(folder: Path, step: int) -> None:
    weights = {"layer.weight": torch.full((2, 3), float(step))}
    state = {"step": step, "model": weights, "average": {}, "info": {"model": "FCOSMO"}}
    save_checkpoint(folder / f"step_{step:07d}.pt", state)


def test_the_last_checkpoint_of_a_run(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save(tmp_path, 10)
    out = tmp_path / "model.safetensors"
    assert main([str(tmp_path), "--out", str(out)]) == 0
    with safe_open(out, "pt") as file:
        assert file.metadata() == {"step": "10", "model": "FCOSMO"}
        assert torch.equal(file.get_tensor("layer.weight"), torch.full((2, 3), 10.0))
    assert main([str(tmp_path / "step_0000005.pt"), "--out", str(out)]) == 0
    with safe_open(out, "pt") as file:
        assert file.get_tensor("layer.weight").max() == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EMPTY", "--out", "OUT"], "no checkpoint in this folder"),
        (["none.pt", "--out", "OUT"], "none.pt: no such checkpoint"),
        (["RUN", "--out", "/nowhere/m.safetensors"], "/nowhere: no such folder"),
        (["RUN", "--out", "OUT", "--average"], "has no averaged weights"),
    ],
)
def test_mistakes(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    save(tmp_path / "run", 1)
    real = {"EMPTY": tmp_path / "empty", "RUN": tmp_path / "run", "OUT": tmp_path / "m.safetensors"}
    assert main([str(real.get(a, a)) for a in arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m.safetensors").exists()
