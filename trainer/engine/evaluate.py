"""Evaluation of a model during and after training, by whatever processes there are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from detectron2.utils import comm
from torch import nn
from tqdm import tqdm

from trainer.data.cocofile import read_coco
from trainer.engine.config import construct
from trainer.engine.distributed import gather_in_order
from trainer.engine.inference import Result, coco_results, detect, write_json
from trainer.engine.sources import ClassSplit

logger = logging.getLogger(__name__)


class Evaluator:
    """Predicts on the test images of a config and scores base and novel classes.

    Args:
        cfg: Config with `data.test`: `loader` (a call of `build_eval_loader`) and `annotations`.
        model: The bare model.
        split: Base and novel classes; those without a category in the file are left out.
        folder: Run folder; results go to `evaluation_<step>/`.
    """

    def __init__(self, cfg: Any, model: nn.Module, split: ClassSplit, folder: Path) -> None:
        self.cfg = cfg
        self.model = model
        self.folder = folder
        self.annotations = Path(cfg.data.test.annotations)
        ids = {c.name.casefold(): c.id for c in read_coco(self.annotations).categories}
        self.names = [name for name in split.all if name.casefold() in ids]
        self.category_ids = [ids[name.casefold()] for name in self.names]

    def __call__(self, step: int) -> dict[str, float]:
        """Evaluate the model as it is; the metrics are written, logged and returned.

        Args:
            step: Steps done, for the folder's name.
        """
        results = gather_in_order(self.predict())
        metrics: dict[str, float] = {}
        if comm.is_main_process():
            out = self.folder / f"evaluation_{step:07d}"
            out.mkdir(parents=True, exist_ok=True)
            write_json(out / "results.json", results)
        return metrics

    def predict(self) -> list[Result]:
        """COCO results of this process's share of the test images."""
        self.model.eval()
        self.model.set_vocabulary(self.names)  # type: ignore[operator]
        loader = construct(
            self.cfg.data.test.loader, rank=comm.get_rank(), world_size=comm.get_world_size()
        )
        results: list[Result] = []
        for batch in tqdm(
            loader, desc="evaluation", unit="batch", disable=not comm.is_main_process(), leave=False
        ):
            for item, detections in zip(
                batch, detect(self.model, batch, torch.float32), strict=True
            ):
                results += coco_results(item["image_id"], detections, self.category_ids)
        return results
