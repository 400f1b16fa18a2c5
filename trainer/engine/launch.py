"""Starting processes: detectron2's launcher, or torchrun where that has already started them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

import torch
import torch.distributed as dist
from detectron2.engine import launch as detectron2_launch
from detectron2.utils import comm

from alp_builder.errors import UsageError


def check_gpus(processes: int, device: str) -> None:
    """Refuse more processes than this machine has GPUs.

    Args:
        processes: Of this machine.
        device: `train.device`; on `cpu` any number of processes is fine.

    Raises:
        UsageError: If there are fewer GPUs; one process without a GPU uses the CPU.
    """
    seen = torch.cuda.device_count()
    if device != "cpu" and processes > max(seen, 1):
        raise UsageError(
            f"--num-gpus {processes}: torch sees {seen or 'no'} GPU{'' if seen == 1 else 's'} on this "
            f"machine; use --num-gpus {max(seen, 1)}, or train.device=cpu for processes on the CPU"
        )


def launch(function: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> None:
    """Run a function in every process of a run.

    Args:
        function: Called with the arguments, the process group being ready.
        args: With `num_gpus`, `num_machines`, `machine_rank` and `dist_url`; torchrun's environment
            wins over them.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _join_torchrun()
        try:
            function(args)
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
        return
    detectron2_launch(
        function,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        args=(args,),
    )


def _join_torchrun() -> None:
    if int(os.environ["WORLD_SIZE"]) == 1:
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    comm.create_local_process_group(int(os.environ["LOCAL_WORLD_SIZE"]))
