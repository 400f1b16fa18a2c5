"""Builds as processes of their own, to be killed, starved and watched, and what must hold of what they leave."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from alp_builder.manifest import manifest_path
from alp_builder.validation import validate
from tests.alp_builder.conftest import SMALL_SHARDS

OPTIONS = [*SMALL_SHARDS, "with_traces=true"]
"""As `built` was built."""

STARVED = """
import resource, sys
from alp_builder.cli.main import main
if __name__ == "__main__":
    limit = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.exit(main(sys.argv[2:]))
"""
"""A program that is `alps` with so many megabytes of address space, and so are its workers."""


def build_words(source: Path, out: Path, workers: int = 2, *options: str) -> list[str]:
    """Words of `alps build`."""
    words = ["build", str(source), "--out", str(out), "--workers", str(workers), "--json"]
    return words + [word for option in (*OPTIONS, *options) for word in ("--set", option)]


def alps(words: list[str], seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs `alps` to its end."""
    command = [sys.executable, "-m", "alp_builder.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


@contextmanager
def at_work(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Runs `alps` while the block runs; whatever is left of it then is killed."""
    command = [sys.executable, "-m", "alp_builder.cli.main", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        for child in workers_of(process):
            child.kill()
        process.kill()
        process.wait()


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a build that live, without the helper that multiprocessing starts."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    except psutil.NoSuchProcess:
        return []


def wait_until(true: Callable[[], bool], what: str, seconds: float = 240) -> None:
    """Waits for something to become true; fails if it does not in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def chunks_done(out: Path) -> int:
    """Chunks that an unfinished build has finished."""
    return len(list((out / "_alps" / "work" / "chunks").glob("[0-9]*.arrow")))


def check_what_is_there(folder: Path) -> None:
    """Every file under a final name is whole, and a manifest is there only if all of it is true."""
    for file in folder.glob("split=*/*"):
        assert file.suffix == ".parquet"
        assert pq.ParquetFile(file).read().num_rows >= 0
    for file in (folder / "_alps" / "work" / "chunks").glob("[0-9]*.arrow"):
        with pa.memory_map(str(file)) as stream:
            pa.ipc.open_file(stream).read_all()
    if manifest_path(folder).exists():
        validate(folder, progress=False)
