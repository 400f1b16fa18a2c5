"""Shares of a build by processes that know nothing of each other: the same bytes, no harm done."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from alp_builder import parts as parts_module
from alp_builder.chunks import ChunkTask
from alp_builder.config import BuildConfig, load_config
from alp_builder.errors import BadDataError, UsageError
from alp_builder.executors import Executor
from alp_builder.files import exclusive
from alp_builder.inputs import NarrativeSource
from alp_builder.parts import Part, PartSummary, build_part
from tests.alp_builder.conftest import SMALL_SHARDS, Builder, tree_bytes
from tests.alp_builder.simulated import simulated_records, write_narratives

OPTIONS = [*SMALL_SHARDS, "with_traces=true"]
"""As `built` was built."""


class Parts:
    """Shares of builds in this process."""

    def __init__(self, here: Executor) -> None:
        self.here = here

    def __call__(
        self, inputs: dict[str, Path], out: Path, index: int, count: int, *more: str,
        executor: Executor | None = None,
    ) -> PartSummary:  # fmt: skip
        sources = [NarrativeSource(location=str(p), split=s) for s, p in inputs.items()]
        config = load_config(None, [*OPTIONS, *more])
        part = Part(index, count)
        return build_part(
            sources, out, config, part, progress=False, executor=executor or self.here
        )


@pytest.fixture
def run(here: Executor) -> Parts:
    return Parts(here)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_shares_and_a_build_give_the_bytes_of_a_build_alone(
    order: tuple[int, ...], run: Parts, built: Path, inputs_of_two_splits: dict[str, Path],
    tmp_path: Path, build_here: Builder,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    done = [run(inputs_of_two_splits, out, index, 3) for index in order]
    assert sum(summary.narratives for summary in done) == 48
    assert [summary.remaining > 0 for summary in done] == [True, True, False]
    assert all(summary.reused_chunks == 0 < summary.chunks for summary in done)
    assert not (out / "_alps" / "manifest.json").exists()
    last = build_here(inputs_of_two_splits, out, *OPTIONS)
    assert last.built == 0
    assert last.reused_chunks == sum(summary.chunks for summary in done)
    assert tree_bytes(out) == tree_bytes(built)


def test_a_build_does_what_shares_have_left(
    run: Parts, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path, build_here: Builder
) -> None:  # fmt: skip
    out = tmp_path / "out"
    first = run(inputs_of_two_splits, out, 1, 3)
    last = build_here(inputs_of_two_splits, out, *OPTIONS)
    assert last.built == 48 - first.narratives
    assert tree_bytes(out) == tree_bytes(built)
    after = run(inputs_of_two_splits, out, 2, 3)
    assert after.already_built
    assert tree_bytes(out) == tree_bytes(built)


def test_a_share_that_was_stopped_goes_on(
    run: Parts, here: Executor, inputs_of_two_splits: dict[str, Path], tmp_path: Path
) -> None:
    def stops(
        tasks: list[ChunkTask], config: BuildConfig, workers: int
    ) -> Iterator[tuple[ChunkTask, int]]:
        yield from itertools.islice(here(tasks, config, workers), 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(inputs_of_two_splits, tmp_path / "out", 0, 2, executor=stops)
    again = run(inputs_of_two_splits, tmp_path / "out", 0, 2)
    assert (again.reused_chunks, again.notes) == (2, [])
    twice = run(inputs_of_two_splits, tmp_path / "out", 0, 2)
    assert (twice.reused_chunks, twice.narratives) == (twice.chunks, 0)


def test_more_shares_than_chunks(run: Parts, tmp_path: Path, build_here: Builder) -> None:
    inputs = {"train": write_narratives(tmp_path / "x.jsonl", simulated_records(2))}
    summaries = [run(inputs, tmp_path / "out", index, 9) for index in range(9)]
    assert sum(summary.narratives for summary in summaries) == 2
    assert sum(summary.chunks == 0 for summary in summaries) == 8
    build_here(inputs, tmp_path / "out", *OPTIONS)
    build_here(inputs, tmp_path / "one", *OPTIONS)
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "one")


def test_shares_at_once_plan_once(
    run: Parts, here: Executor, built: Path, inputs_of_two_splits: dict[str, Path],
    tmp_path: Path, build_here: Builder, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plans: list[int] = []
    real = parts_module.make_plan
    monkeypatch.setattr(
        parts_module, "make_plan", lambda *a: plans.append(threading.get_ident()) or real(*a)
    )
    one_at_a_time, all_there = threading.Lock(), threading.Barrier(4, timeout=60)

    def meets(
        tasks: list[ChunkTask], config: BuildConfig, workers: int
    ) -> Iterator[tuple[ChunkTask, int]]:
        all_there.wait()  # all four hold the folder now
        with one_at_a_time:  # the tests' pipeline is one
            done = list(here(tasks, config, workers))
        yield from done

    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(run, inputs_of_two_splits, tmp_path / "out", index, 4, executor=meets)
            for index in range(4)
        ]
        assert sum(job.result().narratives for job in jobs) == 48
    assert len(plans) == 1
    build_here(inputs_of_two_splits, tmp_path / "out", *OPTIONS)
    assert tree_bytes(tmp_path / "out") == tree_bytes(built)


def test_shares_of_what_is_built_already_wait_for_each_other(
    run: Parts, inputs_of_two_splits: dict[str, Path], tmp_path: Path, build_here: Builder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One that starts when another has just found all done must not plan beside a third that waited."""
    out = tmp_path / "out"
    build_here(inputs_of_two_splits, out, *OPTIONS)
    real, at_work = parts_module.make_plan, threading.Lock()

    def alone(*arguments: Any) -> Any:
        assert at_work.acquire(blocking=False), "two plan at once"
        time.sleep(0.3)
        at_work.release()
        return real(*arguments)

    monkeypatch.setattr(parts_module, "make_plan", alone)
    with ThreadPoolExecutor(5) as pool:
        jobs = []
        for index in range(5):
            jobs.append(pool.submit(run, inputs_of_two_splits, out, index, 5))
            time.sleep(0.25)
        assert all(job.result().already_built for job in jobs)


class TestOthersAtWork:
    """What a share must not touch, and who must not touch a share's."""

    def _interfering(self, here: Executor, interfere: object) -> Executor:
        def executor(
            tasks: list[ChunkTask], config: BuildConfig, workers: int
        ) -> Iterator[tuple[ChunkTask, int]]:
            assert callable(interfere)
            interfere()
            yield from here(tasks, config, workers)

        return executor

    def test_a_share_of_other_choices_does_not_throw_the_work_away(
        self, run: Parts, here: Executor, inputs_of_two_splits: dict[str, Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "out"

        def other() -> None:
            with pytest.raises(
                UsageError, match="of one with other inputs or choices, is under way"
            ):
                run(inputs_of_two_splits, out, 1, 2, "window.lag=0.1")

        run(inputs_of_two_splits, out, 0, 2, executor=self._interfering(here, other))
        assert run(inputs_of_two_splits, out, 0, 2).narratives == 0
        changed = run(inputs_of_two_splits, out, 1, 2, "window.lag=0.1")  # nobody is at work now
        assert changed.notes == ["starting afresh: config changed since the interrupted build"]

    def test_a_build_waits_for_shares_and_shares_for_a_build(
        self, run: Parts, here: Executor, built: Path, inputs_of_two_splits: dict[str, Path],
        tmp_path: Path, build_here: Builder,
    ) -> None:  # fmt: skip
        out = tmp_path / "out"

        def whole() -> None:
            with pytest.raises(UsageError, match="a build into .*out is under way in another"):
                build_here(inputs_of_two_splits, out, *OPTIONS)

        run(inputs_of_two_splits, out, 0, 2, executor=self._interfering(here, whole))
        with (
            exclusive(out / "_alps" / "lock", "a build"),
            pytest.raises(UsageError, match="a build into .*out is under way in another"),
        ):
            run(inputs_of_two_splits, out, 1, 2)
        run(inputs_of_two_splits, out, 1, 2)
        build_here(inputs_of_two_splits, out, *OPTIONS)
        assert tree_bytes(out) == tree_bytes(built)

    def test_an_input_that_changes_between_shares(
        self, run: Parts, tmp_path: Path, build_here: Builder
    ) -> None:
        file = write_narratives(tmp_path / "x.jsonl", simulated_records(20))
        run({"train": file}, tmp_path / "out", 0, 2)
        write_narratives(file, simulated_records(20, seed=4))
        notes = run({"train": file}, tmp_path / "out", 1, 2).notes
        assert notes == ["starting afresh: inputs changed since the interrupted build"]
        build_here(file, tmp_path / "out", *OPTIONS)
        build_here(file, tmp_path / "one", *OPTIONS)
        assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "one")

    def test_an_input_that_changes_while_a_share_reads_it(
        self, run: Parts, here: Executor, tmp_path: Path
    ) -> None:
        file = write_narratives(tmp_path / "x.jsonl", simulated_records(20))
        changes = self._interfering(
            here, lambda: write_narratives(file, simulated_records(20, seed=4))
        )
        with pytest.raises(BadDataError, match="changed while it was read"):
            run({"train": file}, tmp_path / "out", 0, 2, executor=changes)
        assert run({"train": file}, tmp_path / "out", 0, 2).reused_chunks == 0

    def test_an_input_that_is_gone(self, run: Parts, tmp_path: Path) -> None:
        file = write_narratives(tmp_path / "x.jsonl", simulated_records(20))
        run({"train": file}, tmp_path / "out", 0, 2)
        file.unlink()
        with pytest.raises(BadDataError, match=r"x\.jsonl: cannot be read"):
            run({"train": file}, tmp_path / "out", 1, 2)


@pytest.mark.parametrize(("index", "count"), [(2, 2), (-1, 2), (0, 0)])
def test_a_share_that_does_not_exist(index: int, count: int) -> None:
    with pytest.raises(UsageError, match="expected"):
        Part(index, count)


@pytest.mark.faults
def test_shares_that_are_killed_and_started_again(tmp_path: Path, build_here: Builder) -> None:
    """Four real processes at once, each killed some times at a random instant."""
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(160))
    build_here(file, tmp_path / "one", *OPTIONS)
    words = ["build", str(file), "--out", str(tmp_path / "out"), "--workers", "1", "--json"]
    words += [word for option in OPTIONS for word in ("--set", option)]
    command = [sys.executable, "-m", "alp_builder.cli.main", *words]
    rng = random.Random(7)
    killed = 0

    def start(index: int) -> subprocess.Popen[str]:
        share = ["--num-shards", "4", "--shard-index", str(index)]
        return subprocess.Popen(
            [*command, *share], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    for patience in (2.0, 4.0, 6.0, None):
        shares = [start(index) for index in range(4)]
        remaining: list[int] = []
        for share in shares:
            if patience is not None:
                try:
                    share.wait(rng.uniform(0, patience))
                except subprocess.TimeoutExpired:
                    share.kill()
                    killed += 1
            printed, errors = share.communicate(timeout=120)
            assert share.returncode in (0, -9), errors
            remaining += [json.loads(printed)["remaining"]] if printed else []
    assert killed > 3
    assert (len(remaining), min(remaining)) == (4, 0)  # whichever ended last found nothing left
    assert subprocess.run(command, capture_output=True, env=dict(os.environ)).returncode == 0
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "one")
