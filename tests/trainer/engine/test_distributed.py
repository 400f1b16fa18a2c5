"""Two processes over gloo must train as one with the double batch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from detectron2.utils import comm

from tests.trainer.engine.test_loop import loop
from tests.trainer.tiny import batch, fcosmo
from trainer.engine.distributed import gather_in_order, global_share, global_sum
from trainer.engine.launch import launch
from trainer.engine.nonfinite import NonFiniteError
from trainer.modeling.fcosmo import AlpLosses

STEPS = (("mask", 4), ("alp", 4), ("mask", 4), ("alp", 4))
ALP = AlpLosses(box=0.5, centerness=1.0)


def batches() -> list[list[Any]]:
    """Four images a step; one of them has no instance, so that the halves differ."""
    out = []
    for step, (source, images) in enumerate(STEPS):
        items = batch(step, source, images)
        items[3] = batch(step + 50, source, 1, things=0)[0]
        out.append(items)
    return out


def train(folder: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Train on this process's share; the global losses and the weights."""
    torch.set_num_threads(1)
    rank, world = comm.get_rank(), comm.get_world_size()
    model = fcosmo(alp=ALP)
    one = loop(model, folder, max_steps=len(STEPS), clip_norm=1.0)
    losses = []
    for step, items in enumerate(batches()):
        share = len(items) // world
        values, _ = one.step(step, items[rank * share : (rank + 1) * share])
        losses.append(float(global_sum(torch.tensor(values["loss"]))) / world)
    return losses, model.state_dict()


def _work(args: argparse.Namespace) -> None:
    found = train(args.folder)
    texts = gather_in_order([f"phrase of rank {comm.get_rank()}"])
    share = global_share(1 + 2 * comm.get_rank(), torch.device("cpu"))
    assert texts == ["phrase of rank 0", "phrase of rank 1"]
    assert float(share) == (0.5 if comm.get_rank() == 0 else 1.5)  # of 1 + 3 items
    stopped = _stop_everywhere(args.folder)
    if comm.is_main_process():
        torch.save(
            {"losses": found[0], "model": found[1], "stopped": stopped}, args.folder / "two.pt"
        )
    comm.synchronize()


def _stop_everywhere(folder: Path) -> str:
    """One process meets a loss that is not finite; every process must stop, and name all images."""
    items = batch(comm.get_rank(), images=1)
    if comm.get_rank() == 1:
        items[0]["image"] = items[0]["image"].float() * float("inf")
    try:
        loop(fcosmo(), folder).step(7, items)
    except NonFiniteError as error:
        return str(error)
    return ""


def test_two_processes_equal_one_with_the_double_batch(tmp_path: Path) -> None:
    losses, weights = train(tmp_path)
    args = argparse.Namespace(
        num_gpus=2, num_machines=1, machine_rank=0, dist_url="auto", folder=tmp_path
    )
    launch(_work, args)
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    assert two["losses"] == pytest.approx(losses, rel=2e-4)
    for name, value in weights.items():
        torch.testing.assert_close(two["model"][name], value, rtol=1e-3, atol=2e-4, msg=name)
    assert "mask_0.png, mask_1000.png" in two["stopped"]


def test_torchrun_s_processes_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(dist, "init_process_group", called.append)
    monkeypatch.setattr(comm, "create_local_process_group", called.append)
    launch(lambda args: called.append(args.folder), argparse.Namespace(folder="run"))
    assert called == ["gloo", 2, "run"]
    monkeypatch.setenv("WORLD_SIZE", "1")
    launch(lambda args: called.append(args.folder), argparse.Namespace(folder="alone"))
    assert called[3:] == ["alone"]


def test_one_process_needs_nobody() -> None:
    value = torch.tensor(3.0)
    assert global_sum(value) is value
    assert gather_in_order(["a"]) == ["a"]
    assert global_share(5, torch.device("cpu")) == 1.0
