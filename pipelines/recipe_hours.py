"""How long the recipes take: `python -m pipelines.recipe_hours --reference 0.261`.

Nobody can time eight GPUs on two cores, but ratios of steps carry over better than seconds do. So

    hours of a recipe = steps x reference x (r1 + r2) / 2 / 3600

where `reference` is the seconds of a step of detectron2's Mask R-CNN R-50-FPN on the machine in question
(detectron2's model zoo: 0.261 on 8 V100, 16 images a step), and r1, r2 are what a step of the recipe's model costs
against it: r1 on a batch with masks, r2 on one without, by turns. Both are measured here, as
`pipelines.bench_steps` measures: CPU time of one thread, both sides by turns on the same images. What this leaves
out: a GPU and a CPU do not weigh convolutions and RoIAlign alike, and bf16, which our configs use, is faster
than the float32 of the reference. Take the hours as an order of size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def measure(config: StepConfig) -> dict[str, float]:
    """Seconds of a step over those of detectron2's Mask R-CNN, by the names of `MODELS`."""
    with tempfile.TemporaryDirectory() as place:
        images, annotations = simulated_images(Path(place) / "world")
        batches = read_batches(images, annotations, Path(place) / "cache", config)
        ratios = {}
        for name, (kind, head) in MODELS.items():
            found = compare(_maker(kind, head), lambda: stock_model("maskrcnn_ov"), batches, config)
            sys.stderr.write(f"{name}: {found}\n")
            ratios[name] = round(found["ratio"], 3)
    return ratios


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


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.recipe_hours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--reference", type=float, default=REFERENCE, help=f"seconds (default {REFERENCE})"
    )
    parser.add_argument("--rounds", type=int, default=4, help="timings of each side (default 4)")
    parser.add_argument("--json", type=Path, help="file to write ratios and hours to")
    args = parser.parse_args(arguments)
    try:
        if args.reference <= 0 or args.rounds < 1:
            raise UsageError("--reference must be over 0 and --rounds at least 1")
        ratios = measure(StepConfig(rounds=args.rounds))
        recipes = {
            path.stem: round(hours(path, ratios, args.reference), 1)
            for path in sorted(CONFIGS.glob("*_r50_*.py"))
        }
        if args.json:
            record = {"reference_seconds": args.reference, "ratios": ratios, "hours": recipes}
            write_json(args.json, record)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for name, value in (ratios | recipes).items():
        sys.stdout.write(f"{name:40} {value:8.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
