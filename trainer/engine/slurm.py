"""A training as a job that submitit submits, interrupts, queues again.

SLURM starts one process a GPU; submitit's environment says which it is, in terms that torch knows. When the
time is nearly up, or the job gives way to another, SLURM sends SIGUSR2: the loop saves its state
(`trainer.engine.stopping`), then submitit's handler calls `checkpoint`, has the same job queued again, and
ends it. The next time it goes on from the last checkpoint, because it always runs with `--resume`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class TrainJob:
    """What every process of the job runs.

    Attributes:
        arguments: Of `trainer.train`, `--resume` left out.
    """

    arguments: tuple[str, ...]

    def __call__(self) -> None:
        """Train or go on training; ends the process with the exit code of `trainer.train` if it is not 0."""
        from submitit.helpers import TorchDistributedEnvironment

        from trainer.train import main

        # Every process sees all GPUs of its machine, and takes that of its local rank.
        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        code = main([*self.arguments, "--resume"])
        if code:
            sys.exit(code)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit is to queue again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
