"""What the processes of a run must have in common, compared before the first step.

A step takes the same source on every process, and each its part of one batch, because both are functions
of (seed, step) and of the data. With other data on one machine (a copy that is not whole, shards built
anew) the parts would silently be of different batches; with another learning rate the optimisers would
part. So each process states what it was given, and a difference is told in one line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alp_builder.errors import UsageError
from trainer.data.loaders import TrainSteps
from trainer.engine.config import plain
from trainer.engine.distributed import gather_in_order

Facts = Mapping[str, str | int]

DECIDING = ("model", "optimizer", "schedule", "train.loop", "train.seed", "train.reference_batch")
"""Parts of a config that must be equal; paths and numbers of workers may differ between machines."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a function, where a node calls one


def check_agreement(facts: Facts) -> None:
    """Refuse to train where the processes were not given the same.

    Args:
        facts: What this process was given, by name; the same names on all of them.

    Raises:
        UsageError: If two processes differ; on all of them.
    """
    everyone = gather_in_order([dict(facts)])
    for name, first in everyone[0].items():
        for rank, other in enumerate(everyone):
            if other[name] != first:
                raise UsageError(
                    f"{name}: {first} in process 0, {other[name]} in process {rank}; give all machines "
                    "the same command, config and data"
                )


def facts_of_config(cfg: Any) -> Facts:
    """What must be equal in the configs of all processes, as hashes by part."""
    parts: dict[str, str | int] = {}
    for key in DECIDING:
        node = cfg
        for name in key.split("."):
            node = node[name]
        text = _ADDRESS.sub("", repr(plain(node)))
        parts[key] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return parts


def facts_of_steps(steps: TrainSteps, start: int) -> Facts:
    """What decides the source and the images of every step from `start` on."""
    turns = steps.alternation
    facts: dict[str, str | int] = {
        "first step": start,
        "alternation": f"{turns.masks}:{turns.alps}, {turns.accumulation} at a time",
    }
    for name, source in steps.sources.items():
        order = steps.orders[name]
        facts[f"{name} images"] = len(source.records)
        facts[f"{name} batch"] = source.batch_size
        facts[f"{name} data"] = getattr(source.records, "content_hash", lambda: "")()
        facts[f"{name} shapes"] = (
            "" if order.portrait is None else hashlib.sha256(order.portrait.tobytes()).hexdigest()
        )
    return facts


def agreed_checkpoint(found: Path | None) -> Path | None:
    """The checkpoint that process 0 found, which all of them are to read.

    Args:
        found: What this process found.

    Raises:
        UsageError: If this process cannot see it.
    """
    chosen = gather_in_order([str(found) if found else ""])[0]
    if not chosen:
        return None
    if not Path(chosen).is_file():
        raise UsageError(
            f"{chosen}: process 0 goes on from this checkpoint, which is not on this machine; "
            "train.output_dir must be a folder that all machines share"
        )
    return Path(chosen)
