"""What happens to a narrative after it is safe: it waits in line, is aligned, and the narratives' file follows.

All of it goes on beside the server, in a worker process; what a stop or a kill interrupts is found waiting at
the next start. A narrative that kills the worker twice, or takes absurdly long, is set aside with that reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path

from alp_builder.errors import AlpError
from alp_builder.record import work
from alp_builder.record.config import RecordConfig
from alp_builder.record.layout import Outcome
from alp_builder.record.pool import Worker, WorkerDied
from alp_builder.record.store import Ids, Store

_STARTING = 60.0  # seconds a worker may take to load its models
_PUBLISHING = 3600.0  # seconds until writing the narratives' file is given up
_TRIES = 2
_STEP_BACK = 10


class Jobs:
    """The line of narratives that wait for their word times.

    Args:
        store: The narratives.
        dataset_id: Of all of them.
        config: Limits.
        only_accepted: Publish only what the reviewer has accepted.
    """

    def __init__(
        self, store: Store, dataset_id: str, config: RecordConfig, only_accepted: bool = False
    ) -> None:
        self.store = store
        self.config = config
        self.missing = work.missing_extra()
        self._dataset_id = dataset_id
        self._only_accepted = only_accepted
        self._queue: asyncio.Queue[Ids] = asyncio.Queue()
        self._tries: Counter[Ids] = Counter()
        self._changed = asyncio.Event()
        # Somebody waits for the length of a recording; nobody does for what comes after.
        self._worker, self._prober, self._drafter = Worker(_STEP_BACK), Worker(), Worker(_STEP_BACK)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins with whatever waits."""
        waiting = [ids for ids, state in list(self.store.states.items()) if state == "waiting"]
        for ids in sorted(waiting, key=lambda ids: self.store.entries[ids].sequence):
            self._queue.put_nowait(ids)
        self._changed.set()
        self._tasks = [asyncio.create_task(self._publish_on())]
        if self.missing is None:
            self._tasks.append(asyncio.create_task(self._align_on()))

    async def stop(self) -> None:
        """Ends at once; what is not finished waits for the next start."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for worker in (self._worker, self._prober, self._drafter):
            worker.close()

    def add(self, ids: Ids) -> None:
        """Puts a narrative at the end of the line."""
        self._queue.put_nowait(ids)
        self.changed()

    def changed(self) -> None:
        """Says that the narratives' file is out of date."""
        self._changed.set()

    async def idle(self) -> None:
        """Waits until nothing is left to align."""
        if self.missing is None:
            await self._queue.join()

    async def length(self, path: Path) -> float | None:
        """Length of a recording in seconds, or `None` where it cannot be read or PyAV is missing."""
        if self.missing is not None:
            return None
        try:
            return await self._prober.run(_STARTING, work.length, str(path))
        except WorkerDied:
            return None

    async def draft(self, path: Path, seconds: float) -> str:
        """A rough transcript of a recording.

        Raises:
            WorkerDied: If it took too long.
        """
        limit = _STARTING + self.config.align_seconds * seconds
        return await self._drafter.run(limit, work.draft, str(path), self.config.max_seconds)

    async def warm_up(self) -> None:
        """Starts the process that measures recordings, so that the first annotator need not wait for it."""
        await self.length(Path())

    async def _align_on(self) -> None:
        while True:
            ids = await self._queue.get()
            try:
                if ids in self.store.entries:
                    await self._align(ids)
            except OSError:  # a full disk: it waits until the next start
                self.store.states[ids] = "waiting"
            finally:
                self._queue.task_done()

    async def _align(self, ids: Ids) -> None:
        narrative = await asyncio.to_thread(self.store.narrative, ids)
        limit = _STARTING + self.config.align_seconds * narrative.seconds
        arguments = (narrative, str(self.store.out), self._dataset_id, self.config.max_seconds + 60)
        try:
            outcome = await self._worker.run(limit, work.align, *arguments)
        except WorkerDied as error:
            self._tries[ids] += 1
            if self._tries[ids] < _TRIES:
                self._queue.put_nowait(ids)
                return
            outcome = Outcome(state="flagged", reason="worker_died", detail=f"aligning it: {error}")
        except AlpError as error:
            outcome = Outcome(state="flagged", reason="not_aligned", detail=str(error))
        except Exception as error:  # noqa: BLE001  a narrative never stops the line
            detail = f"{type(error).__name__}: {error}"[:300]
            outcome = Outcome(state="flagged", reason="failed", detail=detail)
        await asyncio.to_thread(self.store.set_outcome, ids, outcome)
        self.changed()

    async def _publish_on(self) -> None:
        """Writes the narratives' file after changes, seldom enough to leave time for other work."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(self.config.publish_seconds)
            self._changed.clear()
            began = time.monotonic()
            arguments = (str(self.store.out), self._dataset_id, self._only_accepted)
            # What fails here (a full disk, a worker that died) is done again after the next change.
            with contextlib.suppress(WorkerDied, OSError, AlpError):
                await self._worker.run(_PUBLISHING, work.write_narratives, *arguments)
            took = time.monotonic() - began
            await asyncio.sleep(took * (1 / self.config.publish_share - 1))
