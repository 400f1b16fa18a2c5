"""`trainer.train` in which one process fails: `FAIL=RANK:STEP:HOW python -m tests.trainer.engine.failing ...`.

`HOW` is `data` (a broken shard), `defect` (a mistake of ours) or `kill` (SIGKILL); it happens after that step
moved the weights, and only once where torchrun starts the processes again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from detectron2.utils import comm

from alp_builder.errors import BadDataError
from trainer import train
from trainer.engine.launch import is_restart
from trainer.engine.loop import Batch, Loop

RUN = train.run


def work(args: argparse.Namespace) -> None:
    """What every process of the run does."""
    rank, last, how = os.environ["FAIL"].split(":")
    own = Loop.step

    def step(self: Loop, number: int, batch: Batch) -> tuple[dict[str, float], float]:
        out = own(self, number, batch)
        if number == int(last) and comm.get_rank() == int(rank) and not is_restart():
            fail(how)
        return out

    Loop.step = step  # type: ignore[method-assign]
    RUN(args)


def fail(how: str) -> None:
    """End this process, one way or another."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise BadDataError("part-00003: broken shard") if how == "data" else AssertionError("a defect")


if __name__ == "__main__":
    train.run = work
    sys.exit(train.main())
