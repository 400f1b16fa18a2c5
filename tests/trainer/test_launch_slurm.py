"""What a SLURM cluster is asked to do: the file that `sbatch` gets, and mistakes told before it gets one."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest

from tests.trainer.engine.commands import command
from trainer import launch_slurm, train
from trainer.engine.launch import VARIABLES
from trainer.engine.slurm import TrainJob

pytest.importorskip("submitit")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where `sbatch` takes a job and says its number."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "sbatch": 'cp "$1" "$(dirname "$0")/submitted.sh"; echo Submitted batch job 4217',
        "srun": "exit 0",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def submit(tmp_path: Path, *more: str) -> int:
    where = [f"train.output_dir={tmp_path / 'run'}"]
    return launch_slurm.main(command("fcosmo", "--folder", str(tmp_path / "jobs"), *more, *where))


def test_the_file_that_sbatch_gets(
    cluster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--nodes", "2", "--gpus-per-node", "8", "--hours", "12", "--partition", "gpu"]
    options += ["--account", "vision", "--signal-seconds", "120", "--mem-gb", "400"]
    options += ["--setup", "module load cuda", "--name", "fcosmo"]
    assert submit(tmp_path, *options) == 0
    told = capsys.readouterr().out
    assert "job 4217 is submitted; its log: " in told
    assert "stop it for good: scancel 4217" in told
    text = (cluster / "submitted.sh").read_text()
    lines = text.splitlines()
    for flag in (
        "nodes=2", "ntasks-per-node=8", "gpus-per-node=8", "cpus-per-task=8", "mem=400GB", "time=720",
        "partition=gpu", "account=vision", "signal=USR2@120", "requeue", "job-name=fcosmo",
        "open-mode=append",
    ):  # fmt: skip
        assert f"#SBATCH --{flag}" in lines
    assert "module load cuda" in lines
    (srun,) = [line for line in lines if line.startswith("srun ")]
    assert "--kill-on-bad-exit=1" in srun
    assert f"-m submitit.core._submit {tmp_path / 'jobs'}" in srun


def test_the_job_runs_resumes_and_is_queued_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    slurm = {
        "SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "7", "SLURM_NTASKS": "16", "SLURM_PROCID": "11",
        "SLURM_JOB_NUM_NODES": "2", "SLURM_NODEID": "1", "SLURM_LOCALID": "3",
        "SLURM_JOB_NODELIST": "node[04-05]", **dict.fromkeys(VARIABLES, "1"),
    }  # fmt: skip
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    seen: list[list[str]] = []

    def main(given: list[str]) -> int:
        seen.append([*given, *(os.environ[name] for name in VARIABLES[:5])])
        return 75

    monkeypatch.setattr(train, "main", main)
    job: TrainJob = pickle.loads(pickle.dumps(TrainJob(("--config-file", "c.py"))))
    assert job.checkpoint().function == job
    with pytest.raises(SystemExit, match="75"):
        job()
    assert seen == [["--config-file", "c.py", "--resume", "11", "16", "3", "8", "node04"]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["optimizer.rate=3"], "expected key=value with a key of"),
        ([], "sbatch is not on this machine: call this where jobs are submitted"),
    ],
)
def test_mistakes_are_told_before_anything_is_submitted(
    options: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert submit(tmp_path, *options) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "jobs").exists()


def test_an_earlier_run_is_not_gone_on_with_unasked(
    cluster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "step_0000002.pt").touch()
    assert submit(tmp_path) == 2
    assert "add --resume to go on from step_0000002.pt" in capsys.readouterr().err
    assert submit(tmp_path, "--resume") == 0
    assert (cluster / "submitted.sh").exists()


def test_without_submitit_the_extra_is_named(
    cluster: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert submit(tmp_path) == 2
    assert "pip install 'alp-toolkit[slurm]'" in capsys.readouterr().err
