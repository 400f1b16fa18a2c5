"""The chunks of a build on a Ray cluster: an executor beside `run_local`.

The process that builds (the driver) reads each chunk's bytes and hands them to Ray; a node turns
them into rows and hands back the file of rows, which the driver writes into its work folder. So nodes need
no folder in common, no access to the inputs and no credentials, only the same installation; and all that a
build promises holds as it does for one machine, since one process writes. The price is the driver's network: it
sends about 4 MB for each second of a core (see docs/scale.md).

A node that dies costs what it was doing: Ray gives its chunks to others. Nodes that join are used. A node
with other versions of what decides the result is refused, as its rows might differ.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from alp_builder.chunks import ChunkTask, chunk_rows, write_rows
from alp_builder.config import BuildConfig
from alp_builder.errors import AlpError, BadDataError, UsageError
from alp_builder.executors import AHEAD, run_local
from alp_builder.extraction import AlpExtractor
from alp_builder.files import write_atomic
from alp_builder.manifest import versions

MAX_RETRIES = 5
"""How often a chunk is given to another worker when the one that had it died."""

MAX_SHIPPED_BYTES = 2**28
"""Largest chunk that travels; only one with an absurdly long line is larger, and it is done at home."""

_LOOK_SECONDS = 5.0  # how often the number of nodes is looked at while nothing happens


class Done(msgspec.Struct, frozen=True):
    """What a node hands back.

    Attributes:
        rows: The chunk's file.
        narratives: Narratives in it.
        node: Which node it was.
        error: Class and message of an error that is the user's to mend, instead of rows.
    """

    rows: bytes
    narratives: int
    node: str
    error: tuple[str, str] | None = None


class RayExecutor:
    """Runs chunks on the nodes of a Ray cluster, see `executors.Executor`.

    Args:
        address: Of the cluster, such as `10.0.0.1:6379`, `auto` for the one this machine belongs to, or
            `ray://host:10001`; by default that of `RAY_ADDRESS`, else a cluster of this machine alone.
        workers: Most chunks at once; default one for each CPU of the cluster.
        progress: Whether to tell which nodes are at work.
    """

    def __init__(
        self, address: str | None = None, workers: int | None = None, *, progress: bool = False
    ) -> None:
        self.address = address
        self.workers = workers
        self.progress = progress
        self.chunks: Counter[str] = Counter()

    def notes(self) -> list[str]:
        """Which node did how much."""
        if not self.chunks:
            return []
        shares = ", ".join(f"{node} {number}" for node, number in sorted(self.chunks.items()))
        return [f"ray: chunks by node: {shares}"]

    def __call__(
        self,
        tasks: list[ChunkTask],
        config: BuildConfig,
        workers: int,  # noqa: ARG002  the cluster knows better
    ) -> Iterator[tuple[ChunkTask, int]]:
        """Runs the tasks, see `executors.Executor`.

        Raises:
            UsageError: If Ray is not installed, there is no cluster, or a node has other versions.
            BadDataError: If an input can no longer be read, or a chunk's workers die again and again.
        """
        if tasks:
            ray = _import_ray()
            with _connected(ray, self.address):
                yield from self._run(ray, tasks, config)

    def _run(
        self, ray: Any, tasks: list[ChunkTask], config: BuildConfig
    ) -> Iterator[tuple[ChunkTask, int]]:
        work = ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(_work)
        choices = ray.put(msgspec.json.encode(config))
        expected = ray.put(versions(config.phrases.spacy_model))
        waiting: dict[Any, ChunkTask] = {}
        queue = iter(tasks)
        try:
            while True:
                for task in islice(queue, max(0, self._limit(ray) * AHEAD - len(waiting))):
                    if task.chunk.end - task.chunk.start > MAX_SHIPPED_BYTES:
                        yield from run_local([task], config, 1)
                    else:
                        waiting[work.remote(_read(task), task, choices, expected)] = task
                if not waiting:
                    return
                ready, _ = ray.wait(list(waiting), num_returns=1, timeout=_LOOK_SECONDS)
                for reference in ready:
                    task = waiting.pop(reference)
                    yield task, self._take(_fetch(ray, reference, task), task)
        finally:
            for reference in waiting:  # only where the build stops early
                ray.cancel(reference, force=True)

    def _limit(self, ray: Any) -> int:
        """How many chunks may be worked on at once, as the cluster is now."""
        cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return min(cpus, self.workers) if self.workers else cpus

    def _take(self, done: Done, task: ChunkTask) -> int:
        """Writes what a node handed back; returns the number of narratives."""
        if done.error is not None:
            kind, message = done.error
            raise (UsageError if kind == "UsageError" else BadDataError)(message)
        write_atomic(Path(task.output), done.rows)
        if done.node not in self.chunks and self.progress:
            text = f"ray: node {done.node} is at work ({len(self.chunks) + 1} so far)"
            tqdm.write(text, file=sys.stderr)
        self.chunks[done.node] += 1
        return done.narratives


def _import_ray() -> Any:
    """Ray, without its reports of usage.

    Raises:
        UsageError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError(
            "--executor ray needs the extra `ray`: pip install 'alp-toolkit[ray]'"
        ) from error
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection to the cluster for as long as the block runs; one that is there already is used.

    Raises:
        UsageError: If there is no cluster.
    """
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        what = " ".join(str(error).split())[:300]
        raise UsageError(
            f"--address {address or '(none)'}: no Ray cluster ({what}); start one with `ray start --head`"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _read(task: ChunkTask) -> bytes:
    """The bytes of a chunk.

    Raises:
        BadDataError: If they can no longer be read.
    """
    try:
        with Path(task.path).open("rb") as stream:
            stream.seek(task.chunk.start)
            return stream.read(task.chunk.end - task.chunk.start)
    except OSError as error:
        raise BadDataError(f"{task.name}: cannot be read any more ({error.strerror})") from error


def _fetch(ray: Any, reference: Any, task: ChunkTask) -> Done:
    """What became of a chunk.

    Raises:
        BadDataError: If its workers died too often.
    """
    try:
        done: Done = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise  # a mistake of ours
    except ray.exceptions.RayError as error:
        raise BadDataError(
            f"{task.name}, bytes {task.chunk.start} to {task.chunk.end}: its worker died {MAX_RETRIES + 1} times"
            f" ({type(error).__name__}), perhaps for lack of memory; finished work is kept:"
            " run the same command again, with fewer --workers"
        ) from error
    return done


def _work(data: bytes, task: ChunkTask, choices: bytes, expected: dict[str, str]) -> Done:
    """One chunk, on a node."""
    import ray

    node = f"{platform.node()}-{ray.get_runtime_context().get_node_id()[:6]}"
    try:
        config, extractor = _prepared(choices)
        _check_versions(expected, versions(config.phrases.spacy_model), node)
        rows, narratives = chunk_rows(io.BytesIO(data), task, extractor, config)
    except AlpError as error:
        kind = "UsageError" if isinstance(error, UsageError) else "BadDataError"
        return Done(b"", 0, node, (kind, str(error)))
    stream = io.BytesIO()
    write_rows(rows, stream)
    return Done(stream.getvalue(), narratives, node)


@functools.lru_cache(maxsize=1)
def _prepared(choices: bytes) -> tuple[BuildConfig, AlpExtractor]:
    """The configuration and the method, loaded once for each process."""
    config = msgspec.json.decode(choices, type=BuildConfig)
    return config, AlpExtractor(config)


def _check_versions(expected: dict[str, str], found: dict[str, str], node: str) -> None:
    other = [
        f"{name} {found.get(name)}, here {expected[name]}"
        for name in expected
        if found.get(name) != expected[name]
    ]
    if other:
        raise UsageError(
            f"ray: node {node} has other versions ({'; '.join(other)}); its rows might differ:"
            " install the same on all nodes"
        )
