"""Two processes over gloo must train as one with the double batch."""

from __future__ import annotations

import argparse
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from torch import nn

from alp_builder.errors import UsageError
from tests.trainer.engine.test_loop import loop
from tests.trainer.tiny import MODELS, batch, fcosmo
from trainer.engine import launch as launching
from trainer.engine.agreement import check_agreement
from trainer.engine.distributed import gather_in_order, global_share, global_sum
from trainer.engine.launch import launch
from trainer.engine.nonfinite import NonFiniteError
from trainer.engine.stopping import StopSignals
from trainer.modeling.fcosmo import AlpLosses

STEPS = (("mask", 4), ("alp", 4), ("mask", 4), ("alp", 4))
ALP = AlpLosses(box=0.5, centerness=1.0)
# Of Mask R-CNN*, detectron2's proposals raise on the process that meets it, between two collectives.
STOPPED = (("fcosmo", "mask"), ("maskrcnn", "mask"), ("maskrcnn", "alp"))


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
    assert _told_of_a_difference() == "rate: 0.1 in process 0, 0.2 in process 1"
    assert _asked_of_one() == signal.SIGUSR1
    assert _evaluated_averages(args.folder) == [1.0, 1.0]
    stopped = [_stop_everywhere(args.folder, kind, source) for kind, source in STOPPED]
    if comm.is_main_process():
        torch.save(
            {"losses": found[0], "model": found[1], "stopped": stopped}, args.folder / "two.pt"
        )
    comm.synchronize()


def _told_of_a_difference() -> str:
    """Both processes must refuse, in the same words."""
    with pytest.raises(UsageError) as error:
        check_agreement({"seed": 0, "rate": "0.2" if comm.get_rank() else "0.1"})
    return str(error.value).partition(";")[0]


def _asked_of_one() -> int:
    """One process gets a signal; both must know, and act on it."""
    acted: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: acted.append(number))
    with StopSignals() as signals:
        assert not signals.asked_anywhere(torch.device("cpu"))
        if comm.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.asked_anywhere(torch.device("cpu"))
        signals.hand_over()
        assert not signals.asked_anywhere(torch.device("cpu"))
    return acted[0]


def _evaluated_averages(folder: Path) -> list[float]:
    """What BatchNorm of each process evaluates with, whose averages differ after training."""
    model, seen = nn.BatchNorm1d(1), list[float]()
    one = loop(model, folder, lambda _: seen.append(float(model.running_mean)))
    model.running_mean.fill_(1.0 + comm.get_rank())
    one.run_evaluation(1)
    return gather_in_order(seen)


def _stop_everywhere(folder: Path, kind: str, source: str) -> str:
    """One process meets a loss that is not finite; every process must stop, and name all images."""
    items = batch(comm.get_rank(), source, images=1)
    if comm.get_rank() == 1:
        items[0]["image"] = items[0]["image"].float() * float("inf")
    try:
        with EventStorage(7):
            loop(MODELS[kind](), folder).step(7, items)
    except NonFiniteError as error:
        return str(error)
    return ""


def test_two_processes_equal_one_with_the_double_batch(tmp_path: Path) -> None:
    losses, weights = train(tmp_path)
    args = argparse.Namespace(
        num_gpus=2, num_machines=1, machine_rank=0, dist_url="auto", folder=tmp_path
    )
    assert launch(_work, args, "cpu") == 0
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    assert two["losses"] == pytest.approx(losses, rel=2e-4)
    for name, value in weights.items():
        torch.testing.assert_close(two["model"][name], value, rtol=1e-3, atol=2e-4, msg=name)
    for (_, source), said in zip(STOPPED, two["stopped"], strict=True):
        assert f"{source}_0.png, {source}_1000.png" in said


def test_processes_that_a_launcher_started_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []

    def meet(backend: str, *, timeout: timedelta, **_: Any) -> None:
        assert timeout >= timedelta(hours=1)  # torch's own 10 minutes of NCCL end a long evaluation
        called.append(backend)

    values = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    for name, value in {**values, "MASTER_ADDR": "first", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launching, "rendezvous", lambda _: iter([(None, 3, 4)]))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", called.append)
    monkeypatch.setattr(dist, "init_process_group", meet)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: called.append("end"))
    monkeypatch.setattr(comm, "create_local_process_group", called.append)
    run = argparse.Namespace(folder="run")
    assert launch(lambda args: called.append(args.folder), run, "auto") == 0
    assert launch(lambda args: called.append(args.folder), run, "cpu") == 0
    assert called == [1, "nccl", 2, "run", "end", "gloo", 2, "run", "end"]
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert launch(lambda args: called.append(args.folder), run, "auto") == 0
    assert called[9:] == ["run"]


@pytest.mark.parametrize("url", ["auto", "tcp://first", "file:///shared/x"])
def test_machines_need_an_address_to_meet(url: str) -> None:
    args = argparse.Namespace(num_gpus=1, num_machines=2, machine_rank=0, dist_url=url)
    with pytest.raises(UsageError, match="expected tcp://HOST:PORT of the first machine"):
        launch(lambda _: None, args, "cpu")


def test_one_process_needs_nobody() -> None:
    value = torch.tensor(3.0)
    assert global_sum(value) is value
    assert gather_in_order(["a"]) == ["a"]
    assert global_share(5, torch.device("cpu")) == 1.0
