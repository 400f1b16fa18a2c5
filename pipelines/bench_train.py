"""Benchmarks of training, each a ratio to a named reference in the same run.

    python -m pipelines.bench_train [--images DIR --annotations FILE] [--device cuda] --json out.json

| figure | what over what |
| --- | --- |
| `fcos_step_vs_detectron2` | seconds of a step: FCOS-MO without mask head over detectron2's FCOS |
| `maskrcnn_step_vs_detectron2` | the same of Mask R-CNN* and Mask R-CNN, both with plain mask heads |
| `maskrcnn_hourglass_step_vs_detectron2` | the same, Mask R-CNN* with its hourglass |
| `step_by_classes` | FCOS-MO without mask head with 320 and 1,280 classes over the same with 80 |
| `loader_vs_detectron2` | images/s of our loader over detectron2's |
| `alp_rss_mb` | MB a process pays for opening 1 and 10 million ALPs, besides the mapped files |
| `eval_vs_pycocotools` | seconds of pycocotools over ours |

The steps are better when lower; `pipelines.bench_steps` says how steps are timed, and
`pipelines.bench_loader` the rest. With `--device cuda` steps are timed at 800 px with 16 images, and speed
and memory of the full FCOS-MO are added; without a GPU a line says that this was skipped. Without
images of your own, scenes of the simulated world are drawn. `--quick` takes fewer rounds and smaller sizes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from alp_builder.errors import AlpError, UsageError
from pipelines.bench_loader import (
    bench_evaluation,
    bench_loaders,
    bench_memory,
    shown,
    simulated_images,
)
from pipelines.bench_steps import StepConfig, bench_classes, bench_full, bench_steps
from trainer.evaluation.predictions import write_json

CLASSES = (80, 320, 1280)
"""Numbers of classes that steps are timed with: COCO's, about Open Images', about LVIS'."""


def step_figures(
    images: Path, annotations: Path, cache: Path, device: str, *, quick: bool = False
) -> tuple[dict[str, Any], dict[str, float]]:
    """Ratios of the steps by the names of the module's text, and figures of a GPU where there is one.

    Args:
        images: Folder of images.
        annotations: COCO-format file.
        cache: Folder for the arrays.
        device: `cpu`, or `cuda`, which falls back to the CPU.
        quick: Whether fewer rounds do.
    """
    on_gpu = device == "cuda" and torch.cuda.is_available()
    config = StepConfig.on_gpu() if on_gpu else StepConfig()
    if quick:
        config = replace(config, rounds=2)
    where = torch.cuda.get_device_name() if on_gpu else "the CPU, one thread"
    _say(f"steps on {where}: {config.batch} images of {config.short_side} px")
    ratios: dict[str, Any] = {}
    for name, seconds in bench_steps(images, annotations, cache, config).items():
        _say(f"seconds of a step, {name}: {shown(seconds)}")
        ratios[f"{name}_step_vs_detectron2"] = seconds["ratio"]
    counts = CLASSES[:: len(CLASSES) - 1] if quick else CLASSES
    ratios["step_by_classes"] = bench_classes(images, annotations, cache, config, counts)
    _say(f"step by number of classes: {shown(ratios['step_by_classes'])}")
    if not on_gpu:
        _say("skipped: full FCOS-MO R-50 HG-52 at 800 px, batch 16: torch sees no GPU")
        return ratios, {}
    full = bench_full(images, annotations, cache, config)
    _say(f"full FCOS-MO R-50 HG-52: {shown(full)}")
    return ratios, full


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of the module's text; the exit code."""
    parser = argparse.ArgumentParser(description="benchmarks of training")
    parser.add_argument("--images", type=Path, help="folder of images")
    parser.add_argument("--annotations", type=Path, help="COCO-format file of them")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of the steps")
    parser.add_argument("--alps", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and images")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    given = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    try:
        if (given.images is None) != (given.annotations is None):
            raise UsageError("--images and --annotations belong together: give both, or neither")
        with tempfile.TemporaryDirectory() as place:
            if given.images is None:
                _say("no --images and --annotations: scenes of the simulated world")
                scenes = {"scenes": 24} if given.quick else {}
                given.images, given.annotations = simulated_images(Path(place) / "world", **scenes)
            cache = Path(place) / "cache"
            ratios, full = step_figures(
                given.images, given.annotations, cache, given.device, quick=given.quick
            )
            few = {"steps": 4, "rounds": 2} if given.quick else {}
            speed = bench_loaders(given.images, given.annotations, **few)
        _say(f"images/s of the loader: {shown(speed)}")
        memory = bench_memory(given.alps)
        for alps, found in memory.items():
            _say(f"{alps:,} ALPs: {shown(found)}")
        scoring = bench_evaluation(**({"images": 150} if given.quick else {}))
        _say(f"seconds of evaluation: {shown(scoring)}")
        figures |= ratios
        figures["loader_vs_detectron2"] = speed["ratio"]
        figures["alp_rss_mb"] = {str(n): found["anonymous_mb"] for n, found in memory.items()}
        figures["eval_vs_pycocotools"] = scoring["ratio"]
        if full:
            figures["gpu"] = full
        if given.json:
            write_json(given.json, figures)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
