"""Starting the processes of a run, wherever they come from.

The processes know each other by torch's environment variables: RANK, WORLD_SIZE, LOCAL_RANK,
LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT. torchrun sets them, `trainer.launch_slurm` does, and where
nobody did, `--num-gpus N` starts N processes on this machine and sets them here.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import torch
import torch.distributed as dist
from detectron2.utils import comm
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)

from alp_builder.errors import UsageError
from trainer.engine.ending import report_failure, share_end
from trainer.engine.stopping import SIGNALS

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""By which the processes of a run know each other."""

PATIENCE = 30.0
"""Seconds for which a process waits for the first one of its machine to say what is wrong."""

TIMEOUT = timedelta(hours=2)
"""For how long processes wait for each other: the first one scores an evaluation while the others wait."""

Work = Callable[[argparse.Namespace], None]


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


def is_restart() -> bool:
    """Whether torchrun started this process again, after one of the run had failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def is_requeued() -> bool:
    """Whether SLURM started the job of this process again, after it was preempted or its node had failed."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0


def leave_to_first() -> None:
    """Let the first process of this machine tell of a mistake in the command, which all of them found.

    A launcher ends all of its processes with the first that fails: the others wait, or it might say nothing.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        time.sleep(PATIENCE)


def launch(work: Work, args: argparse.Namespace, device: str) -> int:
    """Run a function in every process of a run.

    Args:
        work: Called with the arguments, the process group being ready.
        args: With `num_gpus`, `num_machines`, `machine_rank` and `dist_url`; the environment of
            torchrun or `trainer.launch_slurm` wins over them.
        device: `train.device`.

    Returns:
        The exit code of this process; failures have been reported.

    Raises:
        UsageError: If the arguments do not say how to meet the other machines.
    """
    if all(name in os.environ for name in VARIABLES):
        return _run(work, args, device)
    if args.num_gpus * args.num_machines == 1:
        return _run_alone(work, args)
    host, port = _address(args.dist_url, args.num_machines)
    context = start_processes(  # type: ignore[no-untyped-call]
        _child, (work, args, device, host, port), args.num_gpus, join=False, start_method="spawn"
    )
    with _Forwarding(context):
        try:
            while not context.join():
                pass
        except ProcessExitedException as error:
            return _exit_code(error)
        except ProcessRaisedException as error:
            print(error, file=sys.stderr)  # noqa: T201 - a defect of ours, with its traceback
            return 1
    return 0


def _run_alone(work: Work, args: argparse.Namespace) -> int:
    try:
        work(args)
    except Exception as error:  # noqa: BLE001 - reported, with its traceback if it is a defect
        return report_failure(error)
    return 0


def _run(work: Work, args: argparse.Namespace, device: str, *, watched: bool = False) -> int:
    """Run a function in one process of several, once it has met the others."""
    if int(os.environ["WORLD_SIZE"]) == 1:
        return _run_alone(work, args)
    try:
        _meet(device)
        work(args)
        dist.destroy_process_group()
    except Exception as error:  # noqa: BLE001 - reported, with its traceback if it is a defect
        return report_failure(error, watched=watched)
    return 0


def _meet(device: str) -> None:
    """Make the process group of the run.

    Raises:
        UsageError: If the other processes cannot be met.
    """
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        store, rank, world = next(rendezvous("env://"))
        store = _own_part(store)
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=world,
            timeout=TIMEOUT,
        )
    except dist.DistError as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = str(error).strip().splitlines()[0][:200]
        raise UsageError(
            f"cannot meet the other processes at {where} ({reason}); start the command on every "
            "machine, with the same address, and a port that is free and open between them"
        ) from error
    share_end(store)
    comm.create_local_process_group(int(os.environ["LOCAL_WORLD_SIZE"]))


def _own_part(store: Store) -> Store:
    """The part of torchrun's store that is this attempt's.

    On one machine torchrun keeps its store when it starts the processes again, and a process that reads before the
    others write would find the addresses of those that are gone. Several machines count restarts apart, and meet
    in a new store each time.
    """
    if not is_restart() or os.environ.get("GROUP_WORLD_SIZE") != "1":
        return store
    return PrefixStore(f"attempt_{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)


def _child(
    local_rank: int, work: Work, args: argparse.Namespace, device: str, host: str, port: int
) -> None:
    """One process of this machine, of those that `launch` starts."""
    rank = args.machine_rank * args.num_gpus + local_rank
    values = (rank, args.num_gpus * args.num_machines, local_rank, args.num_gpus, host, port)
    os.environ.update(dict(zip(VARIABLES, map(str, values), strict=True)))
    sys.exit(_run(work, args, device, watched=True))


def _address(url: str, machines: int) -> tuple[str, int]:
    """Host and port at which the processes meet; a free one of this machine for `auto`."""
    if url == "auto" and machines == 1:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return "127.0.0.1", int(probe.getsockname()[1])
    parts = urlsplit(url)
    if parts.scheme != "tcp" or not parts.hostname or not parts.port:
        raise UsageError(
            f"--dist-url {url}: expected tcp://HOST:PORT of the first machine, the same on all of them"
        )
    return parts.hostname, parts.port


def _exit_code(error: ProcessExitedException) -> int:
    """Exit code of a run whose child ended with an error, which tells why unless it was killed."""
    if error.signal_name is None:
        return int(error.exit_code)
    print(  # noqa: T201 - the command's own message
        f"error: process {error.error_index} on this machine was killed by {error.signal_name} (out of "
        "memory?); --resume goes on from the last checkpoint",
        file=sys.stderr,
    )
    return 1


class _Forwarding:
    """Signals that ask for a stop go on to the children, inside a `with` block.

    SIGINT does not: the terminal sends it to all of them.
    """

    def __init__(self, context: ProcessContext) -> None:
        self._context = context
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._forward)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _forward(self, number: int, _: object) -> None:
        for process in self._context.processes:
            if number != signal.SIGINT and process.is_alive():
                os.kill(process.pid, number)
