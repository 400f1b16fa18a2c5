"""The backbone every row of a seed starts from: a classifier of crops of base classes.

The paper's models start from a backbone that ImageNet taught; a world of simulated things needs another
one, and a miniature cannot afford to learn shapes from the few hundred things a detector's steps show
it. So the backbone alone learns to name **crops of base classes of the train split**, which is several
times cheaper than detection. No novel thing and no image of another split is among the crops, and all
rows of a seed get the same file, so the rows differ in what they say they differ in.

    crop (48 px, a thing with its surroundings, jittered) -> backbone -> mean of res5 -> linear -> softmax

The file holds `backbone.bottom_up.*`, what `train.init_weights` takes. It is trained by the trainer's
loop, so a stopped run goes on from its last checkpoint.
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
from trainer.data.masks import MaskDataset
from trainer.engine.build import pick_device
from trainer.engine.checkpoint import latest_checkpoint, load_checkpoint
from trainer.engine.config import construct
from trainer.engine.loop import Batch, Loop, LoopConfig
from trainer.engine.weights import BOTTOM_UP

CROP = 48
"""Side of a crop in pixels."""

CONTEXT = (0.9, 1.6)
"""Sides of a crop relative to the thing's longer side, drawn at random."""

SHIFT = 0.15
"""Greatest shift of a crop's centre relative to the thing's longer side."""


class CropClassifier(nn.Module):
    """A backbone with a linear classifier of its coarsest features.

    Args:
        bottom_up: Backbone whose forward gives `res5` of shape `(B, C, h, w)` among others.
        channels: Channels of `res5`.
        classes: Number of classes.
        pixel_mean: By channel.
        pixel_std: By channel.
    """

    def __init__(
        self,
        bottom_up: nn.Module,
        channels: int,
        classes: int,
        pixel_mean: list[float],
        pixel_std: list[float],
    ) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.linear = nn.Linear(channels, classes)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(pixel_mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(pixel_std).view(1, 3, 1, 1))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of one batch, given as one item with `crops` `(B, 3, S, S)` and `labels`."""
        crops = batch[0]["crops"].to(self.mean.device).float()
        labels = batch[0]["labels"].to(self.mean.device)
        features = self.bottom_up((crops - self.mean) / self.std)["res5"].mean(dim=(2, 3))
        logits = self.linear(features)
        return {"loss_cls": F.cross_entropy(logits.float(), labels)}


class CropBatches:
    """Endless batches of crops; batch `t` is a function of (seed, t).

    Args:
        records: Images with the instances of base classes.
        batch_size: Crops of a batch.
        seed: Of order and jitter.
        start: First step.
    """

    def __init__(self, records: MaskDataset, batch_size: int, seed: int, start: int) -> None:
        self.batch_size, self.seed, self.start = batch_size, seed, start
        self.images: list[NDArray[np.uint8]] = []
        self.things: list[tuple[int, NDArray[np.float64], int]] = []
        for record in (records[i] for i in range(len(records))):
            self.images.append(read_image(record.file_name, "RGB"))
            for box, label in zip(record.boxes, record.labels.tolist(), strict=True):
                self.things.append((len(self.images) - 1, box, label))

    def __iter__(self) -> Iterator[Batch]:
        step = self.start
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> Batch:
        """The batch of a step, as one item."""
        rng = np.random.default_rng([self.seed, 2, step])
        crops, labels = [], []
        for index in rng.integers(len(self.things), size=self.batch_size).tolist():
            image, box, label = self.things[index]
            crops.append(_crop(self.images[image], box, rng))
            labels.append(label)
        tensor = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())
        return [{"source": "mask", "crops": tensor, "labels": torch.tensor(labels)}]


def pretrain(cfg: Any, out: Path, folder: Path, steps: int, batch_size: int = 48) -> None:
    """Pretrain the backbone of a row's config; `out` appears when it is done.

    Args:
        cfg: Config of any row: backbone, optimiser, schedule, masks of base classes, seed.
        out: The file, safetensors.
        folder: Where checkpoints and metrics go.
        steps: Optimiser steps.
        batch_size: Crops a step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records: MaskDataset = construct(cfg.data.train.masks.records)
    torch.manual_seed(cfg.train.seed)
    backbone = construct(cfg.model.backbone)
    model = CropClassifier(
        backbone.bottom_up,
        backbone.bottom_up.output_shape()["res5"].channels,
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
    loop.train(iter(CropBatches(records, batch_size, cfg.train.seed, start)), start)
    weights = {BOTTOM_UP + k: v.cpu().contiguous() for k, v in model.bottom_up.state_dict().items()}
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
