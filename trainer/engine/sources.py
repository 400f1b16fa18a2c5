"""Between a config's `data` and the loop: class names, true-box batches, batches without bookkeeping.

The config's `data` has `train` (a call of `build_train_loader`), `split` (a file or lists of base and
novel names) and, for evaluation, `test`. What needs the run (rank, seed, first step) is added here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.utils import comm
from omegaconf import OmegaConf

from alp_builder.errors import BadDataError, UsageError
from trainer.data.items import MaskMapper
from trainer.data.masks import MaskRecord
from trainer.engine.config import construct
from trainer.modeling.columns import BOX


@dataclass(frozen=True, slots=True)
class ClassSplit:
    """Names of the classes with masks, and of those learned without.

    Attributes:
        base: Base classes, in the order of their labels.
        novel: Novel classes; may be empty.
    """

    base: tuple[str, ...]
    novel: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Base and novel, in this order."""
        return self.base + self.novel


def read_split(path: str | Path) -> ClassSplit:
    """Read a split file: JSON with the lists of names `base` and `novel`.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it lacks a list, or a name is in both.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        split = ClassSplit(tuple(record["base"]), tuple(record.get("novel", ())))
    except OSError as error:
        raise UsageError(f"class split {path}: {error.strerror}; make the data first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataError(f"class split {path}: expected lists base and novel: {error!r}") from None
    if both := set(split.base) & set(split.novel):
        raise BadDataError(f"class split {path}: both base and novel: {', '.join(sorted(both))}")
    return split


def split_names(path: str | Path, kind: str) -> list[str]:
    """Names of a split file, for configs: `kind` is `base`, `novel` or `all`."""
    return list(getattr(read_split(path), kind))


class BoxMapper:
    """Mask records to items that keep the true boxes only: the supervision of the oracle.

    Args:
        mapper: Makes the items.
    """

    def __init__(self, mapper: MaskMapper) -> None:
        self.mapper = mapper

    def __call__(self, record: MaskRecord, rng: np.random.Generator) -> dict[str, Any]:
        """The item of a record; `rng` draws the transforms."""
        item = self.mapper(record, rng)
        item["instances"].remove("gt_masks")
        item["source"] = BOX
        return item


class TrainBatches:
    """Endless batches of this process, from a step on.

    Args:
        cfg: The whole config; `data.train` is a call of `build_train_loader`.
        start: First step.
    """

    def __init__(self, cfg: Any, start: int) -> None:
        self._loader = construct(
            cfg.data.train,
            seed=cfg.train.seed,
            start_step=start,
            rank=comm.get_rank(),
            world_size=comm.get_world_size(),
        )

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        for _, _, batch in self._loader:
            yield batch


def images_per_step(cfg: Any) -> int:
    """Images of a mask batch, of all processes together; of the other source without masks."""
    train = cfg.data.train
    source = train.masks if OmegaConf.select(train, "masks") is not None else train.alps
    return int(source.batch_size)
