"""Stopping at an infinite or undefined loss or gradient, with what is needed to find the cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from detectron2.utils import comm
from torch import nn

from alp_builder.errors import AlpError
from trainer.engine.checkpoint import State, save_checkpoint
from trainer.engine.distributed import gather_in_order

SHOWN = 4


class NonFiniteError(AlpError):
    """A loss or a gradient became infinite or undefined."""

    exit_code = 1


def report_nonfinite(
    what: str,
    step: int,
    batch: list[dict[str, Any]],
    model: nn.Module,
    folder: Path,
    state: Callable[[], State],
) -> NoReturn:
    """Save the state, find the images to blame, write them down, and stop.

    With one process every image of the batch is tried alone; those whose own loss is not finite are
    named. With several, or where none fails alone, all images of the step are.

    Args:
        what: `loss` or `gradient`.
        step: The step.
        batch: This process's images.
        model: The bare model.
        folder: Where `nonfinite_step_*.pt` and `.json` go.
        state: Gives the state to save.

    Raises:
        NonFiniteError: Always.
    """
    name = f"nonfinite_step_{step:07d}"
    if comm.is_main_process():
        save_checkpoint(folder / f"{name}.pt", state())
    blamed = _failing_alone(model, batch) if comm.get_world_size() == 1 else []
    images = gather_in_order([_describe(item) for item in (blamed or batch)])
    if comm.is_main_process():
        record = {"what": what, "step": step, "failed_alone": bool(blamed), "images": images}
        (folder / f"{name}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    comm.synchronize()
    listed = ", ".join(str(image["file_name"]) for image in images[:SHOWN])
    more = f" and {len(images) - SHOWN} more" if len(images) > SHOWN else ""
    raise NonFiniteError(
        f"step {step}: the {what} is infinite or undefined with {listed}{more}; expected finite "
        f"numbers. State and images: {folder / name}.pt and .json. Look at these images and boxes, or "
        "lower optimizer.lr, or set train.loop.clip_norm=1"
    )


@torch.no_grad()
def _failing_alone(model: nn.Module, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    failing = []
    for item in batch:
        try:
            losses = model([item])
            sound = all(bool(torch.isfinite(value).all()) for value in losses.values())
        except FloatingPointError:  # how detectron2's proposals say it
            sound = False
        if not sound:
            failing.append(item)
    return failing


def _describe(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "file_name": item.get("file_name", "?"),
        "image_id": item.get("image_id"),
        "source": item.get("source"),
        "instances": len(item["instances"]) if "instances" in item else None,
    }
