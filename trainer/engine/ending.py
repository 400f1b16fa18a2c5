"""Ending together: whichever process fails first says why, in one line, and the others leave in silence.

When a process ends, the next collective of the others fails with a message about a socket, which says
nothing of the cause. So the first one to fail counts itself in the store by which the processes met,
before it goes. Whoever loses a connection looks there first. Only where nobody did, because a process was
killed or a machine is gone, does the loss itself become the message.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from typing import Protocol

import torch.distributed as dist
from detectron2.utils import comm

from alp_builder.errors import AlpError

_ENDED = "trainer/ended"
_LINGER = 2.0  # seconds for which the store's host stays, so that the others can look
_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo")


class Store(Protocol):
    """What is used of torch's key-value store."""

    def add(self, key: str, amount: int) -> int:
        """Add to a counter; returns its new value."""
        ...

    def check(self, keys: list[str]) -> bool:
        """Whether all keys exist."""
        ...


_store: Store | None = None


def share_end(store: Store | None) -> None:
    """Tell this process by which store the run's processes met; None for a process alone."""
    global _store  # noqa: PLW0603 - like torch's own default group
    _store = store


def announce_end() -> bool:
    """Count this process among those that end; True for the first one, which is to say why."""
    if _store is None:
        return True
    try:
        return int(_store.add(_ENDED, 1)) == 1
    except RuntimeError:  # the store went with its host
        return True


def report_failure(error: Exception, *, watched: bool = False) -> int:
    """Say why this process ends, unless another one already did.

    Args:
        error: What ended it. An `AlpError` is told in one line, a defect with its traceback.
        watched: Whether the process that started this one tells of children that were killed.

    Returns:
        The exit code.
    """
    lost = _store is not None and _is_lost_connection(error)
    if lost and (watched or _somebody_ended()):
        return 1
    if announce_end():
        if isinstance(error, AlpError):
            _say(str(error), error.exit_code)
        elif lost:
            reason = str(error).strip().splitlines()[0][:200]
            _say(
                "lost the connection to another process, which was killed (out of memory?) or whose "
                f"machine is gone ({reason}); --resume goes on from the last checkpoint",
                1,
            )
        else:
            traceback.print_exception(error)
    let_others_look()
    return error.exit_code if isinstance(error, AlpError) else 1


def _say(message: str, code: int) -> None:
    """One line on standard error, below the progress bar of process 0 if this is another."""
    rank, world = comm.get_rank(), comm.get_world_size()
    where = f"process {rank} of {world} ({socket.gethostname()}): " if world > 1 else ""
    kind = "error: " if code in (1, 2) else ""
    line = f"{kind}{where}{message}"
    print(f"\n{line}" if rank else line, file=sys.stderr, flush=True)  # noqa: T201 - the command's own


def _is_lost_connection(error: Exception) -> bool:
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _LOST)


def _somebody_ended() -> bool:
    if _store is None:
        return False
    try:
        return bool(_store.check([_ENDED]))
    except RuntimeError:
        return False


def let_others_look() -> None:
    """Close the connections, so that the others notice, and keep the store for as long as that takes."""
    hosts = comm.get_rank() == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    if _store is None or not hosts or not dist.is_initialized() or dist.get_backend() != "gloo":
        return
    dist.destroy_process_group()
    time.sleep(_LINGER)
