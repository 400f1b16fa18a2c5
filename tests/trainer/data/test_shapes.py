from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.conftest import alp, write_shards
from trainer.data import shapes
from trainer.data.alps import AlpDataset
from trainer.data.arraystore import StringTable
from trainer.data.augment import AugmentConfig
from trainer.data.images import ImageFinder
from trainer.data.items import AlpMapper, read_image
from trainer.data.loaders import TrainSource, build_train_loader


def test_shapes_are_those_of_the_image_as_it_is_read(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = str(tmp_path / f"{orientation}.jpg")
        Image.new("RGB", (60, 40)).save(path, exif=exif)
        height, width = read_image(path).shape[:2]
        assert shapes.is_portrait(path) == (height > width)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert not shapes.is_portrait(str(tmp_path / "broken.jpg"))
    assert not shapes.is_portrait(str(tmp_path / "none.jpg"))


def test_files_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4, 6)).save(tmp_path / "a.png")
    Image.new("RGB", (6, 4)).save(tmp_path / "b.png")
    files = StringTable.of([str(tmp_path / "a.png"), "", str(tmp_path / "b.png")])
    assert shapes.portraits(files, tmp_path / "cache").tolist() == [True, False, False]
    monkeypatch.setattr(shapes, "is_portrait", None)
    assert shapes.portraits(files, tmp_path / "cache").tolist() == [True, False, False]


def test_batches_of_alps_are_of_one_shape(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for number in range(12):
        size = (40, 60) if number % 3 else (60, 40)
        image = np.zeros((*size, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "train" / f"{number:09d}.jpg"), image)
    rows = [alp(str(number), "dog", (0.1, 0.1, 0.9, 0.9)) for number in range(12)]
    folder, finder = (
        write_shards(tmp_path / "alps", rows),
        ImageFinder({"simulated_world": tmp_path}),
    )
    alps = AlpDataset.open(folder, finder, cache=tmp_path / "cache")
    assert alps.portrait is not None
    assert alps.portrait.sum() == 4
    copy = pickle.loads(pickle.dumps(alps))
    assert copy.portrait.tolist() == alps.portrait.tolist()
    mapper = AlpMapper(AugmentConfig(short_sides=(30,)))
    loader = build_train_loader(alps=TrainSource(alps, mapper, 4), num_workers=0, stop_step=9)
    for _, _, batch in loader:
        assert len({item["height"] > item["width"] for item in batch}) == 1
    assert AlpDataset.open(folder, finder, cache=tmp_path, shapes=False).portrait is None
    wide = {f"simulated_world_train/{number}" for number in range(12) if number % 3}
    assert alps.without(wide).portrait is None
