"""Seconds of a training step of our models and of detectron2's own, by turns in one process.

Both sides see the same batches and have the same backbone (ResNet-50-FPN), optimiser, and number of
classes, and a step is all of it: forward, backward and SGD. Compared are

* `fcos`: FCOS-MO without its mask head, 80 columns, and detectron2's FCOS;
* `maskrcnn`: Mask R-CNN* with the plain convolutions that Mask R-CNN has for a mask head, and
  detectron2's Mask R-CNN;
* `maskrcnn_hourglass`: the same with the hourglass of the full-scale config: what the method costs.

Rounds go by turns, ours and theirs in alternating order, and the ratio is the median of the rounds'
ratios: two steps of one round meet the same machine, whatever else it is doing. On a CPU steps run in one
thread and its CPU time counts, which other programs of the machine hardly touch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import LazyCall
from detectron2.model_zoo import get_config
from detectron2.utils.events import EventStorage
from torch import nn

from trainer.data.augment import AugmentConfig
from trainer.data.cocofile import read_coco
from trainer.data.items import MaskMapper
from trainer.data.masks import MaskDataset
from trainer.engine.build import build_embedder, build_model
from trainer.engine.config import construct, load_config
from trainer.evaluation.splits import class_facts
from trainer.modeling.hourglass import FCNMaskHead

CONFIGS = Path(__file__).parents[1] / "trainer" / "configs"

Batch = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepConfig:
    """How steps are timed.

    Attributes:
        device: `cpu` or `cuda`.
        short_side: Shorter side of the images in pixels.
        batch: Images of a step.
        batches: Different batches, taken by turns.
        rounds: How often each side is timed, the warm-up left out.
        steps: Steps of a round.
    """

    device: str = "cpu"
    short_side: int = 256
    batch: int = 2
    batches: int = 2
    rounds: int = 6
    steps: int = 1

    @classmethod
    def on_gpu(cls) -> StepConfig:
        """800 px and 16 images, as trainings have it."""
        return cls(device="cuda", short_side=800, batch=16, batches=3, rounds=8, steps=3)

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 on a GPU, as trainings have it; float32 on a CPU."""
        if self.device == "cpu":
            return nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)


class Stepper:
    """A model and what a step of it needs.

    Args:
        model: Gives a dict of losses for a batch.
        config: Where and how.
    """

    def __init__(self, model: nn.Module, config: StepConfig) -> None:
        self.model, self.config = model.to(config.device).train(), config
        trained = [p for p in model.parameters() if p.requires_grad]
        # So low a rate that random weights stay as they are: what is timed must not diverge.
        self.optimizer = torch.optim.SGD(trained, lr=1e-6, momentum=0.9)

    def step(self, batch: Batch) -> None:
        """Forward, backward, update."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.config.autocast():
            losses = self.model(batch)
        torch.autograd.backward(torch.stack([loss.float() for loss in losses.values()]).sum())
        self.optimizer.step()

    def seconds(self, batches: Iterator[Batch], steps: int) -> float:
        """Seconds of a step, a mean over some."""
        start = self._now()
        for _ in range(steps):
            self.step(next(batches))
        return (self._now() - start) / steps

    def _now(self) -> float:
        if self.config.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def read_batches(images: Path, annotations: Path, cache: Path, config: StepConfig) -> list[Batch]:
    """Batches of the first images, with masks as bitmaps, which both sides take.

    Args:
        images: Folder of images.
        annotations: COCO-format file.
        cache: Folder for the arrays.
        config: Size and number.
    """
    names = [category.name for category in read_coco(annotations).categories]
    records = MaskDataset(annotations, images, names, cache=cache)
    side = config.short_side
    augment = AugmentConfig(short_sides=(side,), max_long_side=side * 5 // 3, flip=0.0)
    mapper = MaskMapper(augment, image_format="RGB", bitmaps=True)
    items = [
        mapper(records[i % len(records)], np.random.default_rng(i))
        for i in range(config.batch * config.batches)
    ]
    return [items[i :: config.batches] for i in range(config.batches)]


def our_model(kind: str, mask_head: str | None, names: list[str] | None = None) -> nn.Module:
    """A full-scale model.

    Args:
        kind: `fcosmo` or `maskrcnn_ov`.
        mask_head: `hourglass` (as configured), `plain`, or None for a detector of boxes.
        names: Its columns; default COCO's 80 names.
    """
    cfg = load_config(CONFIGS / f"{kind}_r50_coco_openimages.py", ["text.cache_dir=null"])
    owner = cfg.model if kind == "fcosmo" else cfg.model.roi_heads
    if mask_head is None:
        owner.mask_branch = None
    elif mask_head == "plain":
        owner.mask_branch.head = LazyCall(FCNMaskHead)(in_channels=256)
    return build_model(cfg, build_embedder(cfg), names or list(class_facts().coco), device="cpu")


def stock_model(kind: str) -> nn.Module:
    """detectron2's own FCOS or Mask R-CNN, with the backbone of our full-scale config.

    Args:
        kind: `fcosmo` or `maskrcnn_ov`, whose counterpart is wanted.
    """
    file = {"fcosmo": "fcos", "maskrcnn_ov": "mask_rcnn_fpn"}[kind]
    ours = load_config(CONFIGS / f"{kind}_r50_coco_openimages.py").model
    stock = get_config(f"common/models/{file}.py").model
    stock.backbone = ours.backbone
    stock.pixel_mean, stock.pixel_std = ours.pixel_mean, ours.pixel_std
    model: nn.Module = construct(stock)
    return model


def compare(
    ours: Callable[[], nn.Module],
    stock: Callable[[], nn.Module],
    batches: list[Batch],
    config: StepConfig,
) -> dict[str, float]:
    """Seconds of a step of both, by turns.

    Args:
        ours: Makes our model.
        stock: Makes the reference.
        batches: What both train on.
        config: How.

    Returns:
        Medians `ours` and `detectron2` in seconds, and the median `ratio` of a round.
    """
    torch.manual_seed(0)
    sides = {"ours": Stepper(ours(), config), "detectron2": Stepper(stock(), config)}
    found: dict[str, list[float]] = {name: [] for name in sides}
    with EventStorage():
        for stepper in sides.values():
            stepper.seconds(cycle(batches), len(batches))  # every shape has been met
        for number in range(config.rounds):
            order = list(sides) if number % 2 == 0 else list(sides)[::-1]
            for name in order:
                stream = cycle(batches[number % len(batches) :] + batches[: number % len(batches)])
                found[name].append(sides[name].seconds(stream, config.steps))
    result = {name: statistics.median(times) for name, times in found.items()}
    pairs = zip(found["ours"], found["detectron2"], strict=True)
    return result | {"ratio": statistics.median(ours / theirs for ours, theirs in pairs)}


def bench_steps(
    images: Path, annotations: Path, cache: Path, config: StepConfig
) -> dict[str, dict[str, float]]:
    """`compare` for all pairs of the module's text, by name."""
    batches = read_batches(images, annotations, cache, config)
    pairs: dict[str, tuple[str, str | None]] = {
        "fcos": ("fcosmo", None),
        "maskrcnn": ("maskrcnn_ov", "plain"),
        "maskrcnn_hourglass": ("maskrcnn_ov", "hourglass"),
    }
    with _one_thread(config):
        return {
            name: compare(
                lambda kind=kind, head=head: our_model(kind, head),  # type: ignore[misc]
                lambda kind=kind: stock_model(kind),  # type: ignore[misc]
                batches,
                config,
            )
            for name, (kind, head) in pairs.items()
        }


def bench_classes(
    images: Path, annotations: Path, cache: Path, config: StepConfig, counts: Sequence[int]
) -> dict[str, float]:
    """How many times as long a step of FCOS-MO without masks takes with so many classes as with the first number.

    Args:
        images: Folder of images.
        annotations: COCO-format file.
        cache: Folder for the arrays.
        config: How steps are timed.
        counts: Numbers of classes, no smaller than the classes of the annotations.
    """
    batches = read_batches(images, annotations, cache, config)
    few = [f"thing {number}" for number in range(counts[0])]
    found = {str(counts[0]): 1.0}
    with _one_thread(config):
        for count in counts[1:]:
            many = [f"thing {number}" for number in range(count)]
            seconds = compare(
                lambda many=many: our_model("fcosmo", None, many),  # type: ignore[misc]
                lambda: our_model("fcosmo", None, few),
                batches,
                config,
            )
            found[str(count)] = seconds["ratio"]
    return found


@contextmanager
def _one_thread(config: StepConfig) -> Iterator[None]:
    """One thread of torch while the block runs on a CPU."""
    threads = torch.get_num_threads()
    if config.device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def bench_full(
    images: Path, annotations: Path, cache: Path, config: StepConfig
) -> dict[str, float]:
    """Training speed and memory of the whole FCOS-MO R-50 HG-52 on a GPU, mask batches.

    Returns:
        `images_per_second`, and `memory_gb`, the peak of what torch allocated.
    """
    batches = read_batches(images, annotations, cache, config)
    stepper = Stepper(our_model("fcosmo", "hourglass"), config)
    torch.cuda.reset_peak_memory_stats()
    with EventStorage():
        stepper.seconds(cycle(batches), len(batches))
        times = [stepper.seconds(cycle(batches), config.steps) for _ in range(config.rounds)]
    return {
        "images_per_second": config.batch / statistics.median(times),
        "memory_gb": torch.cuda.max_memory_allocated() / 1e9,
    }
