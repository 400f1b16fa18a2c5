"""Processes that run chunks: the same files, and a clear end when one of them dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from alp_builder.build import build
from alp_builder.chunks import ChunkTask
from alp_builder.config import BuildConfig, load_config
from alp_builder.errors import BadDataError, UsageError
from alp_builder.executors import run_local
from alp_builder.inputs import Chunk, NarrativeSource
from tests.alp_builder.conftest import SMALL_SHARDS, Builder, tree_bytes

Results: TypeAlias = Iterator[tuple[ChunkTask, int]]


def children(pid: int) -> list[int]:
    """Workers that `pid` spawned; other tests may have started processes of other kinds."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (entry / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == pid and b"spawn_main" in command:
            found.append(int(entry.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs: zombies do not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits until a condition holds, and fails if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_nothing_to_do_loads_nothing() -> None:
    missing = load_config(None, ["phrases.spacy_model=no_such_model"])
    assert list(run_local([], missing, 4)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_missing_model_is_one_line(
    workers: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chunk = Chunk(number=0, source=0, start=0, end=1, first_line=1)
    task = ChunkTask(chunk=chunk, path="x", name="x", output=str(tmp_path / "o"))
    missing = load_config(None, ["phrases.spacy_model=no_such_model"])
    with pytest.raises(UsageError, match="'no_such_model' is not installed"):
        list(run_local([task] * workers, missing, workers))
    assert capfd.readouterr().err == ""  # no traceback from a worker either


@pytest.mark.parametrize("workers", [pytest.param(2, marks=pytest.mark.faults), 3])
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    workers: int, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path
) -> None:
    sources = [NarrativeSource(location=str(p), split=s) for s, p in inputs_of_two_splits.items()]
    config = load_config(None, [*SMALL_SHARDS, "with_traces=true", "phrases.spacy_batch_size=5"])
    build(sources, tmp_path / "out", config, workers, progress=False)
    assert tree_bytes(tmp_path / "out") == tree_bytes(built)


def test_a_worker_that_dies_stops_the_build_with_one_line_and_a_rerun_completes(
    built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path, build_here: Builder
) -> None:
    sources = [NarrativeSource(location=str(p), split=s) for s, p in inputs_of_two_splits.items()]
    overrides = [*SMALL_SHARDS, "with_traces=true"]

    def executor(tasks: list[ChunkTask], config: BuildConfig, workers: int) -> Results:
        for done, pair in enumerate(run_local(tasks, config, workers)):
            if done == 0:
                os.kill(children(os.getpid())[0], signal.SIGKILL)
            yield pair

    with pytest.raises(BadDataError, match=r"a worker process died.*run the same command again"):
        build(sources, tmp_path / "out", load_config(None, overrides), 2, False, executor)
    assert not (tmp_path / "out" / "_alps" / "manifest.json").exists()
    wait_for(lambda: not children(os.getpid()))
    summary = build_here(sources, tmp_path / "out", *overrides)
    assert summary.reused_chunks > 0
    assert tree_bytes(tmp_path / "out") == tree_bytes(built)


def _start(source: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """A build of two workers in a process group of its own."""
    words = ["build", str(source), "--out", str(out), "--workers", "2", *more]
    words += [word for item in SMALL_SHARDS for word in ("--set", item)]
    return subprocess.Popen(
        [sys.executable, "-m", "alp_builder.cli.main", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def test_workers_end_when_their_parent_is_killed(
    inputs_of_two_splits: dict[str, Path], tmp_path: Path
) -> None:
    process = _start(inputs_of_two_splits["train"], tmp_path / "out")
    wait_for(lambda: len(children(process.pid)) == 2)
    workers = children(process.pid)
    time.sleep(1.0)  # past the start of Python in the workers, before the end of the work
    process.kill()
    process.communicate()
    wait_for(lambda: not any(map(is_alive, workers)), seconds=8)


@pytest.mark.parametrize("moment", [pytest.param("starting", marks=pytest.mark.faults), "working"])
def test_ctrl_c_stops_all_with_one_line(
    moment: str, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = _start(inputs_of_two_splits["train"], out, "--json")
    wait_for(lambda: len(children(process.pid)) == 2)
    workers = children(process.pid)
    if moment == "working":
        wait_for(lambda: any((out / "_alps" / "work" / "chunks").glob("*.arrow")))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (130, "")
    assert errors == "alps build: stopped; run the same command again to go on\n"
    assert not (out / "_alps" / "manifest.json").exists()
    wait_for(lambda: not any(map(is_alive, workers)), seconds=8)
