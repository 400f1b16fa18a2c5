"""Runs of several processes, as users start them: they agree, end together, and go on after a loss.

Two processes on this machine, over gloo, stand for two machines.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.trainer.engine.commands import changes, command
from trainer.engine.progress import read_metrics

pytestmark = pytest.mark.slow

TRAIN = ["-m", "trainer.train"]
FAILING = ["-m", "tests.trainer.engine.failing"]
TORCHRUN = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run"]
HERE = [*TORCHRUN, "--nnodes", "1", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
HERE += ["--rdzv-endpoint", "127.0.0.1:0"]
LIMIT = 900


def metrics(run: Path) -> list[dict[str, Any]]:
    return read_metrics(run / "metrics.jsonl")


def given(place: Path, run: Path, *more: str, steps: int = 6) -> list[str]:
    fixed = [f"train.loop.max_steps={steps}", "train.device=cpu", "train.cpu_threads=1"]
    return command("fcosmo", *changes(place, run), *fixed, *more)


def call(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=LIMIT)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines that tell of an error, apart from torchrun's own report."""
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


@pytest.fixture(scope="module")
def whole(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nobody disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    done = call([*HERE, *TRAIN, *given(place, run)])
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line["source"] for line in metrics(run)] == ["mask", "alp"] * 3
    return run


def test_all_launchers_give_the_same_losses(whole: Path, place: Path, tmp_path: Path) -> None:
    own = [sys.executable, "-W", "ignore", *TRAIN, "--num-gpus", "2"]
    done = call([*own, *given(place, tmp_path / "own")])
    assert done.returncode == 0, done.stderr[-2000:]
    assert metrics(tmp_path / "own") == metrics(whole)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    meet = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    meet += ["--master-port", port]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = given(place, tmp_path / "nodes")
    nodes = [
        subprocess.Popen([*TORCHRUN, *meet, "--node-rank", str(rank), *TRAIN, *arguments], env=env)
        for rank in range(2)
    ]
    assert [node.wait(LIMIT) for node in nodes] == [0, 0]
    assert metrics(tmp_path / "nodes") == metrics(whole)


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ("data", 1, ["process 1 of 2", "part-00003: broken shard"]),
        ("kill", 1, ["process 1 on this machine was killed by SIGKILL", "--resume goes on"]),
        ("defect", 1, []),
    ],
)
def test_one_that_fails_ends_all_with_one_line(
    how: str, code: int, told: list[str], place: Path, tmp_path: Path
) -> None:
    own = [sys.executable, "-W", "ignore", *FAILING, "--num-gpus", "2"]
    done = call([*own, *given(place, tmp_path / "run")], FAIL=f"1:2:{how}")
    assert done.returncode == code
    lines = said(done)
    if how == "defect":  # a mistake of ours is told with its traceback, once
        assert done.stderr.count("AssertionError: a defect") == 1
        assert not lines
    else:
        assert len(lines) == 1
        assert all(part in lines[0] for part in told)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("rank", [0, 1])
def test_torchrun_goes_on_from_the_last_checkpoint(
    rank: int, whole: Path, place: Path, tmp_path: Path
) -> None:
    elastic = [*HERE, "--max-restarts", "1"]
    done = call([*elastic, *FAILING, *given(place, tmp_path / "run")], FAIL=f"{rank}:4:kill")
    assert done.returncode == 0, done.stderr[-2000:]
    assert metrics(tmp_path / "run") == metrics(whole)


def test_a_given_checkpoint_counts_for_the_first_start_under_torchrun(
    whole: Path, place: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    begin = [*FAILING, "--checkpoint", str(run / "step_0000004.pt")]
    arguments = given(place, run, "train.loop.checkpoint_every=1")
    done = call([*HERE, "--max-restarts", "1", *begin, *arguments], FAIL="1:5:kill")
    assert done.returncode == 0, done.stderr[-2000:]
    assert metrics(run) == metrics(whole)
    assert done.stderr.count("1 checkpoints and 1 evaluations of other runs, to step 6") == 1
    assert "steps 5 to 6" in done.stderr
    assert [p.name for p in run.glob("superseded/1/step_*")] == ["step_0000006.pt"]


def test_another_number_of_processes_goes_on_with_the_same_images(
    whole: Path, place: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    both = [*HERE, *TRAIN]
    done = call([*both, *given(place, run, "train.loop.max_steps=6")], OMP_NUM_THREADS="1")
    assert done.returncode == 0
    for path in run.glob("step_0000006.pt"):
        path.unlink()
    (run / "evaluation_0000006" / "metrics.json").unlink()
    alone = [sys.executable, "-W", "ignore", *TRAIN, "--resume"]
    done = call([*alone, *given(place, run)])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "was made by 2 processes, this run has 1" in done.stderr
    assert [line["source"] for line in metrics(run)] == ["mask", "alp"] * 3
    assert (run / "evaluation_0000006" / "metrics.json").is_file()

    done = call([*alone, "--num-gpus", "3", *given(place, run, "train.loop.max_steps=8")])
    assert done.returncode == 2
    assert "batch of 2 cannot be shared by 3 ranks; take a multiple of 3" in said(done)[0]
    assert len(said(done)) == 1


def test_a_preempted_job_is_queued_again_and_goes_on(
    whole: Path, place: Path, tmp_path: Path
) -> None:
    pytest.importorskip("submitit")
    run = tmp_path / "run"
    slurm = ["--cluster", "local", "--gpus-per-node", "0", "--tasks-per-node", "2"]
    slurm += ["--hours", "1", "--folder", str(tmp_path / "jobs")]
    arguments = [sys.executable, "-W", "ignore", "-m", "trainer.launch_slurm", *slurm]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*arguments, *given(place, run)], env=env) as job:
        _preempt(job.pid, run)
        assert job.wait(LIMIT) == 0
    assert metrics(run) == metrics(whole)
    log = "".join(path.read_text() for path in (tmp_path / "jobs").glob("*_0_log.out"))
    assert "Requeued job" in log
    assert "error: " not in log


def _preempt(launcher: int, run: Path) -> None:
    """Send what a cluster sends to every process of a job, once it is under way."""
    end = time.monotonic() + LIMIT
    while not list(run.glob("step_*.pt")):
        assert time.monotonic() < end
        time.sleep(0.05)
    for process in psutil.Process(launcher).children(recursive=True):
        if "submitit.core._submit" in " ".join(process.cmdline()):
            process.send_signal(signal.SIGUSR2)
