"""Disks that fill up under the server, kills in the middle of a crowd, recordings that kill the worker."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alp_builder.record import jobs as jobs_module
from alp_builder.record.config import RecordConfig
from alp_builder.record.jobs import Jobs
from alp_builder.record.layout import StoredNarrative
from alp_builder.record.store import Store
from pipelines.bench_record import bench
from tests.alp_builder.record.conftest import WEBM, Client, narrative, serving
from tests.alp_builder.record.test_store import keep


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 230 MB: the server stops at 200 MB free."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=230m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.faults
def test_a_full_disk_loses_nothing_and_says_so(two_images: Path, small_disk: Path) -> None:
    out, taken, refused = small_disk / "out", [], []
    with serving(two_images, out) as server:
        client = Client(server, "annotator")
        for _ in range(6):
            sent = narrative()
            status, told = client.put(sent, WEBM + os.urandom(10_000_000))
            (taken if status == 201 else refused).append(sent["id"])
            assert status in (201, 507)
            if status == 507:
                assert "nothing was saved" in told["detail"]
        assert taken
        assert refused
        assert set(taken) == {entry.id for entry in Store(out).entries.values()}
        assert not [p for p in out.rglob("*") if p.name.startswith(".")]


@pytest.mark.faults
def test_a_write_that_fails_in_the_middle_leaves_nothing(two_images: Path, tmp_path: Path) -> None:
    with serving(two_images, tmp_path / "out") as server:
        pid = server.process.pid
        import resource

        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
        client = Client(server, "annotator")
        sent = narrative()
        status, told = client.put(sent, WEBM + os.urandom(3_000_000))
        assert (status, told["error"]) == (507, "disk")
        assert not [p for p in server.out.rglob("*") if sent["id"] in p.name]
        assert client.put(sent, WEBM + os.urandom(1_000))[0] == 201


@pytest.mark.faults
def test_a_crowd_and_a_kill_lose_and_mix_nothing() -> None:
    figures = bench(
        argparse.Namespace(
            annotators=12, seconds=30.0, mb=0.5, pause=0.5, recording=None, folder=None
        )
    )
    assert figures["acknowledged"] >= 24
    assert figures["lost"] == figures["mixed"] == 0
    assert figures["sent_again"] > 0  # the kill was felt


def die(*_: Any) -> None:
    os._exit(1)


def hang(*_: Any) -> None:
    import time

    time.sleep(600)


@pytest.mark.faults
@pytest.mark.parametrize(("task", "seconds"), [(die, 60.0), (hang, 2.0)])
def test_a_narrative_that_kills_the_worker_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Any, seconds: float
) -> None:
    store = Store(tmp_path)
    entry = keep(store)
    monkeypatch.setattr(jobs_module.work, "align", task)
    monkeypatch.setattr(jobs_module, "_STARTING", seconds)
    config = RecordConfig(align_seconds=0.1)

    async def run() -> None:
        jobs = Jobs(store, "mine", config)
        jobs.missing = None
        jobs.start()
        async with asyncio.timeout(120):
            while store.states[1, entry.id] == "waiting":
                await asyncio.sleep(0.1)
        await jobs.stop()

    asyncio.run(run())
    outcome = store.outcome((1, entry.id))
    assert outcome is not None
    assert outcome.reason == "worker_died"
    assert Store(tmp_path).states[1, entry.id] == "waiting"  # the next start tries again
    assert isinstance(store.narrative((1, entry.id)), StoredNarrative)
