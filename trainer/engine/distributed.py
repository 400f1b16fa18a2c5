"""What the models need to know of other processes, no more; all of it is a no-op with one process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
import torch.distributed as dist
from detectron2.utils import comm
from torch import Tensor

T = TypeVar("T")


def global_sum(value: Tensor) -> Tensor:
    """Sum of a tensor over processes; the tensor itself with one process."""
    if comm.get_world_size() == 1:
        return value
    value = value.clone()
    dist.all_reduce(value)
    return value


def anywhere(here: bool, device: torch.device) -> bool:
    """Whether something is so on any process; the answer is the same on all of them."""
    if comm.get_world_size() == 1:
        return here
    return bool(global_sum(torch.tensor(float(here), device=device)) > 0)


def global_share(count: int, device: torch.device) -> float | Tensor:
    """Factor that turns a local mean over `count` items into this process's part of a global mean.

    Gradients are averaged over W processes, so a local mean must be weighted by `W * count / total` to
    give the mean over the items of all processes.
    """
    world = comm.get_world_size()
    if world == 1:
        return 1.0
    total = global_sum(torch.tensor(float(count), device=device))
    share: Tensor = world * count / total.clamp(min=1.0)
    return share


def take_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors by process 0's, in place."""
    if comm.get_world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def gather_in_order(items: list[T]) -> list[T]:
    """The processes' lists joined in order of rank, on every process."""
    if comm.get_world_size() == 1:
        return items
    gathered: list[list[T] | None] = [None] * comm.get_world_size()
    dist.all_gather_object(gathered, items)
    return [item for part in gathered if part is not None for item in part]


def process_count() -> int:
    """Number of processes of the run."""
    count: int = comm.get_world_size()
    return count
