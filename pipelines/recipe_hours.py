"""How long the recipes take: `python -m pipelines.recipe_hours --reference 0.261`.

Nobody can time eight GPUs on two cores, but ratios of steps carry over better than seconds do. So

    hours of a recipe = steps x reference x (r1 + r2) / 2 / 3600

where `reference` is the seconds of a step of detectron2's Mask R-CNN R-50-FPN on the machine in question
(detectron2's model zoo: 0.261 on 8 V100, 16 images a step), and r1, r2 are what a step of the recipe's model costs
against it: r1 on a batch with masks, r2 on one without, by turns. Both are measured here, as
`pipelines.bench_steps` measures: CPU time of one thread, both sides by turns on the same images. What this leaves
out: a GPU and a CPU do not weigh convolutions and RoIAlign alike; the second stage of Mask R-CNN costs the same
at any size, so at the 256 px that a CPU can afford it weighs more than at 800 (`--short-side 800` takes the
time); and bf16, which our configs use, is faster than the float32 of the reference. Take the hours as an order of
size. With `--device cuda` all is timed at 800 px on the GPU at hand, the reference too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alp_builder.errors import AlpError, UsageError
from pipelines.bench_loader import simulated_images
from pipelines.bench_steps import (
    CONFIGS,
    StepConfig,
    compare,
    our_model,
    read_batches,
    stock_model,
)
from trainer.engine.config import load_config
from trainer.evaluation.predictions import write_json

REFERENCE = 0.261
"""Seconds of a step of detectron2's Mask R-CNN R-50-FPN on 8 V100, from its model zoo."""

MODELS: dict[str, tuple[str, str | None]] = {
    "fcosmo, masks": ("fcosmo", "hourglass"),
    "fcosmo, no masks": ("fcosmo", None),
    "maskrcnn, masks": ("maskrcnn_ov", "hourglass"),
    "maskrcnn, no masks": ("maskrcnn_ov", None),
}
"""What is timed: a model of the recipes on a batch with masks, and on one without."""


def measure(config: StepConfig) -> tuple[dict[str, float], float]:
    """Steps against those of detectron2's Mask R-CNN.

    Args:
        config: Where, and how often.

    Returns:
        Ratios by the names of `MODELS`, and the reference's median seconds.
    """
    with tempfile.TemporaryDirectory() as place:
        images, annotations = simulated_images(Path(place) / "world")
        batches = read_batches(images, annotations, Path(place) / "cache", config)
        ratios, reference = {}, []
        for name, (kind, head) in MODELS.items():
            found = compare(_maker(kind, head), lambda: stock_model("maskrcnn_ov"), batches, config)
            sys.stderr.write(f"{name}: {found}\n")
            ratios[name] = round(found["ratio"], 3)
            reference.append(found["detectron2"])
    return ratios, statistics.median(reference)


def _maker(kind: str, head: str | None) -> Callable[[], nn.Module]:
    return lambda: our_model(kind, head)


def hours(recipe: Path, ratios: dict[str, float], reference: float) -> float:
    """Hours of a recipe.

    Args:
        recipe: Its config.
        ratios: As `measure` gives them.
        reference: Seconds of a step of detectron2's Mask R-CNN.
    """
    cfg: Any = load_config(recipe)
    model = "fcosmo" if recipe.stem.startswith("fcosmo") else "maskrcnn"
    with_masks = ratios[f"{model}, masks"]
    other = with_masks if cfg.data.train.alps is None else ratios[f"{model}, no masks"]
    return float(cfg.train.loop.max_steps * reference * (with_masks + other) / 2 / 3600)


def _step_config(args: argparse.Namespace) -> StepConfig:
    """How to time, or a mistake told."""
    if (args.reference is not None and args.reference <= 0) or args.rounds < 1:
        raise UsageError("--reference must be over 0 and --rounds at least 1")
    if not 64 <= args.short_side <= 1600:
        raise UsageError(f"--short-side must be 64 to 1600, got {args.short_side}")
    if args.device == "cpu":
        return StepConfig(short_side=args.short_side, rounds=args.rounds)
    if not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU; leave it out")
    return replace(StepConfig.on_gpu(), rounds=args.rounds)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.recipe_hours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--reference",
        type=float,
        help=f"seconds of detectron2's step (default {REFERENCE}; with --device cuda: measured)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the steps")
    parser.add_argument(
        "--short-side", type=int, default=256, help="pixels, on a CPU (default 256)"
    )
    parser.add_argument("--rounds", type=int, default=4, help="timings of each side (default 4)")
    parser.add_argument("--json", type=Path, help="file to write ratios and hours to")
    args = parser.parse_args(arguments)
    try:
        config = _step_config(args)
        ratios, measured = measure(config)
        reference = args.reference or (measured if args.device == "cuda" else REFERENCE)
        recipes = {
            path.stem: round(hours(path, ratios, reference), 1)
            for path in sorted(CONFIGS.glob("*_r50_*.py"))
        }
        if args.json:
            record = {"reference_seconds": reference, "ratios": ratios, "hours": recipes}
            write_json(args.json, record)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for name, value in (ratios | recipes).items():
        sys.stdout.write(f"{name:40} {value:8.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
