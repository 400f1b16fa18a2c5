"""The backbone every row of a seed starts from: it has learned to name things of base classes.

The paper's models start from a backbone that ImageNet taught; a world of simulated things needs another
one, and a miniature cannot afford to learn shapes from the few thousand things a detector's steps show
it. So backbone and feature pyramid learn to name **base things of the train split** first, by turns

* **crops**: a thing with its surroundings, jittered, at 48 px -> mean of `res5` -> linear -> softmax;
* **cells**: a whole image -> every level of the pyramid -> linear, shared -> softmax, at those cells whose
  centre lies on a base thing. Other cells teach nothing, so novel things are not taught as background.

Neither knows of boxes, proposals or points, and no novel thing and no image of another split is named. All rows
of a seed start from the same file, so the rows differ in what they say they differ in. It holds
`backbone.*`, what `train.init_weights` takes. The trainer's loop trains it, so a stopped run goes on from
its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.data.items import read_image
from trainer.data.loaders import build_train_loader
from trainer.data.masks import MaskDataset
from trainer.engine.build import pick_device
from trainer.engine.checkpoint import latest_checkpoint, load_checkpoint
from trainer.engine.config import construct
from trainer.engine.loop import Batch, Loop, LoopConfig

CROP = 48
"""Side of a crop in pixels."""

CROPS = 48
"""Crops of a step."""

CONTEXT = (0.9, 1.6)
"""Sides of a crop relative to the thing's longer side, drawn at random."""

SHIFT = 0.15
"""Greatest shift of a crop's centre relative to the thing's longer side."""

UNNAMED = -100
"""Label of cells that teach nothing."""


class Namer(nn.Module):
    """A backbone with linear classifiers of crops and of cells.

    Args:
        backbone: Feature pyramid with `bottom_up`.
        classes: Number of classes.
        pixel_mean: By channel.
        pixel_std: By channel.
    """

    def __init__(
        self, backbone: nn.Module, classes: int, pixel_mean: list[float], pixel_std: list[float]
    ) -> None:
        super().__init__()
        pyramid: Any = backbone
        self.backbone = backbone
        shapes = pyramid.output_shape()
        self.strides = {name: int(shape.stride) for name, shape in shapes.items()}
        channels = next(iter(shapes.values())).channels
        self.bottom_up = pyramid.bottom_up
        self.of_cells = nn.Conv2d(channels, classes, 1)
        self.of_crops = nn.Linear(pyramid.bottom_up.output_shape()["res5"].channels, classes)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(pixel_mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(pixel_std).view(1, 3, 1, 1))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of a batch of crops (one item), or of images (items of `MaskMapper`)."""
        if "crops" in batch[0]:
            features = self.bottom_up(self._normalised(batch[0]["crops"]))["res5"]
            logits = self.of_crops(features.mean(dim=(2, 3)))
            labels = batch[0]["labels"].to(logits.device)
            return {"loss_crops": F.cross_entropy(logits.float(), labels)}
        pyramid = self.backbone(self._normalised(torch.stack([item["image"] for item in batch])))
        labels = torch.stack([label_map(item["instances"]) for item in batch]).to(self.mean.device)
        losses = []
        for name, stride in self.strides.items():
            at_cells = labels[:, stride // 2 :: stride, stride // 2 :: stride]
            logits = self.of_cells(pyramid[name]).float()
            loss = F.cross_entropy(logits, at_cells, ignore_index=UNNAMED, reduction="sum")
            losses.append(loss / (at_cells != UNNAMED).sum().clamp(min=1))
        return {"loss_cells": torch.stack(losses).mean()}

    def _normalised(self, pixels: Tensor) -> Tensor:
        return (pixels.to(self.mean.device).float() - self.mean) / self.std


def label_map(instances: Any) -> Tensor:
    """Class of the thing each pixel shows, `(H, W)` int64, `UNNAMED` where there is none.

    Args:
        instances: With `gt_masks`, `BitMasks`, and `gt_classes`.
    """
    labels = torch.full(instances.image_size, UNNAMED, dtype=torch.long)
    for mask, label in zip(instances.gt_masks.tensor, instances.gt_classes, strict=True):
        labels[mask] = label
    return labels


class CropBatches:
    """Batches of crops; a batch is a function of (seed, step).

    Args:
        records: Images with the instances of base classes.
        batch_size: Crops of a batch.
        seed: Of order and jitter.
    """

    def __init__(self, records: MaskDataset, batch_size: int, seed: int) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.images: list[NDArray[np.uint8]] = []
        self.things: list[tuple[int, NDArray[np.float64], int]] = []
        for record in (records[i] for i in range(len(records))):
            self.images.append(read_image(record.file_name, "RGB"))
            for box, label in zip(record.boxes, record.labels.tolist(), strict=True):
                self.things.append((len(self.images) - 1, box, label))

    def batch(self, step: int) -> Batch:
        """The batch of a step, as one item."""
        rng = np.random.default_rng([self.seed, 2, step])
        crops, labels = [], []
        for index in rng.integers(len(self.things), size=self.batch_size).tolist():
            image, box, label = self.things[index]
            crops.append(_crop(self.images[image], box, rng))
            labels.append(label)
        tensor = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())
        return [{"source": "crops", "crops": tensor, "labels": torch.tensor(labels)}]


def batches(cfg: Any, records: MaskDataset, start: int) -> Iterator[Batch]:
    """Crops in even steps, images in odd ones, from a step on."""
    seed = cfg.train.seed
    crops = CropBatches(records, CROPS, seed)
    loader = build_train_loader(
        masks=construct(cfg.data.train.masks, records=records),
        seed=seed,
        start_step=start // 2,
        num_workers=cfg.data.train.num_workers,
    )
    images = iter(loader)
    step = start
    while True:
        yield crops.batch(step) if step % 2 == 0 else next(images)[2]
        step += 1


def pretrain(cfg: Any, out: Path, folder: Path, steps: int) -> None:
    """Pretrain the backbone of a row's config; `out` appears when it is done.

    Args:
        cfg: Config of any row: backbone, optimiser, schedule, masks of base classes, seed.
        out: The file, safetensors.
        folder: Where checkpoints and metrics go.
        steps: Optimiser steps, half of them of crops.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records: MaskDataset = construct(cfg.data.train.masks.records)
    torch.manual_seed(cfg.train.seed)
    model = Namer(
        construct(cfg.model.backbone),
        len(records.classes),
        list(cfg.model.pixel_mean),
        list(cfg.model.pixel_std),
    ).to(pick_device(cfg.train.device))
    optimizer = construct(cfg.optimizer, params=model.parameters())
    config = LoopConfig(
        max_steps=steps,
        seed=cfg.train.seed,
        clip_norm=5.0,
        checkpoint_every=100,
        keep_checkpoints=1,
    )
    loop = Loop(model, optimizer, construct(cfg.schedule), config, folder)
    last = latest_checkpoint(folder)
    start = loop.load_state_dict(load_checkpoint(last)) if last else 0
    loop.train(batches(cfg, records, start), start)
    weights = {
        f"backbone.{name}": value.cpu().contiguous()
        for name, value in model.backbone.state_dict().items()
    }
    temporary = out.with_name(f".{out.name}.tmp")
    save_file(weights, temporary)
    temporary.replace(out)


def _crop(
    image: NDArray[np.uint8], box: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A square round a thing at a random scale, place and side; `(CROP, CROP, 3)`."""
    side = float(max(box[2] - box[0], box[3] - box[1]))
    half = side * rng.uniform(*CONTEXT) / 2
    centre = (box[:2] + box[2:]) / 2 + rng.uniform(-SHIFT, SHIFT, size=2) * side
    zoom = CROP / (2 * half)
    flip = -1 if rng.random() < 0.5 else 1
    # x' = zoom flip (x - cx) + CROP / 2, y' = zoom (y - cy) + CROP / 2
    matrix = np.array(
        [
            [zoom * flip, 0, CROP / 2 - zoom * flip * centre[0]],
            [0, zoom, CROP / 2 - zoom * centre[1]],
        ]
    )
    moved = cv2.warpAffine(
        image, matrix, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, np.uint8)
