"""Running jobs: some at a time, one bar over all steps, and nothing done twice.

A job whose folder has a result of the same job is done. Any other is started, or goes on from its last
checkpoint. A folder with another job in it is refused: results of different settings never meet in one
table. Jobs wait for the backbone they start from. When one fails the others are stopped, and the last
lines of its log are shown; on Ctrl-C too, and the same command goes on where it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec
from tqdm import tqdm

from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import exclusive, write_atomic
from pipelines.table.job import Result
from pipelines.table.plan import Job

POLL = 1.0
"""Seconds between two looks at the jobs."""

PATIENCE = 20.0
"""Seconds a stopped job gets to end by itself."""

LOG_LINES = 6
"""Lines of a failed job's log that are shown."""

Command = Callable[[Path], list[str]]
"""The command that runs the job of a folder."""


def job_command(folder: Path) -> list[str]:
    """The command of a real job."""
    return [sys.executable, "-W", "ignore", "-m", "pipelines.table.job", str(folder)]


@dataclass
class _Running:
    job: Job
    folder: Path
    process: subprocess.Popen[bytes]


def run_jobs(
    jobs: Sequence[Job],
    runs: Path,
    slots: int,
    command: Command = job_command,
    *,
    poll: float = POLL,
    progress: bool = True,
) -> dict[str, Result]:
    """Run what is not done yet.

    Args:
        jobs: In the order they are to be started.
        runs: Folder of the runs.
        slots: Jobs at a time; 0 for as many as the machine has cores.
        command: What runs a job.
        poll: Seconds between two looks at the jobs.
        progress: Whether to show the bar.

    Returns:
        The results by job name.

    Raises:
        UsageError: If a folder holds another job, or another run is at work in `runs`.
        BadDataError: If a job failed.
    """
    slots = slots or os.cpu_count() or 1
    runs.mkdir(parents=True, exist_ok=True)
    with exclusive(runs / "lock", f"a table in {runs}"):
        for job in jobs:
            claim(job, runs / job.name)
        with _Crew(jobs, runs, command, progress) as crew:
            while not crew.finished:
                crew.start(slots)
                crew.look()
                if not crew.finished:
                    time.sleep(poll)
    return results_so_far(jobs, runs)


def claim(job: Job, folder: Path) -> None:
    """Write `job.json`, or check that it is of this job.

    Raises:
        UsageError: If the folder is another job's.
    """
    file, text = folder / "job.json", msgspec.json.format(msgspec.json.encode(job)) + b"\n"
    if not file.exists():
        write_atomic(file, text)
    elif file.read_bytes() != text:
        raise UsageError(
            f"{folder} is a run of other settings: remove it, or name another folder with --runs"
        )


def read_result(job: Job, runs: Path) -> Result | None:
    """The result of a job, None if it has none yet."""
    file = runs / job.name / "result.json"
    if not file.exists():
        return None
    try:
        result = msgspec.json.decode(file.read_bytes(), type=Result)
    except msgspec.DecodeError as error:
        raise BadDataError(f"{file}: not a result ({error}); remove it") from None
    return result if result.job == job else None


def results_so_far(jobs: Sequence[Job], runs: Path) -> dict[str, Result]:
    """The results that are there, by job name."""
    return {job.name: result for job in jobs if (result := read_result(job, runs)) is not None}


def steps_done(folder: Path) -> int:
    """Steps a run has reported: the last whole line of its `metrics.jsonl`, counted from 1."""
    file = folder / "metrics.jsonl"
    if not file.exists():
        return 0
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 4096))
        lines = stream.read().split(b"\n")[:-1]
    for line in reversed(lines):
        try:
            return int(msgspec.json.decode(line)["step"]) + 1
        except (msgspec.DecodeError, KeyError, TypeError):
            continue
    return 0


def checkpoint_steps(folder: Path) -> int:
    """Steps of a run's last checkpoint, from where it would go on."""
    return max((int(file.stem[5:]) for file in folder.glob("step_*.pt")), default=0)


class _Crew:
    """The jobs of a run: done, at work, waiting."""

    def __init__(self, jobs: Sequence[Job], runs: Path, command: Command, progress: bool) -> None:
        self.jobs, self.runs, self.command = list(jobs), runs, command
        self.done = {job.name for job in jobs if read_result(job, runs) is not None}
        self.waiting = [job for job in jobs if job.name not in self.done]
        self.running: list[_Running] = []
        self.bar = tqdm(
            total=sum(job.steps for job in jobs),
            # Steps after the last checkpoint are done again: counting them, the bar would go back.
            initial=self._steps(checkpoint_steps),
            unit="step",
            desc="table",
            mininterval=1.0,
            disable=not progress,
        )

    @property
    def finished(self) -> bool:
        return not self.waiting and not self.running

    def start(self, slots: int) -> None:
        """Start waiting jobs whose backbone is there, as long as a slot is free."""
        for job in list(self.waiting):
            if len(self.running) >= slots:
                return
            if job.backbone and job.backbone not in self.done:
                continue
            folder = self.runs / job.name
            with (folder / "log.txt").open("ab") as log:
                # A session of its own: Ctrl-C reaches this process alone, which then stops the jobs.
                process = subprocess.Popen(  # noqa: S603 - our own command
                    self.command(folder),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self.waiting.remove(job)
            self.running.append(_Running(job, folder, process))

    def look(self) -> None:
        """See which jobs have ended, and how far the others are."""
        for run in list(self.running):
            if run.process.poll() is None:
                continue
            self.running.remove(run)
            if run.process.returncode != 0 or read_result(run.job, self.runs) is None:
                raise BadDataError(
                    f"{run.job.name} failed (exit code {run.process.returncode}); the end of "
                    f"{run.folder / 'log.txt'}:\n{_tail(run.folder / 'log.txt')}"
                )
            self.done.add(run.job.name)
        self.bar.update(max(0, self._steps(steps_done) - self.bar.n))
        names = ", ".join(run.job.name for run in self.running)
        self.bar.set_postfix_str(f"{len(self.done)}/{len(self.jobs)} runs done; {names}", False)

    def _steps(self, count: Callable[[Path], int]) -> int:
        return sum(
            job.steps if job.name in self.done else min(count(self.runs / job.name), job.steps)
            for job in self.jobs
        )

    def __enter__(self) -> _Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()
        for run in self.running:
            run.process.terminate()
        for run in self.running:
            try:
                run.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                run.process.kill()
                run.process.wait()


def _tail(file: Path) -> str:
    text = file.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
    return "\n".join(line for line in text.splitlines()[-LOG_LINES:] if line.strip())
