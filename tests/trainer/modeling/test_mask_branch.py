from __future__ import annotations

import pytest
import torch
from detectron2.structures import BitMasks, Boxes, Instances
from torch.nn import functional as F

from tests.trainer.tiny import CHANNELS, item, mask_branch

FEATURES = ("p2", "p3", "p4")


def features(size: int = 64) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        name: torch.randn(2, CHANNELS, size // stride, size // stride)
        for name, stride in zip(FEATURES, (4, 8, 16), strict=True)
    }


def targets(*counts: int) -> list[Instances]:
    return [item(i, things=n, size=(64, 64))["instances"] for i, n in enumerate(counts)]


def test_the_loss_is_cross_entropy_over_all_masks_of_the_batch() -> None:
    branch, maps, truth = mask_branch(), features(), targets(2, 1)
    logits = branch.head_in_chunks(maps, [t.gt_boxes for t in truth])[:, 0]
    crops = [t.gt_masks.crop_and_resize(t.gt_boxes.tensor, branch.head.mask_size) for t in truth]
    expected = F.binary_cross_entropy_with_logits(logits, torch.cat(crops).float())
    assert branch.losses(maps, truth)["loss_mask"].item() == pytest.approx(expected.item())


def test_bitmaps_and_polygons_teach_alike() -> None:
    branch, maps, truth = mask_branch(), features(), targets(2, 2)
    polygons = branch.losses(maps, truth)["loss_mask"].item()
    for one in truth:
        one.gt_masks = BitMasks.from_polygon_masks(one.gt_masks, 64, 64)
    assert branch.losses(maps, truth)["loss_mask"].item() == pytest.approx(polygons, rel=0.02)


def test_no_masks_cost_nothing() -> None:
    branch = mask_branch()
    assert branch.losses(features(), targets(0, 0))["loss_mask"].item() == 0
    bare = Instances((64, 64), gt_boxes=Boxes(torch.zeros(0, 4)))
    assert branch.losses(features(), [bare, *targets(1)])["loss_mask"].item() > 0


def test_at_most_so_many_masks_of_an_image() -> None:
    branch = mask_branch()
    branch.max_masks_per_image = 3
    (crowd,) = targets(7)
    kept = branch._subsample(crowd)
    assert len(kept) == 3
    rows = [crowd.gt_boxes.tensor.tolist().index(b) for b in kept.gt_boxes.tensor.tolist()]
    assert rows == sorted(rows)
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        seen |= {tuple(b) for b in branch._subsample(crowd).gt_boxes.tensor.tolist()}
    assert len(seen) == 7  # any of them may be drawn


def test_chunks_give_what_one_pass_gives() -> None:
    branch, maps = mask_branch(), features()
    boxes = [t.gt_boxes for t in targets(4, 3)]
    whole = branch.head_in_chunks(maps, boxes)
    branch.max_crops = 2
    torch.testing.assert_close(branch.head_in_chunks(maps, boxes), whole, rtol=1e-4, atol=1e-5)


def test_detections_get_probabilities_in_their_boxes() -> None:
    branch = mask_branch().eval()
    found = [Instances((64, 64), pred_boxes=t.gt_boxes) for t in targets(2, 0)]
    branch.predict(features(), found)
    side = branch.head.mask_size
    assert found[0].pred_masks.shape == (2, 1, side, side)
    assert found[1].pred_masks.shape == (0, 1, side, side)
    assert ((found[0].pred_masks > 0) & (found[0].pred_masks < 1)).all()


def test_boxes_keep_their_place_under_reduced_precision() -> None:
    branch = mask_branch()
    columns = {4: 336, 8: 168, 16: 84}
    # What a point says is its x, modulo 64: exact in bfloat16, of which 1001 is not.
    maps = {
        name: (torch.arange(columns[s]) * s % 64.0).expand(1, CHANNELS, 32, -1)
        for name, s in zip(FEATURES, columns, strict=True)
    }
    boxes = [Boxes(torch.tensor([[1001.0, 41.0, 1021.0, 61.0]]))]
    with torch.autocast("cpu", torch.bfloat16):
        exact = branch._crop(maps, boxes)
        found = branch._crop({name: level.bfloat16() for name, level in maps.items()}, boxes)
    torch.testing.assert_close(found.float(), exact)
