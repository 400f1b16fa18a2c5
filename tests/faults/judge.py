"""The judge of fuzzed calls: a result or one clear line, within seconds and a bound of memory; all else fails.

Seconds are those of the processor, so that a busy machine does not condemn anybody; what waits for ever is told by
the clock.
Memory is the peak of the resident set, which Linux lets a process set back (`/proc/self/clear_refs`); where it
cannot be set back it is not judged. A case that fails is kept in a file, to become a fixture.
"""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from alp_builder.errors import AlpError

MAX_SECONDS = 10.0
"""Longest a call on one mutated input may take, in seconds of the processor."""

MAX_WAIT = 90.0
"""Longest it may take by the clock, in seconds."""

MAX_MEGABYTES = 400
"""Most memory a call may take beyond what the process held before."""

_MEMORY_EVERY = 20


class HangError(Exception):
    """A call took longer than it may."""


class Judge:
    """Counts what became of calls; see the module.

    Args:
        what: What is mutated, for the report.
        keep: Folder in which a failing case is kept.
    """

    def __init__(self, what: str, keep: Path) -> None:
        self.what, self.keep = what, keep
        self.counts: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.slowest = 0.0
        self._floor = _settle()

    def __call__(self, call: Callable[[], Any], data: bytes, name: str) -> Any:
        """Makes the call; returns its result, or the error it ended with.

        Args:
            call: What reads the mutated input.
            data: The input, to be kept if the call fails.
            name: What it is called then.
        """
        began = time.process_time()
        try:
            with _alarm(MAX_WAIT):
                result = call()
            self.counts["read"] += 1
        except AlpError as error:
            result = error
            self.counts["refused"] += 1
            self.messages[type(error).__name__] += 1
            text = str(error)
            if "\n" in text or not text.strip() or len(text) > 4000:
                self.fail(data, name, f"the error is not one clear line: {text!r}")
        except Exception:  # noqa: BLE001 - that it may be anything is the point
            self.fail(data, name, traceback.format_exc())
        took = time.process_time() - began
        self.slowest = max(self.slowest, took)
        if took > MAX_SECONDS:
            self.fail(data, name, f"took {took:.1f} s")
        if sum(self.counts.values()) % _MEMORY_EVERY == 0:
            self._weigh(data, name)
        return result

    def report(self) -> str:
        """One line of counts."""
        total = sum(self.counts.values())
        told = ", ".join(f"{number:,} {what}" for what, number in sorted(self.counts.items()))
        return f"mutated {self.what}: {total:,} tried, {told}; slowest {self.slowest:.2f} s"

    def _weigh(self, data: bytes, name: str) -> None:
        peak = _peak()
        if peak is None or self._floor is None:
            return
        if peak - self._floor > MAX_MEGABYTES:
            self.fail(
                data,
                name,
                f"one of the last {_MEMORY_EVERY} calls took {peak - self._floor:.0f} MB",
            )
        self._floor = _settle()

    def fail(self, data: bytes, name: str, why: str) -> None:
        """Keeps a case and fails the test."""
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / name
        path.write_bytes(data)
        raise AssertionError(f"mutated {self.what}, kept as {path}:\n{why}")


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raises `HangError` in the block when time is up; native code is interrupted when it returns."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise HangError(f"still at work after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _settle() -> float | None:
    """Sets the peak back to what is held now; returns that, in megabytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _peak()


def _peak() -> float | None:
    """Peak of the resident set in megabytes, `None` where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM")), None)
