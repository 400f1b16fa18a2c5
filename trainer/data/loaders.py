"""Loaders: training steps from any step on, and evaluation images once each.

    for step, source, batch in build_train_loader(masks=..., alps=..., start_step=1000):
        ...

The unit of work is a step: a worker makes the whole batch of a step, and steps arrive in order. All
random draws of an item come from a generator seeded by (seed, source, step, position in the global
batch). So items do not depend on the number of workers; they depend on the number of ranks only in
which rank gets which part of the global batch; and a run resumed at step s sees exactly what the
unbroken run saw.

An image that cannot be read is replaced by another one, drawn from the same generator, with a
warning. After `MAX_RETRIES` in one place the loader gives up: then it is not a broken file but a
broken data set.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from alp_builder.errors import BadDataError, UsageError
from trainer.data.alternation import SOURCES, Alternation, BatchOrder, Source
from trainer.data.augment import Resize, resized
from trainer.data.cocofile import read_coco
from trainer.data.images import SafeRoot
from trainer.data.items import ImageFormat, read_image, to_tensor

logger = logging.getLogger(__name__)

Item = dict[str, Any]
Step = tuple[int, Source, list[Item]]

MAX_RETRIES = 5
"""Unreadable images in a row, in one place of a batch, before the loader gives up."""


class Records(Protocol):
    """What a source reads from: `AlpDataset`, `MaskDataset`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


@dataclass(frozen=True)
class TrainSource:
    """Records, how they become items, and how many make a batch.

    Attributes:
        records: Data set.
        mapper: Makes an item of a record and a generator.
        batch_size: Images of a batch, of all ranks together.
        group_by_shape: Whether landscape and portrait images are kept apart where sizes are known.
    """

    records: Records
    mapper: Callable[[Any, np.random.Generator], Item]
    batch_size: int
    group_by_shape: bool = True

    def order(self, seed: int, source: Source) -> BatchOrder:
        """The order of its batches."""
        portrait: NDArray[np.bool_] | None = None
        if self.group_by_shape:
            portrait = getattr(self.records, "portrait", None)
        return BatchOrder(len(self.records), self.batch_size, seed, source, portrait)


class TrainSteps(Dataset[Step]):
    """Steps by number; see the module and `build_train_loader`."""

    def __init__(
        self,
        sources: dict[Source, TrainSource],
        alternation: Alternation,
        seed: int,
        rank: int,
        world_size: int,
    ) -> None:
        for name, wanted in zip(SOURCES, (alternation.masks, alternation.alps), strict=True):
            if wanted and name not in sources:
                raise UsageError(
                    f"alternation {alternation.masks}:{alternation.alps} needs {name} batches, but"
                    f" no {name} source is given"
                )
        for name, given in sources.items():
            if given.batch_size % world_size:
                raise UsageError(
                    f"{name} batch of {given.batch_size} cannot be shared by {world_size} ranks;"
                    f" take a multiple of {world_size}"
                )
        self.sources, self.alternation, self.seed = sources, alternation, seed
        self.rank, self.world_size = rank, world_size
        self.orders = {name: source.order(seed, name) for name, source in sources.items()}

    def __getitem__(self, step: int) -> Step:
        source = self.alternation.source(step)
        indices = self.orders[source].indices(self.alternation.batch_number(step))
        share = len(indices) // self.world_size
        mine = range(self.rank * share, (self.rank + 1) * share)
        batch = [self._item(source, step, place, int(indices[place])) for place in mine]
        return step, source, batch

    def _item(self, source: Source, step: int, place: int, index: int) -> Item:
        given = self.sources[source]
        rng = np.random.default_rng([self.seed, SOURCES.index(source), step, place, 1])
        for _ in range(MAX_RETRIES):
            try:
                return given.mapper(given.records[index], rng)
            except BadDataError as error:
                logger.warning("step %d: %s; another image takes its place", step, error)
                index = int(rng.integers(len(given.records)))
                last = error
        raise BadDataError(f"step {step}: {MAX_RETRIES} images in a row unusable, last: {last}")


class _Count:
    """Step numbers from `start`, endlessly or up to `stop`, as a sampler."""

    def __init__(self, start: int, stop: int | None) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(count(self.start) if self.stop is None else range(self.start, self.stop))


def build_train_loader(
    *,
    masks: TrainSource | None = None,
    alps: TrainSource | None = None,
    alternation: Alternation | None = None,
    seed: int = 0,
    start_step: int = 0,
    stop_step: int | None = None,
    num_workers: int = 4,
    prefetch: int = 2,
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[Step]:
    """Batches of both sources, in the order that (seed, step) decides.

    Args:
        masks: Source of masks.
        alps: Source of ALPs.
        alternation: Which source a step takes; 1:1 if both are given, else the one that is.
        seed: Seed of order and augmentation.
        start_step: First step; a resumed run gives the step it stopped at.
        stop_step: Step to stop before; endless if `None`.
        num_workers: Worker processes; 0 makes batches in this one.
        prefetch: Steps each worker works ahead.
        rank: This process among `world_size`.
        world_size: Processes that share each batch.

    Returns:
        A loader of `(step, source, batch)`; a batch is this rank's list of items of one source.

    Raises:
        UsageError: If a needed source is missing, or a batch cannot be shared by the ranks.
    """
    given = zip(SOURCES, (masks, alps), strict=True)
    sources: dict[Source, TrainSource] = {name: s for name, s in given if s is not None}
    chosen = alternation or Alternation(int(masks is not None), int(alps is not None))
    steps = TrainSteps(sources, chosen, seed, rank, world_size)
    return DataLoader(
        steps,
        batch_size=None,
        sampler=_Count(start_step, stop_step),
        collate_fn=_unchanged,
        num_workers=num_workers,
        prefetch_factor=prefetch if num_workers else None,
        worker_init_fn=_prepare_worker,
        # Its own, or starting to iterate would draw from the generator that models draw from.
        generator=torch.Generator(),
    )


class EvalImages(Dataset[Item]):
    """The images of a COCO-format file, resized for testing, without their annotations.

    Args:
        annotations: COCO-format file.
        images: Folder of its images.
        short_side: Length of the shorter side, in pixels.
        max_long_side: Longest the longer side may become, in pixels.
        image_format: Order of the channels.
        follow_links: Whether symbolic links may lead out of the folder.
    """

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path,
        *,
        short_side: int = 800,
        max_long_side: int = 1333,
        image_format: ImageFormat = "BGR",
        follow_links: bool = False,
    ) -> None:
        root = SafeRoot(Path(images), follow_links=follow_links)
        self.images = read_coco(annotations).images
        missing = [image.file for image in self.images if not root.find(image.file)]
        if missing:
            raise UsageError(
                f"image root wrong? {len(missing)} of {len(self.images)} evaluation images are not"
                f" below {images}, such as {missing[0]}; a score needs all of them"
            )
        self.root = root.root
        self.short_side, self.max_long_side = short_side, max_long_side
        self.image_format: ImageFormat = image_format

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Item:
        entry = self.images[index]
        path = str(self.root / entry.file)
        image = read_image(path, self.image_format, (entry.height, entry.width))
        return item_of_image(
            image, path, entry.id, short_side=self.short_side, max_long_side=self.max_long_side
        )


def item_of_image(
    image: NDArray[np.uint8],
    file_name: str,
    image_id: int,
    *,
    short_side: int = 800,
    max_long_side: int = 1333,
) -> Item:
    """The item of an image to predict on; `height` and `width` are those of the image as given.

    Args:
        image: uint8 of shape `(H, W, 3)`.
        file_name: Where it came from.
        image_id: Its id.
        short_side: Length of the shorter side after resizing, in pixels.
        max_long_side: Longest the longer side may become, in pixels.
    """
    height, width = image.shape[:2]
    resize = Resize(height, width, *resized(height, width, short_side, max_long_side))
    return {
        "file_name": file_name,
        "image_id": image_id,
        "height": height,
        "width": width,
        "image": to_tensor(resize.apply_image(image)),
    }


def build_eval_loader(
    images: Dataset[Item],
    *,
    batch_size: int = 1,
    num_workers: int = 4,
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[Item]:
    """Each image once: this rank's contiguous share, in order.

    Args:
        images: Items by index, such as `EvalImages`.
        batch_size: Images of a batch.
        num_workers: Worker processes.
        rank: This process among `world_size`.
        world_size: Processes that share the images.

    Returns:
        A loader of lists of items.
    """
    total = len(images)  # type: ignore[arg-type]
    share = range(total * rank // world_size, total * (rank + 1) // world_size)
    return DataLoader(
        images,
        batch_size=batch_size,
        sampler=list(share),
        collate_fn=_unchanged,
        num_workers=num_workers,
        worker_init_fn=_prepare_worker,
        # Its own, or starting to iterate would draw from the generator that models draw from.
        generator=torch.Generator(),
    )


def _unchanged(batch: Any) -> Any:
    return batch


def _prepare_worker(_: int) -> None:
    """One thread a worker, for workers are many; and no signal meant for the run as a whole.

    A cluster or a terminal sends its signals to every process. A worker that died of one would take the
    step along in which the run was to save its state; workers end when the run does.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
