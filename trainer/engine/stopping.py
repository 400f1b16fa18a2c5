"""Stopping when asked: a checkpoint at the end of the step, then what the signal would have done.

A cluster that takes a node back, a time limit that draws near, a user at the keyboard: all of them send
a signal first. While the loop runs, a first SIGTERM, SIGINT, SIGUSR1 or SIGUSR2 only asks. At the end of
each step the processes agree whether any of them was asked; if so, all of them are at the same step, the
state is saved, and the handler that was there before the loop takes over:

* none (Python's own): `Stopped` ends the run with exit code 75, and `--resume` goes on from there;
* one that ends the process, as submitit's for SIGUSR2, which has the job queued again first;
* one that returns, as submitit's for SIGTERM: training goes on, and loses little if it is killed then.

A second signal of the same kind, three seconds later or more, acts at once; sooner it is the same request, which
a launcher passed on to processes that had it already. At once acts also any signal in `at_once`, for work that
a checkpoint already precedes, such as an evaluation.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

import torch
from detectron2.utils import comm

from alp_builder.errors import AlpError
from trainer.engine.distributed import global_sum
from trainer.engine.ending import announce_end, let_others_look

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that ask a run to stop."""

REPEAT_SECONDS = 3.0
"""From when on a second signal is a second request."""

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong, try again."""


class Stopped(AlpError):  # noqa: N818 - the user asked for it
    """The run was asked to stop, and its state is saved."""

    exit_code = EXIT_CODE


class StopSignals:
    """The signal handlers of a training loop, in place inside a `with` block.

    Signals that the process ignores stay ignored, and a loop outside of the main thread gets none.
    """

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._asked = 0
        self._since = 0.0
        self._at_once = False

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def asked_anywhere(self, device: torch.device) -> bool:
        """Whether any process was asked; the answer is the same on all of them.

        Args:
            device: Where the processes exchange tensors.
        """
        if comm.get_world_size() == 1:
            return self._asked > 0
        votes = torch.zeros(len(SIGNALS), device=device)
        if self._asked:
            votes[SIGNALS.index(signal.Signals(self._asked))] = 1
        counts = global_sum(votes).tolist()
        if any(counts) and not self._asked:  # acts on another's signal
            self._asked = SIGNALS[counts.index(max(counts))]
        return self._asked > 0

    def hand_over(self) -> None:
        """Let the handler take over that was there before; the state is saved.

        Raises:
            Stopped: If there was none.
        """
        number, self._asked = self._asked, 0
        if number:
            self._act(number, None)
        # Where it ended the main process only, the others learn of it here, not in the next step.
        comm.synchronize()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside the block there is nothing to save: signals act when they come."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self._asked == number and time.monotonic() - self._since >= REPEAT_SECONDS
        if self._at_once or again:
            self._act(number, frame)
        elif self._asked != number:
            self._asked, self._since = number, time.monotonic()

    def _act(self, number: int, frame: FrameType | None) -> None:
        previous: Callable[[int, FrameType | None], Any] | Any = self._previous.get(number)
        if not callable(previous) or previous is signal.default_int_handler:
            raise Stopped(
                f"stopped by {signal.Signals(number).name}; the same command with --resume goes on "
                "from the last checkpoint"
            )
        try:
            previous(number, frame)
        except BaseException:
            announce_end()
            let_others_look()
            raise
