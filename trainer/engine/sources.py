"""Between a config's `data` and the loop: class names, true-box batches, batches without bookkeeping.

The config's `data` has `train` (a call of `build_train_loader`), `split` (a file or lists of base and
novel names) and, for evaluation, `test`. What needs the run (rank, seed, first step) is added here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances
from detectron2.utils import comm
from omegaconf import OmegaConf

from trainer.data.alps import AlpDataset
from trainer.data.alternation import Source
from trainer.data.cocofile import CocoFile, read_coco
from trainer.data.items import MaskMapper
from trainer.data.leaks import check_leaks, evaluation_keys
from trainer.data.loaders import TrainSource, TrainSteps
from trainer.data.masks import MaskDataset, MaskRecord
from trainer.data.samefiles import EvaluationFiles
from trainer.engine.agreement import check_agreement, facts_of_steps
from trainer.engine.config import construct
from trainer.evaluation.splits import ClassSplit, class_facts, load_split
from trainer.modeling.columns import ALP, BOX


def split_names(path: str | Path, kind: str) -> list[str]:
    """Names of a split, for configs: `kind` is `base`, `novel` or `classes` (both)."""
    return list(getattr(load_split(path), kind))


def coco_renames() -> dict[str, str]:
    """COCO's class names to those of Open Images, for configs."""
    return dict(class_facts().coco_to_open_images)


class BoxMapper:
    """Mask records to items that keep the true boxes only: the supervision of the oracle.

    Args:
        mapper: Makes the items.
        names: Names of the labels, where the boxes are not exhaustive for their classes (as in Open
            Images). The items are then ALPs that happen to be exact: a class is a phrase, and one
            without a box in an image is no full negative there. A class of which the image has a group
            is no negative at all: nobody boxed the things in the group one by one.
    """

    def __init__(self, mapper: MaskMapper, names: Sequence[str] | None = None) -> None:
        self.mapper = mapper
        self.names = None if names is None else [name.lower() for name in names]

    def __call__(self, record: MaskRecord, rng: np.random.Generator) -> dict[str, Any]:
        """The item of a record; `rng` draws the transforms."""
        item = self.mapper(record, rng)
        instances: Instances = item["instances"]
        if instances.has("gt_masks"):
            instances.remove("gt_masks")
        item["source"] = BOX
        if self.names is not None:
            groups = torch.from_numpy(record.groups)
            labels = instances.gt_classes
            present = torch.unique(torch.cat([labels, groups]))
            instances.gt_classes = torch.searchsorted(present, labels)
            instances.ignore_boxes = instances.gt_boxes.clone()
            instances.is_plural = torch.zeros(len(instances), dtype=torch.bool)
            instances.scores = torch.ones(len(instances))
            phrases = [self.names[label] for label in present.tolist()]
            item |= {"source": ALP, "phrases": phrases, "phrase_heads": phrases}
            item["groups"] = torch.searchsorted(present, torch.unique(groups))
        return item


class TrainBatches:
    """Endless batches of this process, from a step on.

    Args:
        cfg: The whole config; `data.train` is a call of `build_train_loader`, and `data.held_out` are
            the COCO-format files whose images must not be trained on, under any name of their files below
            the folder of `data.test`.
        split: Base and novel classes.
        start: First step.

    Raises:
        UsageError: If the processes do not have the same data.
        BadDataError: If an evaluation image or a novel mask is among the data.
    """

    def __init__(self, cfg: Any, split: ClassSplit, start: int) -> None:
        self._loader = construct(
            cfg.data.train,
            seed=cfg.train.seed,
            start_step=start,
            rank=comm.get_rank(),
            world_size=comm.get_world_size(),
        )
        steps: TrainSteps = self._loader.dataset
        check_agreement(facts_of_steps(steps, start))
        sources = steps.sources
        if comm.is_main_process():
            read = cache(read_coco)  # the file held out is nearly always that of the test
            held = evaluation_keys(map(str, cfg.data.held_out), read=read)
            _refuse_leaks(sources, split, held, evaluation_files(cfg, held, read))

    def common_phrases(self) -> list[tuple[str, str]]:
        """Phrases of the ALPs and their head lemmas, the commonest first; none without ALPs."""
        sources = self._loader.dataset.sources.values()
        alps = [s.records for s in sources if isinstance(s.records, AlpDataset)]
        return alps[0].common_phrases() if alps else []

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        for _, _, batch in self._loader:
            yield batch


def evaluation_files(
    cfg: Any, held: Collection[str], read: Callable[[str], CocoFile]
) -> EvaluationFiles | None:
    """Files of the images of `data.test`; `None` where it names none, or they are not there.

    Args:
        cfg: The whole config.
        held: `image_key` of the images that must not be trained on: a test that `data.held_out` does not
            speak of, as one on the training's own images, forbids nothing.
        read: Reads a COCO-format file.
    """
    images = OmegaConf.select(cfg, "data.test.loader.images")
    if not held or images is None or not {"annotations", "images"} <= set(images):
        return None
    if not Path(images.annotations).is_file():
        return None  # the evaluation says so
    return EvaluationFiles.of(read(str(images.annotations)), images.images, held)


def _refuse_leaks(
    sources: Mapping[Source, TrainSource],
    split: ClassSplit,
    held: Collection[str],
    files: EvaluationFiles | None,
) -> None:
    for source in sources.values():
        records = source.records
        if isinstance(records, AlpDataset):
            check_leaks(alps=records, evaluation=held, files=files)
        elif isinstance(records, MaskDataset):
            # The oracle is given the boxes of novel classes on purpose, never their masks.
            novel = () if isinstance(source.mapper, BoxMapper) else split.novel
            check_leaks(masks=records, novel=novel, evaluation=held, files=files)


def images_per_step(cfg: Any) -> int:
    """Images of a mask batch, of all processes together; of the other source without masks."""
    train = cfg.data.train
    source = train.masks if OmegaConf.select(train, "masks") is not None else train.alps
    return int(source.batch_size)
