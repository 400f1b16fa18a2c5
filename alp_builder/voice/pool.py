"""Runs tasks of an alignment: in this process, or in several that end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import Connection

from alp_builder.errors import AlpError, BadDataError
from alp_builder.voice.work import Task, Worker

_AHEAD = 2  # tasks queued for each worker; more would only pile up

MakeWorker = Callable[[], Worker]
"""Makes a worker in the process that is to do tasks; it is pickled."""


def run_tasks(tasks: list[Task], make: MakeWorker, workers: int) -> Iterator[tuple[Task, int]]:
    """Runs tasks and yields each as it is done, in any order, with its number of narratives.

    Args:
        tasks: Independent of each other.
        make: Makes a worker.
        workers: Processes; with one, or one task, all is done here.

    Raises:
        AlpError: What a worker raises.
        BadDataError: If a worker dies, as it does when the system runs out of memory.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        worker = make() if tasks else None
        for task in tasks:
            assert worker is not None
            yield task, worker.do(task)
        return
    context = multiprocessing.get_context(
        "spawn"
    )  # forking a process that has threads may deadlock
    ours, theirs = context.Pipe()  # closed on one side, it ends the other
    with ProcessPoolExecutor(workers, context, _start, (make, theirs)) as pool:
        waiting: dict[Future[int], Task] = {}
        queue = iter(tasks)
        try:
            while True:
                for task in islice(queue, workers * _AHEAD - len(waiting)):
                    waiting[_submit(pool, task)] = task
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BaseException as error:
            ours.close()  # workers stop where they are: files appear whole or not at all
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise BadDataError(
                    "a worker process died, perhaps for lack of memory; finished work is kept:"
                    " run the same command again, with fewer --workers"
                ) from error
            raise


def _submit(pool: ProcessPoolExecutor, task: Task) -> Future[int]:
    """Submits a task; the processes this starts leave Ctrl-C to this one, which stops them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_work, task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: Worker | AlpError | None = None


def _start(make: MakeWorker, parent: Connection) -> None:
    """Loads the models once for each process; what is wrong is kept for the first task to raise."""
    global _worker  # noqa: PLW0603  the one way to hand a pool's tasks something costly to load
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    try:
        _worker = make()
    except AlpError as error:
        _worker = error


def _follow(parent: Connection) -> None:
    """Ends this process when its parent gives up or is gone, killed or not."""
    parent.poll(None)
    os._exit(1)


def _work(task: Task) -> int:
    assert _worker is not None
    if isinstance(_worker, AlpError):
        raise _worker
    return _worker.do(task)
