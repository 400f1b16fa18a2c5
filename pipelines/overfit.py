"""Can a model learn a few images by heart? The first thing to ask of a training that disappoints.

The tiny models are trained on the masks of the first few images of a COCO file, without
augmentation, and evaluated on those same images as they go: mask AP50 should come close to 1. What
stays below is not a matter of data: the model cannot express it, or the recipe does not reach it.

All images are padded to one square, in training and in evaluation: the tiny models' GroupNorm counts the
padding, so an image learned beside larger ones is another image to them when it comes alone.

    python -m pipelines.overfit --annotations FILE --images DIR --out docs/overfit [KIND ...]

OUT.json gets the curve of each model (step, AP50 of boxes and masks, mean loss since the last point),
OUT.png the picture.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.utils.events import EventStorage
from torch import nn

from alp_builder.errors import AlpError, UsageError
from trainer.data.augment import AugmentConfig
from trainer.data.cocofile import read_coco
from trainer.data.items import MaskMapper
from trainer.data.masks import MaskDataset
from trainer.engine.build import build_embedder, build_model
from trainer.engine.config import construct, load_config
from trainer.engine.inference import coco_results, detect
from trainer.engine.loop import Loop, LoopConfig
from trainer.engine.optimizer import build_optimizer
from trainer.evaluation.evaluator import evaluate
from trainer.evaluation.predictions import write_json
from trainer.evaluation.splits import split_of_all

CONFIGS = Path(__file__).parents[1] / "trainer" / "configs"

KINDS = {"fcosmo": "FCOS-MO", "maskrcnn_ov": "Mask R-CNN*"}
"""Configs and names of the models."""

MASK_BRANCH = {"fcosmo": "model.mask_branch", "maskrcnn_ov": "model.roi_heads.mask_branch"}


STRIDE = 32
"""Of the coarsest level: sides of what the backbone sees are multiples of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverfitConfig:
    """What is learned by heart, and for how long.

    Attributes:
        images: The first images of the file.
        short_side: Their shorter side in pixels.
        batch: Images of a step.
        steps: Optimiser steps.
        points: Evaluations, evenly spread; the last one is after the last step.
        max_masks: Masks of an image in a step; the tiny configs' few would show a crowded image in
            parts.
    """

    images: int = 8
    short_side: int = 320
    batch: int = 4
    steps: int = 500
    points: int = 10
    max_masks: int = 32


def overfit(
    kind: str,
    annotations: Path,
    images: Path,
    folder: Path,
    config: OverfitConfig,
    changes: Sequence[str] = (),
) -> dict[str, Any]:
    """Learn a few images by heart.

    Args:
        kind: One of `KINDS`.
        annotations: COCO-format file.
        images: Folder of its images.
        folder: Working folder, for caches and checkpoints.
        config: How.
        changes: Of the model's config, such as `optimizer.lr=0.001`.

    Returns:
        `curve`, a list of `{"step", "masks", "boxes", "loss", "loss_..."}` (AP50 between 0 and 1,
        means of the losses since the last point); `per_class`, AP50 of masks and boxes at the end;
        `seconds`, of training alone.

    Raises:
        UsageError: If the kind is unknown.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind}: expected one of {', '.join(KINDS)}")
    names = [category.name for category in read_coco(annotations).categories]
    records = MaskDataset(annotations, images, names, cache=folder / "cache")
    augment = AugmentConfig(
        short_sides=(config.short_side,), max_long_side=2 * config.short_side, flip=0.0
    )
    mapper = MaskMapper(augment, image_format="RGB")
    items = [mapper(records[i], np.random.default_rng(i)) for i in range(config.images)]
    side = max(max(item["image"].shape[1:]) for item in items)
    own = [
        f"{MASK_BRANCH[kind]}.max_masks_per_image={config.max_masks}",
        f"train.reference_batch={config.batch}",  # the config's own rate, whatever the batch
        f"+model.backbone.square_pad={-(-side // STRIDE) * STRIDE}",
        "train.device=cpu",
    ]
    cfg = load_config(CONFIGS / f"{kind}_tiny_world.py", [*own, *changes])
    cfg.text.cache_dir = str(folder / "text")
    embedder = build_embedder(cfg)
    model = build_model(cfg, embedder, records.classes)
    loop = Loop(
        model,
        build_optimizer(cfg, model, config.batch),
        construct(cfg.schedule),
        LoopConfig(max_steps=config.steps, clip_norm=cfg.train.loop.clip_norm),
        folder,
    )
    truth = _truth(annotations, {item["image_id"] for item in items}, folder)
    result: dict[str, Any] = {"curve": [], "seconds": 0.0}
    every = max(1, config.steps // config.points)
    batches, losses = _batches(items, config.batch), []
    for step in range(config.steps):
        start = time.perf_counter()
        with EventStorage(step):  # detectron2's models write into it
            losses.append(loop.step(step, next(batches))[0])
        result["seconds"] += time.perf_counter() - start
        if (step + 1) % every == 0 or step + 1 == config.steps:
            found = _metrics(model, items, truth)
            point = {name: metrics["AP50"]["all"] for name, metrics in found.items()}
            point |= {n: statistics.fmean(one[n] for one in losses) for n in losses[0]}
            result["curve"].append({"step": step + 1, **point})
            result["per_class"] = _per_class(found)
            losses = []
            _say(f"{KINDS[kind]}, step {step + 1}: {_line(point)}")
    return result


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Shuffled passes over the images; the rest of a pass that fills no batch is left out."""
    order = np.random.default_rng(0)
    while True:
        shuffled = order.permutation(len(items))
        for first in range(0, len(items) - size + 1, size):
            yield [items[i] for i in shuffled[first : first + size]]


def _truth(annotations: Path, shown: set[int], folder: Path) -> Path:
    record = json.loads(annotations.read_text(encoding="utf-8"))
    record["images"] = [i for i in record["images"] if i["id"] in shown]
    record["annotations"] = [a for a in record["annotations"] if a["image_id"] in shown]
    write_json(folder / "truth.json", record)
    return folder / "truth.json"


def _metrics(model: nn.Module, items: list[Any], truth: Path) -> dict[str, Any]:
    """Metrics of masks and boxes on the images themselves."""
    categories = read_coco(truth).categories
    model.eval()
    model.set_vocabulary([category.name for category in categories])  # type: ignore[operator]
    results = []
    for item in items:
        (found,) = detect(model, [item], torch.float32)
        results += coco_results(item["image_id"], found, [category.id for category in categories])
    model.train()
    split = split_of_all([category.name for category in categories])
    return {
        "masks": evaluate(truth, results, split),
        "boxes": evaluate(truth, results, split, iou_type="bbox"),
    }


def _per_class(found: dict[str, Any]) -> dict[str, Any]:
    """AP50 of the classes that have instances, of masks and boxes, with their number."""
    rows = {kind: metrics["per_class"] for kind, metrics in found.items()}
    return {
        name: {"instances": row["instances"], **{kind: rows[kind][name]["AP50"] for kind in rows}}
        for name, row in rows["masks"].items()
        if row["instances"]
    }


def _line(point: dict[str, float]) -> str:
    losses = ", ".join(f"{name} {value:.3f}" for name, value in point.items() if "loss" in name)
    return f"AP50 of masks {point['masks']:.3f}, of boxes {point['boxes']:.3f}; {losses}"


def draw(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Picture of the curves: AP50 above, loss below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    score, loss = figure.subplots(2, 1, sharex=True)
    for number, (kind, result) in enumerate(results.items()):
        colour, steps = f"C{number}", [point["step"] for point in result["curve"]]
        masks, boxes = ([p[name] for p in result["curve"]] for name in ("masks", "boxes"))
        score.plot(steps, masks, color=colour, label=f"{KINDS[kind]}, masks")
        score.plot(steps, boxes, color=colour, linestyle=":", label=f"{KINDS[kind]}, boxes")
        loss.plot(steps, [p["loss"] for p in result["curve"]], color=colour, label=KINDS[kind])
    score.axhline(0.9, color="0.7", linewidth=0.8)
    score.set(ylabel="AP50 on the images learned", ylim=(0, 1.02))
    loss.set(ylabel="training loss", xlabel="step", yscale="log")
    for axes in (score, loss):
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
    figure.savefig(path, dpi=110)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of the module's text; the exit code."""
    parser = argparse.ArgumentParser(description="learn a few images by heart")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO-format file")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--out", type=Path, required=True, help="OUT.json and OUT.png are written")
    parser.add_argument("--steps", type=int, default=OverfitConfig().steps)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of the config")
    given = parser.parse_args(arguments)
    config = OverfitConfig(steps=given.steps)
    results = {}
    try:
        for kind in given.kinds or KINDS:
            with tempfile.TemporaryDirectory() as place:
                results[kind] = overfit(
                    kind, given.annotations, given.images, Path(place), config, given.set
                )
            classes = sorted(results[kind]["per_class"].items(), key=lambda item: item[1]["masks"])
            worst = [f"{name} {row['masks']:.2f}" for name, row in classes[:5]]
            _say(f"{results[kind]['seconds']:.0f} s of training; weakest: {', '.join(worst)}")
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(given.out.with_suffix(".json"), results)
    draw(results, given.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
