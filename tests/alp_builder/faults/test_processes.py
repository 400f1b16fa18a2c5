"""Processes that are told to stop, die, hang, starve or meet each other: one line, no orphans, nothing lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from alp_builder.manifest import manifest_path
from tests.alp_builder.conftest import Builder, tree_bytes
from tests.alp_builder.faults.running import (
    OPTIONS,
    STARVED,
    alps,
    at_work,
    build_words,
    check_what_is_there,
    chunks_done,
    wait_until,
    workers_of,
)
from tests.alp_builder.simulated import simulated_records, write_narratives
from tests.faults.subject import REPORTS

TRIES = [1, pytest.param(6, marks=pytest.mark.faults)]


@pytest.fixture(scope="module")
def narratives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough narratives to be met at work."""
    file = tmp_path_factory.mktemp("narratives") / "x.jsonl"
    return write_narratives(file, simulated_records(200))


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, narratives: Path, build_here: Builder
) -> dict[str, str]:
    """What a build of them that nothing disturbs writes."""
    out = tmp_path_factory.mktemp("expected") / "out"
    build_here(narratives, out, *OPTIONS)
    return tree_bytes(out)


def _goes_on(
    narratives: Path,
    out: Path,
    expected: dict[str, str],
    build_here: Builder,
    options: tuple[str, ...] = (),
) -> int:
    """Finishes what is there to the same bytes; returns the chunks that had not to be done again."""
    check_what_is_there(out)
    summary = build_here(narratives, out, *OPTIONS, *options)
    assert tree_bytes(out) == expected
    return summary.reused_chunks


@pytest.mark.parametrize("tries", TRIES)
def test_sigterm(
    tries: int, tmp_path: Path, narratives: Path, expected: dict[str, str], build_here: Builder
) -> None:
    """What a scheduler sends before it kills: the build ends at once, its workers too."""
    for number in range(tries):
        out = tmp_path / str(number)
        with at_work(build_words(narratives, out)) as process:
            wait_until(lambda out=out, n=number: chunks_done(out) >= 1 + n % 6, "chunks")
            workers = workers_of(process)
            process.terminate()
            assert process.wait(30) == -signal.SIGTERM
            assert "Traceback" not in process.communicate()[1]
            assert not psutil.wait_procs(workers, 10)[1], "workers outlived their build"
        assert not manifest_path(out).exists()
        assert _goes_on(narratives, out, expected, build_here) >= 1
    REPORTS.append(f"SIGTERM: {tries} builds ended, all went on to the same bytes")


@pytest.mark.parametrize("tries", TRIES)
def test_a_worker_that_is_killed(
    tries: int, tmp_path: Path, narratives: Path, expected: dict[str, str], build_here: Builder
) -> None:
    for number in range(tries):
        out = tmp_path / str(number)
        with at_work(build_words(narratives, out)) as process:
            wait_until(lambda out=out: chunks_done(out) >= 1, "chunks")
            workers_of(process)[number % 2].kill()
            error = process.communicate(timeout=60)[1]
        assert process.returncode == 1
        assert error.startswith("alps build: a worker process died, perhaps for lack of memory;")
        assert error.count("\n") == 1
        assert _goes_on(narratives, out, expected, build_here) >= 1
    REPORTS.append(
        f"workers killed: {tries} builds said so in one line and went on to the same bytes"
    )


@pytest.mark.faults
@pytest.mark.parametrize("tries", [3])
def test_a_worker_that_hangs(
    tries: int, tmp_path: Path, narratives: Path, expected: dict[str, str], build_here: Builder
) -> None:
    """A stopped process answers nothing, as one on a dead network file system does."""
    for number in range(tries):
        out = tmp_path / str(number)
        words = build_words(narratives, out, 2, "shards.worker_timeout=45")
        with at_work(words) as process:
            wait_until(lambda out=out: chunks_done(out) >= 1, "chunks")
            workers = workers_of(process)
            workers[number % 2].suspend()
            error = process.communicate(timeout=120)[1]
            assert not psutil.wait_procs(workers, 10)[1], "a hung worker outlived its build"
        assert process.returncode == 1
        assert error.startswith(f"alps build: a worker process hangs: {narratives}, bytes ")
        assert error.count("\n") == 1
        # The patience is no choice that decides what is written: the work is adopted.
        assert _goes_on(narratives, out, expected, build_here, ("shards.worker_timeout=60",)) >= 1
    REPORTS.append(f"workers stopped: {tries} builds noticed and went on to the same bytes")


@pytest.mark.faults
def test_too_little_memory(
    tmp_path: Path, narratives: Path, expected: dict[str, str], build_here: Builder
) -> None:
    """Address space from too little for the model to enough: an end in words, and nothing half-written."""
    program = tmp_path / "starved.py"
    program.write_text(STARVED)
    ends: dict[int, int] = {}
    out = tmp_path / "out"
    for megabytes in range(500, 900, 25):
        command = [sys.executable, str(program), str(megabytes), *build_words(narratives, out)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        ends[run.returncode] = ends.get(run.returncode, 0) + 1
        last = (run.stderr.splitlines() or [""])[-1]
        # Libraries may abort in a worker and say so; the build itself has the last word.
        assert run.returncode in (0, 1)
        said = ("out of memory", "lack of memory", "Cannot allocate memory")
        assert run.returncode == 0 or any(words in last for words in said), run.stderr
        check_what_is_there(out)
    REPORTS.append(f"address space of 500 to 875 MB: exit codes {ends}")
    assert ends.keys() == {0, 1}
    assert tree_bytes(out) == expected


@pytest.mark.faults
@pytest.mark.parametrize("tries", [4])
def test_two_builds_at_once(
    tries: int, tmp_path: Path, narratives: Path, expected: dict[str, str]
) -> None:
    """Into one folder: one builds, the other says so, or finds all done if it came late."""
    refused = 0
    for number in range(tries):
        out = tmp_path / str(number)
        command = [sys.executable, "-m", "alp_builder.cli.main", *build_words(narratives, out, 1)]
        both = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=300)[1] for process in both]
        codes = sorted(process.returncode for process in both)
        assert codes in ([0, 0], [0, 2])
        if codes == [0, 2]:
            refused += 1
            line = f"alps build: a build into {out} is under way in another process; wait for it\n"
            assert line in said
        assert tree_bytes(out) == expected
    assert refused
    REPORTS.append(f"two builds at once: {tries} pairs, {refused} second ones refused")


def test_an_input_that_vanishes_under_the_workers(tmp_path: Path) -> None:
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(200))
    out = tmp_path / "out"
    with at_work(build_words(file, out)) as process:
        wait_until(lambda: chunks_done(out) >= 1, "chunks")
        file.unlink()
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert error == f"alps build: {file}: cannot be read any more (No such file or directory)\n"
    assert not manifest_path(out).exists()
    write_narratives(file, simulated_records(200))
    assert alps(build_words(file, out)).returncode == 0
