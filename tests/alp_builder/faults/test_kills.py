"""Kill -9 at any instant, disks that fill up, folders that cannot be written: never a half-truth on disk."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alp_builder.errors import UsageError
from alp_builder.files import exclusive
from alp_builder.manifest import manifest_path
from tests.alp_builder.conftest import Builder, tree_bytes
from tests.alp_builder.faults.running import OPTIONS, alps, build_words, check_what_is_there
from tests.alp_builder.simulated import simulated_records, write_narratives
from tests.faults.subject import REPORTS

_DIE_AT = """
import os, signal, sys
from pathlib import Path
from alp_builder.build import build
from alp_builder.config import load_config
from alp_builder.inputs import NarrativeSource

step, out, options, inputs = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
sources = [NarrativeSource(location=i.split("=")[1], split=i.split("=")[0]) for i in inputs]

def checkpoint(name):
    print(name, flush=True)
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)

build(sources, out, load_config(None, options.split()), 1, False, checkpoint=checkpoint)
"""


@pytest.fixture(scope="module")
def mapped(
    tmp_path_factory: pytest.TempPathFactory,
    inputs_of_two_splits: dict[str, Path],
    build_here: Builder,
) -> Path:
    """A folder in which all chunks are done and nothing is published."""
    out = tmp_path_factory.mktemp("mapped") / "out"

    def stop(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_here(inputs_of_two_splits, out, *OPTIONS, checkpoint=stop)
    shutil.rmtree(out / "_alps" / "work" / "shards")
    return out


class TestPublishing:
    """A process that kills itself at each step of publishing."""

    def _die(self, step: str, out: Path, inputs: dict[str, Path]) -> tuple[int, list[str]]:
        places = [f"{split}={path}" for split, path in inputs.items()]
        command = [sys.executable, "-c", _DIE_AT, step, str(out), " ".join(OPTIONS), *places]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    def test_each_step(
        self, mapped: Path, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path,
        build_here: Builder,
    ) -> None:  # fmt: skip
        whole = Path(shutil.copytree(mapped, tmp_path / "whole"))
        code, steps = self._die("none", whole, inputs_of_two_splits)
        assert code == 0
        assert steps[:2] == ["before", "old manifest gone"]
        assert steps[-2:] == ["quarantine written", "manifest written"]
        moves = [step for step in steps if step.startswith("moved ")]
        assert len(moves) >= 4
        # The first and the last of the moves stand for all of them.
        for step in [*steps[:2], moves[0], moves[-1], *steps[-2:]]:
            out = Path(shutil.copytree(mapped, tmp_path / step.replace("/", "_")))
            code, reached = self._die(step, out, inputs_of_two_splits)
            assert (code, reached[-1]) == (-signal.SIGKILL, step)
            check_what_is_there(out)
            assert manifest_path(out).exists() == (step == "manifest written")
            summary = build_here(inputs_of_two_splits, out, *OPTIONS)
            assert summary.already_built == (step == "manifest written")
            assert tree_bytes(out) == tree_bytes(built)

    def test_replacing_another_data_set(
        self, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path, build_here: Builder
    ) -> None:  # fmt: skip
        """From the first step on there is no data set; before it, the old one is whole."""
        old = tmp_path / "old"
        build_here(inputs_of_two_splits, old, "shards.rows_per_shard=15", "shards.chunk_bytes=9000")
        before = {n: h for n, h in tree_bytes(old).items()}  # noqa: C416

        class StopError(Exception):
            pass

        for step in ("before", "old manifest gone", "quarantine written"):
            out = Path(shutil.copytree(old, tmp_path / step))

            def checkpoint(name: str, step: str = step) -> None:
                if name == step:
                    raise StopError

            with pytest.raises(StopError):
                build_here(inputs_of_two_splits, out, *OPTIONS, checkpoint=checkpoint)
            check_what_is_there(out)
            if step == "before":
                assert before.items() <= tree_bytes(out).items()
            else:
                assert not manifest_path(out).exists()
            build_here(inputs_of_two_splits, out, *OPTIONS)
            assert tree_bytes(out) == tree_bytes(built)


def _kill_often(
    tries: int, longest: float, file: Path, out: Path, seed: int, whole: Callable[[], None]
) -> int:
    """Builds with real processes, kills each at a random instant; returns how many were killed at work."""
    rng = random.Random(seed)
    killed = 0
    command = [sys.executable, "-m", "alp_builder.cli.main", "build", str(file), "--out", str(out)]
    command += ["--workers", "2", "--json", *(w for o in OPTIONS for w in ("--set", o))]
    for _ in range(tries):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.wait()
        check_what_is_there(out)
        if manifest_path(out).exists():
            whole()
            shutil.rmtree(out, ignore_errors=True)
    return killed


@pytest.mark.parametrize(
    "tries",
    [4, pytest.param(12, marks=pytest.mark.faults), pytest.param(60, marks=pytest.mark.slow)],
)
def test_kill_at_random_instants(tries: int, tmp_path: Path, build_here: Builder) -> None:
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(120))
    build_here(file, tmp_path / "fresh", *OPTIONS)
    expected = tree_bytes(tmp_path / "fresh")
    out = tmp_path / "out"

    def whole() -> None:
        build_here(file, out, *OPTIONS)
        assert tree_bytes(out) == expected

    killed = _kill_often(tries, 5.0, file, out, tries, whole)
    assert killed > 0
    time.sleep(0.2)  # the last orphan, if any, may be about to rename a file
    build_here(file, out, *OPTIONS)
    assert tree_bytes(out) == expected


@contextmanager
def _small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[str], None]]:
    """A file system of its own, or a skip; yields what mounts it again with other options."""
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if mount is None or os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")

    def again(options: str) -> None:
        subprocess.run([command[0], "-o", f"remount,{options}", str(folder)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class TestDisk:
    def test_a_full_disk_is_one_line_and_a_larger_one_completes(
        self, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path, build_here: Builder
    ) -> None:  # fmt: skip
        with _small_disk(tmp_path / "disk", 100) as again:
            out = tmp_path / "disk" / "out"
            done = alps(build_words(inputs_of_two_splits["train"], out, 1))
            assert (done.returncode, done.stdout) == (2, "")
            assert (
                done.stderr == f"alps build: {out}: cannot be written (No space left on device)\n"
            )
            check_what_is_there(out)
            assert not manifest_path(out).exists()
            again("size=20m")
            build_here(inputs_of_two_splits, out, *OPTIONS)
            assert tree_bytes(out) == tree_bytes(built)

    @pytest.mark.faults
    def test_a_disk_that_is_full_at_every_step(
        self, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path, build_here: Builder
    ) -> None:  # fmt: skip
        """From room for nothing to room enough, one size after the other, each going on from the last."""
        sizes = range(20, 3000, 100)
        said: list[str] = []
        with _small_disk(tmp_path / "disk", 4) as again:
            out = tmp_path / "disk" / "out"
            for kilobytes in sizes:
                again(f"size={kilobytes}k")
                try:
                    build_here(inputs_of_two_splits, out, *OPTIONS)
                except UsageError as error:
                    said.append(str(error))
                check_what_is_there(out)
            assert tree_bytes(out) == tree_bytes(built)
        REPORTS.append(f"full disks: {len(sizes)} sizes tried, {len(said)} refused")
        assert 0 < len(said) < len(sizes)
        assert all("cannot be written (No space left on device)" in line for line in said)

    def test_a_read_only_folder_is_one_line(
        self, inputs_of_two_splits: dict[str, Path], tmp_path: Path
    ) -> None:
        with _small_disk(tmp_path / "disk", 100) as again:
            again("ro")
            done = alps(build_words(inputs_of_two_splits["train"], tmp_path / "disk" / "out", 1))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("cannot be written (Read-only file system)\n")
        assert done.stderr.count("\n") == 1


def test_a_second_build_into_one_folder_stops_with_one_line(
    inputs_of_two_splits: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with exclusive(out / "_alps" / "lock", "the first"):
        done = alps(build_words(inputs_of_two_splits["train"], out, 1))
    assert done.returncode == 2
    line = f"alps build: a build into {out} is under way in another process; wait for it\n"
    assert done.stderr == line
