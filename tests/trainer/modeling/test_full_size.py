"""The full-scale configs: built, run forward and backward on real images at reduced resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detectron2.utils.events import EventStorage

from tests.trainer.engine.test_loop import loop
from tests.trainer.tiny import HashEmbedder
from trainer.data.augment import AugmentConfig
from trainer.data.cocofile import read_coco
from trainer.data.items import MaskMapper
from trainer.data.masks import MaskDataset
from trainer.engine.build import build_model
from trainer.engine.config import load_config
from trainer.engine.sources import BoxMapper
from trainer.modeling.hourglass import count_parameters

CONFIGS = Path(__file__).parents[3] / "trainer" / "configs"

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def coco_tiny(shared_data: Path, cache: Path, side: int, flip: float = 0.0) -> tuple[Any, Any]:
    """The 80 training images of coco_tiny, all classes, and their mapper."""
    file = shared_data / "coco_tiny" / "annotations" / "instances_train2017.json"
    names = [c.name for c in read_coco(file).categories]
    images = shared_data / "coco_tiny" / "train2017"
    records = MaskDataset(file, images, names, cache=cache)
    augment = AugmentConfig(short_sides=(side,), max_long_side=2 * side, flip=flip)
    return records, MaskMapper(augment, image_format="RGB")


def items_of(records: Any, mapper: Any, count: int) -> list[Any]:
    return [mapper(records[i], np.random.default_rng(i)) for i in range(count)]


@pytest.mark.parametrize("kind", ["fcosmo", pytest.param("maskrcnn_alp", marks=pytest.mark.slow)])
def test_a_full_size_step_on_real_images(kind: str, shared_data: Path, tmp_path: Path) -> None:
    cfg = load_config(CONFIGS / f"{kind}_r50_coco_openimages.py")
    records, mapper = coco_tiny(shared_data, tmp_path / "cache", side=128)
    embedder: Any = HashEmbedder()
    model: Any = build_model(cfg, embedder, records.classes, device="cpu")
    branch = (model if kind == "fcosmo" else model.roi_heads).mask_branch
    assert round(count_parameters(branch.head) / 1e6, 1) == 23.6
    branch.max_masks_per_image = 2
    one = loop(model, tmp_path)
    with EventStorage(0):
        masks, _ = one.step(0, items_of(records, mapper, 1))
        alps, _ = one.step(1, items_of(records, BoxMapper(mapper, records.classes), 1))
    assert masks["loss_mask"] == pytest.approx(0.69, abs=0.05)  # log 2: it knows nothing yet
    assert np.isfinite(list(masks.values()) + list(alps.values())).all()
    assert "loss_mask" not in alps
    model.eval()
    model.set_vocabulary(["dog", "teapot"])  # type: ignore[operator]
    found = model(items_of(records, mapper, 1))[0]["instances"]
    assert found.image_size == (records[0].height, records[0].width)
