from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alp_builder.errors import BadDataError, UsageError
from trainer.data.alps import AlpDataset
from trainer.data.alternation import Alternation
from trainer.data.augment import AugmentConfig
from trainer.data.images import ImageFinder
from trainer.data.items import AlpMapper, MaskMapper
from trainer.data.loaders import EvalImages, TrainSource, build_eval_loader, build_train_loader
from trainer.data.masks import MaskDataset

SMALL = AugmentConfig(short_sides=(32, 40, 48), max_long_side=64)
Sources = dict[str, TrainSource]


@pytest.fixture
def sources(alps: AlpDataset, open_masks: Callable[..., MaskDataset]) -> Sources:
    return {
        "masks": TrainSource(open_masks("dog", "ball"), MaskMapper(SMALL), 2),
        "alps": TrainSource(alps, AlpMapper(SMALL), 2),
    }


def signature(steps: Iterable[Any]) -> list[Any]:
    """Steps as plain values that can be compared bit for bit."""
    plain = []
    for step, source, batch in steps:
        items = []
        for item in batch:
            fields = item["instances"].get_fields()
            boxes = fields["gt_boxes"].tensor.numpy().tobytes()
            extra = item.get("phrases"), item.get("phrase_heads")
            classes = fields["gt_classes"].tolist()
            pixels = item["image"].numpy().tobytes()
            items.append((item["file_name"], pixels, boxes, classes, extra))
        plain.append((step, source, items))
    return plain


def test_steps_alternate_and_items_keep_the_contract(sources: Sources) -> None:
    loader = build_train_loader(**sources, num_workers=0, stop_step=6)
    for step, source, batch in loader:
        assert source == ("mask" if step % 2 == 0 else "alp")
        assert len(batch) == 2
        for item in batch:
            assert item["source"] == source
            assert item["image"].dtype == torch.uint8
            assert item["image"].shape[0] == 3
            instances = item["instances"]
            assert instances.image_size == tuple(item["image"].shape[1:])
            assert len(instances) > 0
            if source == "mask":
                assert len(instances.gt_masks) == len(instances)
                assert int(instances.gt_classes.max()) < 2
            else:
                assert int(instances.gt_classes.max()) < len(item["phrases"])
                assert len(item["phrases"]) == len(item["phrase_heads"])
                assert instances.is_plural.dtype == torch.bool
                ring, box = instances.ignore_boxes.tensor, instances.gt_boxes.tensor
                assert bool((ring[:, :2] <= box[:, :2]).all())
                assert bool((ring[:, 2:] >= box[:, 2:]).all())


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_anything(sources: Sources, workers: int) -> None:
    alone = signature(build_train_loader(**sources, num_workers=0, stop_step=8, seed=5))
    shared = signature(build_train_loader(**sources, num_workers=workers, stop_step=8, seed=5))
    assert shared == alone
    other = signature(build_train_loader(**sources, num_workers=0, stop_step=8, seed=6))
    assert other != alone


def test_a_resumed_run_sees_what_the_unbroken_one_saw(sources: Sources) -> None:
    whole = signature(build_train_loader(**sources, num_workers=0, stop_step=20))
    resumed = signature(build_train_loader(**sources, num_workers=0, start_step=13, stop_step=20))
    assert resumed == whole[13:]
    endless = build_train_loader(**sources, num_workers=0, start_step=13)
    assert signature(islice(endless, 7)) == resumed


def test_two_ranks_share_the_batch_of_one(sources: Sources) -> None:
    whole = signature(build_train_loader(**sources, num_workers=0, stop_step=6))
    parts = [
        signature(build_train_loader(**sources, num_workers=0, stop_step=6, rank=r, world_size=2))
        for r in range(2)
    ]
    for one, first, second in zip(whole, *parts, strict=True):
        assert one[:2] == first[:2] == second[:2]
        assert one[2] == first[2] + second[2]


def test_draws_are_new_every_time_an_image_comes(sources: Sources) -> None:
    loader = build_train_loader(alps=sources["alps"], num_workers=0, stop_step=24)
    boxes: dict[str, set[bytes]] = {}
    for _, _, batch in loader:
        for item in batch:
            found = item["instances"].gt_boxes.tensor / item["image"].shape[1]
            boxes.setdefault(item["image_id"], set()).add(found.numpy().tobytes())
    assert len(boxes["2"]) > 5


def test_shapes_are_not_mixed(open_masks: Callable[..., MaskDataset]) -> None:
    source = TrainSource(open_masks("dog"), MaskMapper(SMALL), 2)
    for _, _, batch in build_train_loader(masks=source, num_workers=0, stop_step=12):
        assert len({item["height"] > item["width"] for item in batch}) == 1


def test_a_missing_source_or_unfit_batch_is_said(sources: Sources) -> None:
    with pytest.raises(UsageError, match="no alp source is given"):
        build_train_loader(masks=sources["masks"], alternation=Alternation(1, 1))
    with pytest.raises(UsageError, match="2 cannot be shared by 3 ranks"):
        build_train_loader(**sources, world_size=3)


def test_broken_images_are_replaced_until_too_many(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(world / "train", tmp_path / "train")
    (tmp_path / "train" / "000000002.jpg").write_bytes(b"no image")
    finder = ImageFinder({"simulated_world": tmp_path})
    alps = AlpDataset.open(world / "alps", finder, cache=tmp_path / "cache")
    source = TrainSource(alps, AlpMapper(SMALL), 3)
    with caplog.at_level(logging.WARNING):
        steps = list(build_train_loader(alps=source, num_workers=0, stop_step=4))
    assert len(steps) == 4
    assert "not a readable image; another image takes its place" in caplog.text
    for number in (1, 3):
        (tmp_path / "train" / f"{number:09d}.jpg").write_bytes(b"")
    with pytest.raises(BadDataError, match="images in a row unusable"):
        list(build_train_loader(alps=source, num_workers=0, stop_step=4))


def test_evaluation_images_come_once_each_over_ranks(world: Path) -> None:
    images = EvalImages(world / "instances.json", world / "train", short_side=30)
    seen = []
    for rank in range(4):
        for batch in build_eval_loader(images, num_workers=0, rank=rank, world_size=4):
            for item in batch:
                seen.append(item["image_id"])
                assert min(item["image"].shape[1:]) == 30
                assert min(item["height"], item["width"]) == 60
    assert seen == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UsageError, match="6 of 6 evaluation images"):
        EvalImages(world / "instances.json", world)


def test_items_do_not_touch_global_random_state(sources: Sources) -> None:
    np.random.seed(0)  # noqa: NPY002 - the global state is what is tested
    before = np.random.get_state()[1].tobytes()  # type: ignore[index,union-attr] # noqa: NPY002
    torch_before = torch.get_rng_state()
    list(build_train_loader(**sources, num_workers=0, stop_step=4))
    assert np.random.get_state()[1].tobytes() == before  # type: ignore[index,union-attr] # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)
