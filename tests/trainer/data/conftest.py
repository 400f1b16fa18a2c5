"""Small made-up data: shards by the schema, photographs of noise, COCO files of two shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines.synthetic_shards import table_of, write_data_set
from trainer.data.alps import AlpDataset
from trainer.data.images import ImageFinder
from trainer.data.masks import MaskDataset


def write_shards(folder: Path, rows: list[dict[str, Any]], split: str = "train") -> Path:
    """A finished data set of two shards."""
    half = (len(rows) + 1) // 2
    tables = [table_of(chunk) for chunk in (rows[:half], rows[half:])]
    return write_data_set(folder, tables, count=2, split=split)


def alp(image: str, phrase: str, box: tuple[float, ...], **more: Any) -> dict[str, Any]:
    """A row of a shard."""
    sides = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
    head = phrase.rpartition(" ")[2]
    base = {"dataset_id": "simulated_world_train", "image_id": image, "phrase_text": phrase}
    return base | {"head_lemma": head} | sides | more


ROWS = [
    alp("3", "dog on the left", (0.1, 0.2, 0.4, 0.5), head_lemma="dog", score=0.9),
    alp("3", "red ball", (0.5, 0.5, 0.9, 0.9), score=0.2, is_plural=True),
    alp("1", "tree", (0.0, 0.0, 1.0, 1.0)),
    alp("2", "tree", (0.25, 0.25, 0.5, 0.5)),
    alp("2", "tree", (0.6, 0.6, 0.7, 0.7)),
    alp("2", "cats", (0.3, 0.1, 0.4, 0.7), is_plural=True),
]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images 1 to 6 of 60 x 80 pixels (5 and 6 are portraits), a COCO file and ALP shards."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    (folder / "train").mkdir()
    images, annotations = [], []
    for number in range(1, 7):
        height, width = (60, 80) if number < 5 else (80, 60)
        name = f"{number:09d}.jpg"
        pixels = rng.integers(0, 255, (height // 10, width // 10, 3), np.uint8)
        image = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / "train" / name), image)
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for label, x in ((1, 5), (2, 30), (3, 40)):
            square = [x, 10, x + 12, 10, x + 12, 30, x, 30]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label,
                    "segmentation": [square],
                    "bbox": [x, 10, 12, 20],
                    "area": 240,
                    "iscrowd": 0,
                }
            )
    names = enumerate(("dog", "ball", "tree"), start=1)
    record = {
        "info": {"dataset_id": "simulated_world_train"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in names],
    }
    (folder / "instances.json").write_text(json.dumps(record))
    write_shards(folder / "alps", ROWS)
    return folder


@pytest.fixture
def finder(world: Path) -> ImageFinder:
    return ImageFinder({"simulated_world": world})


@pytest.fixture
def alps(world: Path, finder: ImageFinder, tmp_path: Path) -> AlpDataset:
    return AlpDataset.open(world / "alps", finder, cache=tmp_path)


@pytest.fixture
def open_masks(world: Path, tmp_path: Path) -> Callable[..., MaskDataset]:
    """Opens the made-up COCO file with the classes given."""

    def opener(*classes: str, **more: Any) -> MaskDataset:
        path = more.pop("annotations", world / "instances.json")
        return MaskDataset(path, world / "train", classes, cache=tmp_path, **more)

    return opener
