"""Evaluation of a model during and after training, by whatever processes there are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.structures import Instances
from detectron2.utils import comm
from torch import nn
from tqdm import tqdm

from trainer.data.cocofile import read_coco
from trainer.data.items import read_image
from trainer.engine.config import construct
from trainer.engine.distributed import gather_in_order
from trainer.engine.inference import Result, coco_results, detect, write_results
from trainer.engine.pictures import draw, save_png
from trainer.evaluation.evaluator import evaluate, read_hierarchy, table
from trainer.evaluation.predictions import write_json
from trainer.evaluation.shapes import IouType
from trainer.evaluation.splits import ClassSplit
from trainer.evaluation.synonyms import read_names
from trainer.modeling.columns import Embedder

logger = logging.getLogger(__name__)


class Evaluator:
    """Predicts on the test images of a config and scores base and novel classes.

    Args:
        cfg: Config with `data.test`: `loader` (a call of `build_eval_loader`), `annotations`,
            `protocol` (of masks and boxes), `hierarchy`, `pictures`, `picture_threshold`, and `names`: a
            file of other names for classes (`trainer.evaluation.synonyms`), under which the model is
            evaluated too.
        model: The bare model.
        split: Base and novel classes; each must be a category of the annotations.
        folder: Run folder; results go to `evaluation_<step>/`.

    Raises:
        UsageError: If a class, an image, the hierarchy or the names file is missing.
    """

    def __init__(self, cfg: Any, model: nn.Module, split: ClassSplit, folder: Path) -> None:
        self.cfg = cfg
        self.model = model
        self.folder = folder
        self.annotations = Path(cfg.data.test.annotations)
        self.split = split
        truth = read_coco(self.annotations)
        self.category_ids = split.category_ids(truth.categories)
        own = list(self.category_ids)
        # What the classes are called, by the ending of the results' names.
        self.namings: dict[str, list[str]] = {"": own}
        if names := cfg.data.test.get("names"):
            self.namings["_synonyms"] = read_names(names, own)
        if comm.is_main_process():
            # What is missing is told now, not after hours of training.
            construct(cfg.data.test.loader.images)
            if cfg.data.test.hierarchy is not None:
                read_hierarchy(truth, cfg.data.test.hierarchy)

    def __call__(self, step: int) -> dict[str, Any]:
        """Evaluate the model as it is; the metrics are written, logged and returned.

        Args:
            step: Steps done, for the folder's name.
        """
        out = self._folder_of(step)
        metrics: dict[str, Any] = {}
        for ending, names in self.namings.items():
            pictures = self.cfg.data.test.pictures if not ending else 0
            results = gather_in_order(self.predict(names, out / "pictures", pictures))
            if comm.is_main_process():
                write_results(out / f"results{ending}.json", results)
                metrics |= self._score(results, ending)
        if not comm.is_main_process():
            return {}
        if len(self.namings) > 1:
            metrics["renaming"] = self._renaming()
        write_json(out / "metrics.json", {"step": step, **metrics})
        for name, values in metrics.items():
            if name != "renaming":
                logger.info("step %d, %s (percent):\n%s", step, name, table(values))
        return metrics

    def is_done(self, step: int) -> bool:
        """Whether process 0 finds the metrics after `step` steps in the folder."""
        return gather_in_order([(self._folder_of(step) / "metrics.json").is_file()])[0]

    def _folder_of(self, step: int) -> Path:
        return self.folder / f"evaluation_{step:07d}"

    def _score(self, results: list[Result], ending: str) -> dict[str, Any]:
        """Metrics of masks and of boxes, both by the config's protocol."""
        test = self.cfg.data.test
        kinds: dict[str, IouType] = {"masks": "segm", "boxes": "bbox"}
        return {
            f"{name}{ending}": evaluate(
                self.annotations,
                results,
                self.split,
                protocol=test.protocol,
                iou_type=iou_type,
                hierarchy=test.hierarchy,
            )
            for name, iou_type in kinds.items()
        }

    def _renaming(self) -> dict[str, float]:
        """How many classes have another name, and how far the text encoder alone finds them again."""
        own, other = self.namings[""], self.namings["_synonyms"]
        embedder: Embedder = self.model.vocabulary.embedder  # type: ignore[union-attr, assignment]
        nearest = (embedder.classes(other) @ embedder.classes(own).T).argmax(dim=1).tolist()
        changed = [i for i, name in enumerate(own) if name != other[i]]
        found = sum(nearest[i] == i for i in changed)
        return {"classes": len(changed), "nearest_to_own_name": found / max(1, len(changed))}

    def predict(self, names: Sequence[str], folder: Path, pictures: int) -> list[Result]:
        """COCO results of this process's share of the test images.

        Args:
            names: What to look for, a name for each class of the split.
            folder: Where pictures go.
            pictures: Of how many images to draw one.
        """
        self.model.eval()
        self.model.set_vocabulary(list(names))  # type: ignore[operator]
        loader = construct(
            self.cfg.data.test.loader, rank=comm.get_rank(), world_size=comm.get_world_size()
        )
        ids = list(self.category_ids.values())
        results: list[Result] = []
        drawn = 0
        for batch in tqdm(
            loader, desc="evaluation", unit="batch", disable=not comm.is_main_process(), leave=False
        ):
            for item, found in zip(batch, detect(self.model, batch, torch.float32), strict=True):
                results += coco_results(item["image_id"], found, ids)
                if comm.is_main_process() and drawn < pictures:
                    self._draw(folder, item, found)
                    drawn += 1
        return results

    def _draw(self, folder: Path, item: dict[str, Any], found: Instances) -> None:
        test = self.cfg.data.test
        pixels = read_image(item["file_name"], "RGB", (item["height"], item["width"]))
        picture = draw(pixels, found, list(self.category_ids), test.picture_threshold)
        save_png(folder / f"{Path(item['file_name']).stem}.png", picture)
