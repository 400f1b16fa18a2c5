"""What runs the chunks of a build: this process, or several of them.

An executor takes tasks and yields each with the number of narratives read, as it is done, in any order. The
files the tasks write do not depend on which executor ran them.

A worker may die (killed, out of memory) or hang (a file system that no longer answers, a stopped process). Death
shows at once. A hang shows when a task is not done `shards.worker_timeout` seconds after it was handed out: tasks
are handed out in order and a few at a time, so it lies at a worker all but a little of that time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from typing import Protocol

from alp_builder.chunks import ChunkTask, build_chunk
from alp_builder.config import BuildConfig
from alp_builder.errors import AlpError, BadDataError
from alp_builder.extraction import AlpExtractor

AHEAD = 2
"""Tasks queued for each worker; more would only pile up."""


class Executor(Protocol):
    """Anything that runs tasks and yields them as they are done."""

    def __call__(
        self, tasks: list[ChunkTask], config: BuildConfig, workers: int
    ) -> Iterator[tuple[ChunkTask, int]]:
        """Runs the tasks.

        Args:
            tasks: Independent of each other.
            config: All choices.
            workers: How many may run at once.

        Yields:
            A task that is done and the number of narratives in it.
        """
        ...


def run_local(
    tasks: list[ChunkTask], config: BuildConfig, workers: int
) -> Iterator[tuple[ChunkTask, int]]:
    """Runs tasks here where one worker suffices, else in processes of this machine.

    Raises:
        UsageError: If the configured model is not installed or of no use.
        BadDataError: If an input can no longer be read, or a worker dies, as it does when the system
            runs out of memory, or hangs.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        extractor = AlpExtractor(config) if tasks else None
        for task in tasks:
            assert extractor is not None
            yield task, build_chunk(task, extractor, config)
        return
    # Processes are spawned: forking a process that has threads (pyarrow's, tqdm's) may deadlock.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()  # closed on one side, it ends the other
    strangers = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, _start_worker, (config, theirs)) as pool:
        waiting: dict[Future[int], ChunkTask] = {}
        since: dict[Future[int], float] = {}
        queue = iter(tasks)
        try:
            while True:
                for task in islice(queue, workers * AHEAD - len(waiting)):
                    with _interrupts_held():
                        future = pool.submit(_work, task)
                    waiting[future], since[future] = task, time.monotonic()
                if not waiting:
                    ours.close()  # nothing is left to do: a second of tidying up is spared
                    return
                oldest = min(waiting, key=since.__getitem__)
                patience = since[oldest] + config.shards.worker_timeout - time.monotonic()
                done = wait(waiting, max(patience, 0), FIRST_COMPLETED).done
                if patience <= 0 and oldest not in done:
                    raise _HungError(_hung(waiting[oldest], config.shards.worker_timeout))
                for future in done:
                    yield waiting.pop(future), future.result()
        except BaseException as error:
            ours.close()  # workers stop where they are: files appear whole or not at all
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, _HungError):
                for process in set(multiprocessing.active_children()) - strangers:
                    process.kill()  # whoever hangs does not hear that the pipe was closed
                raise BadDataError(str(error)) from error
            if isinstance(error, BrokenProcessPool | MemoryError):
                died = "died, perhaps for lack of memory"
                what = "ran out of memory" if isinstance(error, MemoryError) else died
                raise BadDataError(
                    f"a worker process {what}; finished work is kept:"
                    " run the same command again, with fewer --workers"
                ) from error
            raise


class _HungError(Exception):
    """A task is not done in the time it may take."""


def _hung(task: ChunkTask, seconds: float) -> str:
    chunk = task.chunk
    return (
        f"a worker process hangs: {task.name}, bytes {chunk.start} to {chunk.end}, not done in {seconds:g} s;"
        " finished work is kept: run the same command again, with a larger shards.worker_timeout if it was"
        " only slow"
    )


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Holds Ctrl-C back while processes start, which inherit that: it is this process's to stop them.

    A terminal sends it to all of them at once, and each would end with a traceback of its own.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: tuple[AlpExtractor, BuildConfig] | AlpError | MemoryError | None = None


def _start_worker(config: BuildConfig, parent: Connection) -> None:
    """Loads the model once for each process, and ties the process's life to its parent's.

    What is wrong with the model is kept for the first task to raise.
    """
    global _worker  # noqa: PLW0603  the one way to hand a pool's tasks something costly to load
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    try:
        _worker = AlpExtractor(config), config
    except (AlpError, MemoryError) as error:  # raised here it would only break the pool
        _worker = error  # the first task raises it


def _follow(parent: Connection) -> None:
    """Ends this process when its parent gives up or is gone, killed or not: nobody wants its work."""
    parent.poll(None)
    os._exit(1)


def _work(task: ChunkTask) -> int:
    assert _worker is not None
    if isinstance(_worker, AlpError | MemoryError):
        raise _worker
    return build_chunk(task, *_worker)
