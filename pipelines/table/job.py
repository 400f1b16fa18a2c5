"""One run in a process of its own: `python -m pipelines.table.job FOLDER`.

The folder holds `job.json`; the run leaves `result.json`, last of all, so a folder with a result is done.
What a stopped run has spent is in `spent.json`, written every few seconds, and a resumed run adds to it:
seconds are those of all attempts, peak memory is the largest of them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from alp_builder.errors import AlpError, BadDataError
from alp_builder.files import write_atomic
from pipelines.table.plan import Job

HEARTBEAT = 5.0
"""Seconds between two notes of what a run has spent."""


class Spent(msgspec.Struct, kw_only=True):
    """What a run took.

    Attributes:
        seconds: Wall clock, evaluation included.
        cpu_seconds: Of all its threads.
        peak_memory_mb: Largest resident memory of its process.
        peak_gpu_mb: Largest memory of its tensors on the GPU; 0 without one.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    peak_gpu_mb: float = 0.0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gave.

    Attributes:
        job: What was run.
        ap50_base: Mask AP50 of base classes, percent; None for a pretraining.
        ap50_novel: Mask AP50 of novel classes, percent.
        per_class: Mask AP50 by class, percent, None where there is no truth.
        spent: What it took.
    """

    job: Job
    ap50_base: float | None = None
    ap50_novel: float | None = None
    per_class: dict[str, float | None] = {}
    spent: Spent


class Meter:
    """Measures this process from entry to exit, on top of what earlier attempts spent."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._before = (
            msgspec.json.decode(file.read_bytes(), type=Spent) if file.exists() else Spent()
        )
        self._start = time.perf_counter()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def spent(self) -> Spent:
        """What has been spent so far."""
        scale = 2**20 if sys.platform == "darwin" else 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
        return Spent(
            seconds=round(self._before.seconds + time.perf_counter() - self._start, 1),
            cpu_seconds=round(self._before.cpu_seconds + time.process_time(), 1),
            peak_memory_mb=round(max(self._before.peak_memory_mb, peak)),
            peak_gpu_mb=round(max(self._before.peak_gpu_mb, _gpu_peak_mb())),
        )

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT):
            write_atomic(self._file, msgspec.json.encode(self.spent()))

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        write_atomic(self._file, msgspec.json.encode(self.spent()))


def main(arguments: list[str] | None = None) -> int:
    """Run the job of a folder; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.table.job", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
    try:
        with Meter(folder / "spent.json") as meter:
            metrics = (
                pretrain_job(job, folder) if job.kind == "pretrain" else train_job(job, folder)
            )
        result = result_of(job, metrics, meter.spent())
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    write_atomic(folder / "result.json", msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    return 0


def pretrain_job(job: Job, folder: Path) -> dict[str, Any]:
    """Pretrain the shared backbone; it has no metrics."""
    # `trainer` says how torch's threads wait, so it is imported before torch.
    from trainer.engine.config import load_config

    import torch  # isort: skip

    from pipelines.table.pretrain import pretrain  # isort: skip

    torch.set_num_threads(job.threads)
    cfg = load_config(job.config, job.overrides)
    pretrain(cfg, folder / "backbone.safetensors", folder, job.steps)
    return {}


def train_job(job: Job, folder: Path) -> dict[str, Any]:
    """Train and evaluate a row, from its last checkpoint on; the metrics of its masks."""
    from trainer import train
    from trainer.engine.checkpoint import checkpoint_path

    # A run stopped during its evaluation has its last checkpoint, and only the evaluation to do.
    trained = checkpoint_path(folder, job.steps).exists()
    code = train.main(
        [
            "--config-file",
            job.config,
            "--eval-only" if trained else "--resume",
            *job.overrides,
            f"train.output_dir={folder}",
            f"train.cpu_threads={job.threads}",
        ]
    )
    if code:
        raise BadDataError(f"{job.name}: the training ended with exit code {code}")
    file = folder / f"evaluation_{job.steps:07d}" / "metrics.json"
    masks: dict[str, Any] = msgspec.json.decode(file.read_bytes())["masks"]
    return masks


def result_of(job: Job, masks: dict[str, Any], spent: Spent) -> Result:
    """The result of a run, given the metrics of its masks (none for a pretraining)."""
    if not masks:
        return Result(job=job, spent=spent)
    return Result(
        job=job,
        ap50_base=_percent(masks["AP50"]["base"]),
        ap50_novel=_percent(masks["AP50"]["novel"]),
        per_class={name: _percent(entry["AP50"]) for name, entry in masks["per_class"].items()},
        spent=spent,
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 3)


def _gpu_peak_mb() -> float:
    # The heartbeat may come while another thread imports torch: its parts are there one by one.
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not hasattr(cuda, "max_memory_allocated") or not cuda.is_available():
        return 0.0
    return float(cuda.max_memory_allocated()) / 2**20


if __name__ == "__main__":
    sys.exit(main())
