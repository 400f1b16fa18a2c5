from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from alp_builder.errors import BadDataError, UsageError
from trainer.engine.checkpoint import (
    checkpoint_path,
    export_safetensors,
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    prune_checkpoints,
    save_checkpoint,
)


def state(step: int = 3, **more: Any) -> dict[str, Any]:
    weights = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1)}
    return {"step": step, "model": weights, "average": {}, "info": {"model": "FCOSMO"}, **more}


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("evil"),)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 3)
    save_checkpoint(path, state(optimizer={"lr": 0.1, "momentum": [torch.zeros(2)]}))
    loaded = load_checkpoint(path)
    assert path.name == "step_0000003.pt"
    assert torch.equal(loaded["model"]["a.weight"], state()["model"]["a.weight"])
    assert loaded["optimizer"]["momentum"][0].tolist() == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_save_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkpoint_path(tmp_path, 3)
    save_checkpoint(path, state())

    def full(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, state(step=4))
    assert load_checkpoint(path)["step"] == 3
    assert len(list(tmp_path.iterdir())) == 1


def test_the_last_checkpoint_is_the_one_with_most_steps(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "none") is None
    for step in (5, 12_345_678, 999):
        save_checkpoint(checkpoint_path(tmp_path, step), state(step))
    (tmp_path / ".step_0099999.pt.7.tmp").write_bytes(b"cut")
    (tmp_path / "nonfinite_step_0000004.pt").write_bytes(b"other")
    assert latest_checkpoint(tmp_path) == tmp_path / "step_12345678.pt"
    prune_checkpoints(tmp_path, keep=2)
    assert sorted(p.name for p in tmp_path.glob("step_*")) == [
        "step_0000999.pt",
        "step_12345678.pt",
    ]
    assert not list(tmp_path.glob(".*"))  # nor what a killed process left
    assert (tmp_path / "nonfinite_step_0000004.pt").exists()


def test_what_was_saved_last_is_not_deleted_for_checkpoints_of_more_steps(tmp_path: Path) -> None:
    for step in (60, 85, 90, 65, 70):
        save_checkpoint(checkpoint_path(tmp_path, step), state(step))
    prune_checkpoints(tmp_path, keep=2, done=70)
    steps = [int(p.stem.removeprefix("step_")) for p in sorted(tmp_path.iterdir())]
    assert steps == [65, 70, 85, 90]


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "model": {}, "evil": Evil()}, tmp_path / "a.pt")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"model": {"w": Evil()}}))
    for name in ("a.pt", "b.pkl"):
        with pytest.raises(UsageError, match="is a pickle"):
            load_weights(tmp_path / name)
    with pytest.raises(UsageError, match="is a pickle"):
        load_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "evil").exists()


def test_a_pickle_of_weights_loads_where_it_is_allowed(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "R-50.pkl"
    path.write_bytes(pickle.dumps({"model": {"w": np.ones(3, np.float32)}, "author": "someone"}))
    assert load_weights(path, allow_pickle=True)["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("wrap", ["model", "state_dict", None])
def test_weights_are_found_in_the_usual_places(wrap: str | None, tmp_path: Path) -> None:
    weights = {"w": torch.ones(2), "epoch": 3}
    torch.save({wrap: weights} if wrap else weights, tmp_path / "x.pth")
    assert list(load_weights(tmp_path / "x.pth")) == ["w"]


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    torch.save({"w": torch.ones(1)}, tmp_path / "foreign.pt")
    with pytest.raises(BadDataError, match="not a checkpoint of this project"):
        load_checkpoint(tmp_path / "foreign.pt")
    save_checkpoint(tmp_path / "part.pt", {"model": {}, "info": {}})
    with pytest.raises(BadDataError, match=r"not a checkpoint of this project \(no step\)"):
        load_checkpoint(tmp_path / "part.pt")
    save_checkpoint(tmp_path / "new.pt", state(format=99))
    with pytest.raises(BadDataError, match="format 99"):
        load_checkpoint(tmp_path / "new.pt")
    save_checkpoint(tmp_path / "whole.pt", state())
    data = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises((BadDataError, UsageError), match="damaged"):
        load_checkpoint(tmp_path / "cut.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(BadDataError, match="no weights"):
        load_weights(tmp_path / "list.pt")


def test_export_as_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "step_0000003.pt"
    save_checkpoint(path, state(average={"b": torch.zeros(1)}))
    export_safetensors(path, tmp_path / "last.safetensors")
    export_safetensors(path, tmp_path / "average.safetensors", average=True)
    assert load_weights(tmp_path / "last.safetensors")["b"].item() == 1
    assert load_weights(tmp_path / "average.safetensors")["b"].item() == 0
    with safe_open(tmp_path / "last.safetensors", "pt") as file:
        assert file.metadata() == {"model": "FCOSMO", "step": "3"}
    save_checkpoint(path, state())
    with pytest.raises(UsageError, match="no averaged weights"):
        export_safetensors(path, tmp_path / "x.safetensors", average=True)
