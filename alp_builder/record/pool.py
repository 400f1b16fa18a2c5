"""A worker process that may die or hang without harm: it is replaced, and whoever waited is told."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from alp_builder.record.work import start_worker

Result = TypeVar("Result")


class WorkerDied(Exception):  # noqa: N818  it says what happened
    """The worker process died of a task, or was stopped because the task took too long."""


class Worker:
    """One process that carries out tasks one after the other, started when first needed.

    Args:
        niceness: By how much it steps back behind the server.
    """

    def __init__(self, niceness: int = 0) -> None:
        self._niceness = niceness
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, seconds: float, task: Callable[..., Result], *arguments: Any) -> Result:
        """Carries a task out in the worker.

        Args:
            seconds: Longest time it may take, waiting for earlier tasks included.
            task: A function of a module.
            *arguments: What it is given.

        Raises:
            WorkerDied: If the process died, or the time was over.
        """
        if self._pool is None:
            # Spawned, not forked: the server's threads and sockets are none of the worker's business.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                1, mp_context=context, initializer=start_worker, initargs=(self._niceness,)
            )
        pool, loop = self._pool, asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(pool, task, *arguments)
            return await asyncio.wait_for(future, seconds)
        except BrokenProcessPool as error:
            self._drop(pool)
            raise WorkerDied("the worker process died") from error
        except TimeoutError as error:
            self._drop(pool)
            raise WorkerDied(f"it took over {seconds:.0f} s") from error

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
        # Its processes are private to the executor; without them a hung one would stay for ever.
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._pool is not None:
            self._drop(self._pool)
