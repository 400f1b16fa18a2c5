from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, PolygonMasks
from PIL import Image
from pycocotools import mask as mask_utils

from alp_builder.errors import BadDataError
from trainer.data.alps import AlpDataset
from trainer.data.augment import AugmentConfig
from trainer.data.items import AlpMapper, MaskMapper, read_image
from trainer.data.masks import MaskDataset
from trainer.data.quantization import QuantizationConfig

STILL = AugmentConfig(short_sides=(60,), flip=0)
MIRROR = AugmentConfig(short_sides=(60,), flip=1)
JITTER = AugmentConfig(mode="jitter", jitter_size=(48, 64), jitter_scale=(0.5, 2.0))
EXACT = QuantizationConfig(kind="none")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_an_alp_item_by_hand(alps: AlpDataset) -> None:
    item = AlpMapper(STILL, EXACT, ignore_scale=1.5, ignore_margin=0.1)(alps[2], rng())
    assert item["phrases"] == ["dog on the left", "red ball"]
    assert item["phrase_heads"] == ["dog", "ball"]
    found = item["instances"]
    assert found.gt_classes.tolist() == [0, 1]
    assert found.is_plural.tolist() == [False, True]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.2]))
    boxes = torch.tensor([[8.0, 12, 32, 30], [40, 30, 72, 54]])
    torch.testing.assert_close(found.gt_boxes.tensor, boxes)
    # Sides 0.3 x 1.5 + 0.1: 0.125 more on each side, cut at the image.
    ring = torch.tensor([[0.0, 4.5, 42, 37.5], [28, 21, 80, 60]])
    torch.testing.assert_close(found.ignore_boxes.tensor, ring)


def test_a_mirrored_alp_item_says_right(alps: AlpDataset) -> None:
    item = AlpMapper(MIRROR, EXACT)(alps[2], rng())
    assert item["phrases"] == ["dog on the right", "red ball"]
    assert item["phrase_heads"] == ["dog", "ball"]
    boxes = item["instances"].gt_boxes.tensor
    torch.testing.assert_close(boxes[0], torch.tensor([48.0, 12, 72, 30]))


def test_a_phrase_said_twice_is_one_column(alps: AlpDataset) -> None:
    item = AlpMapper(STILL, EXACT)(alps[1], rng())
    assert item["phrases"] == ["cats", "tree"]
    assert item["instances"].gt_classes.tolist() == [1, 1, 0]


@pytest.mark.parametrize("kind", ["snap", "uniform", "fixed", "none"])
@pytest.mark.parametrize("augment", [STILL, MIRROR, JITTER], ids=["still", "mirror", "jitter"])
def test_rings_contain_boxes_under_every_augmentation(
    alps: AlpDataset, kind: str, augment: AugmentConfig
) -> None:
    mapper = AlpMapper(augment, QuantizationConfig(kind=kind))  # type: ignore[arg-type]
    for seed in range(6):
        for index in range(len(alps)):
            item = mapper(alps[index], rng(seed))
            box, ring = (item["instances"].get(n).tensor for n in ("gt_boxes", "ignore_boxes"))
            assert bool((ring[:, :2] <= box[:, :2]).all())
            assert bool((ring[:, 2:] >= box[:, 2:]).all())
            height, width = item["image"].shape[1:]
            limit = torch.tensor([width, height, width, height])
            assert bool(((ring >= 0) & (ring <= limit)).all())
            assert len(item["phrases"]) == len(set(item["instances"].gt_classes.tolist()))


def test_quantization_touches_alps_and_never_masks(
    alps: AlpDataset, open_masks: Callable[..., MaskDataset]
) -> None:
    fixed = QuantizationConfig(kind="fixed", grid=2)
    boxes = AlpMapper(STILL, fixed)(alps[2], rng())["instances"].gt_boxes.tensor
    torch.testing.assert_close(boxes[0], torch.tensor([0.0, 0, 40, 30]))
    masks = open_masks("dog")
    found = MaskMapper(STILL)(masks[0], rng())["instances"].gt_boxes.tensor
    torch.testing.assert_close(found, torch.tensor([[5.0, 10, 17, 30]]))


@pytest.mark.parametrize("augment", [STILL, MIRROR, JITTER], ids=["still", "mirror", "jitter"])
def test_polygons_and_bitmaps_tell_the_same(
    open_masks: Callable[..., MaskDataset], augment: AugmentConfig
) -> None:
    masks = open_masks("dog", "ball")
    for seed in range(6):
        rings = MaskMapper(augment)(masks[0], rng(seed))["instances"]
        drawn = MaskMapper(augment, bitmaps=True)(masks[0], rng(seed))["instances"]
        assert isinstance(rings.gt_masks, PolygonMasks)
        assert isinstance(drawn.gt_masks, BitMasks)
        if len(rings) != len(drawn):
            continue  # an instance cut to less than a pixel
        torch.testing.assert_close(rings.gt_boxes.tensor, drawn.gt_boxes.tensor, atol=1.5, rtol=0)
        assert (rings.gt_masks.area() - drawn.gt_masks.tensor.sum((1, 2))).max() < 80


def test_a_run_length_makes_the_image_bitmaps(open_masks: Callable[..., MaskDataset]) -> None:
    record = open_masks("dog", "ball")[0]
    bitmap = np.zeros((60, 80), np.uint8, order="F")
    bitmap[10:30, 5:17] = 1
    code = bytes(mask_utils.encode(bitmap)["counts"])
    item = MaskMapper(STILL)(replace(record, masks=[code, record.masks[1]]), rng())
    found = item["instances"].gt_masks
    assert isinstance(found, BitMasks)
    assert (found.tensor[0].numpy() == bitmap).all()
    broken = replace(record, masks=[code * 2, record.masks[1]])
    with pytest.raises(BadDataError, match="a mask of 60x80 cannot be decoded"):
        MaskMapper(STILL)(broken, rng())


def test_an_image_without_instances_makes_an_empty_item(
    open_masks: Callable[..., MaskDataset],
) -> None:
    record = replace(
        open_masks("dog")[0], boxes=np.empty((0, 4)), labels=np.empty(0, np.int64), masks=[]
    )
    item = MaskMapper(STILL)(record, rng())
    assert len(item["instances"]) == 0
    assert item["instances"].gt_boxes.tensor.shape == (0, 4)


def test_images_are_read_as_asked(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, :, 0] = 200  # red
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    assert read_image(str(path))[0, 0].tolist() == [0, 0, 200]
    assert read_image(str(path), "RGB")[0, 0].tolist() == [200, 0, 0]
    Image.new("L", (6, 4), 9).save(path)
    assert read_image(str(path)).shape == (4, 6, 3)
    with pytest.raises(BadDataError, match="size 4x6, expected 5x6"):
        read_image(str(path), size=(5, 6))
    path.write_bytes(b"GIF89a")
    with pytest.raises(BadDataError, match="not a readable image"):
        read_image(str(path))


def test_exif_turns_the_image_unless_the_annotations_ignored_it(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    path = str(tmp_path / "turned.jpg")
    image.save(path, exif=exif)
    assert read_image(path).shape == (60, 40, 3)
    assert read_image(path, size=(60, 40)).shape == (60, 40, 3)
    assert read_image(path, size=(40, 60)).shape == (40, 60, 3)


def test_real_masks_survive_the_pipeline(shared_data: Path, tmp_path: Path) -> None:
    """Areas of real COCO instances scale with the image, for polygons and bitmaps alike."""
    folder = shared_data / "coco_tiny"
    path = folder / "annotations" / "instances_train2017.json"
    masks = MaskDataset(path, folder / "train2017", ["person", "dog", "car"], cache=tmp_path)
    config = AugmentConfig(short_sides=(320,), max_long_side=640, flip=1)
    for index in range(0, len(masks), 9):
        record = masks[index]
        item = MaskMapper(config, bitmaps=True)(record, rng(index))
        instances = item["instances"]
        if len(instances) != len(record.labels):
            continue
        scale = item["image"].shape[1] / record.height
        areas = [
            abs(cv2.contourArea(mask[0]))
            for mask in record.masks
            if isinstance(mask, list) and len(mask) == 1
        ]
        if len(areas) == len(record.masks):
            found = instances.gt_masks.tensor.sum((1, 2)).numpy()
            large = np.array(areas) > 2000
            np.testing.assert_allclose(found[large], np.array(areas)[large] * scale**2, rtol=0.1)
