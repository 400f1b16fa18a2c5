"""A training that is killed again and again: `python -m tests.trainer.engine.killed RUN KILLS STEPS ARGUMENT...`.

Each turn is a process of its own (forked, so that torch is imported once) that runs `trainer.train` and dies
of SIGKILL at a random step and place: `step` (the weights moved, nothing is written yet), `saving` (half of
the next checkpoint is on disk, under its temporary name) or `saved` (that checkpoint is published, the
older ones are not yet deleted). The last turn runs to the end. A line is printed for each kill.
"""

from __future__ import annotations

import io
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trainer import train
from trainer.engine import loop
from trainer.engine.checkpoint import latest_checkpoint

AHEAD = 4  # most steps that a turn takes before it is killed


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after_step(last: int) -> None:
    own = loop.Loop.step

    def step(self: loop.Loop, number: int, batch: loop.Batch) -> tuple[dict[str, float], float]:
        out = own(self, number, batch)
        if number >= last:
            _die()
        return out

    loop.Loop.step = step  # type: ignore[method-assign]


def _while_saving(last: int) -> None:
    own = torch.save

    def save(state: dict[str, Any], file: Any) -> None:
        if state["step"] <= last:
            return own(state, file)
        whole = io.BytesIO()
        own(state, whole)
        file.write(whole.getvalue()[: whole.tell() // 2])
        file.flush()
        return _die()

    torch.save = save  # type: ignore[assignment]


def _once_saved(last: int) -> None:
    own = loop.save_checkpoint

    def save(path: Any, state: dict[str, Any]) -> None:
        own(path, state)
        if state["step"] > last:
            _die()

    loop.save_checkpoint = save


PLACES: dict[str, Callable[[int], None]] = {
    "step": _after_step,
    "saving": _while_saving,
    "saved": _once_saved,
}


def turn(arguments: list[str], prepare: Callable[[], None]) -> int:
    """Train in a process of its own; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        prepare()
        os._exit(train.main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(run: Path, kills: int, steps: int, arguments: list[str]) -> int:
    """Kill a run `kills` times, then let it end."""
    dice = random.Random(7)
    for kill in range(kills):
        last = latest_checkpoint(run)
        start = 0 if last is None else int(last.stem.removeprefix("step_"))
        # Few enough steps ahead that all kills find a run to kill.
        step = start + min(dice.randrange(AHEAD), (steps - 1 - start) // (kills - kill))
        place = dice.choice(sorted(PLACES))
        code = turn(arguments, lambda p=place, s=step: PLACES[p](s))  # type: ignore[misc]
        if code != -signal.SIGKILL:
            return 1
        print(f"killed {place} {step}", flush=True)  # noqa: T201 - what the test counts
    return turn(arguments, lambda: None)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
