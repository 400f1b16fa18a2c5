from __future__ import annotations

import pytest
import torch

from trainer.modeling.hourglass import (
    SPECS,
    FCNMaskHead,
    HourglassMaskHead,
    ResidualBlock,
    count_parameters,
    group_norm,
)

# Birodkar et al., ICCV 2021: 256 input channels, base width 64; in millions.
PUBLISHED = {20: 5.7, 52: 23.6, 100: 47.4}


@pytest.mark.parametrize(("depth", "millions"), PUBLISHED.items())
def test_parameter_counts_are_the_published_ones(depth: int, millions: float) -> None:
    head = HourglassMaskHead(256, depth, width=64, crop_size=32)
    assert round(count_parameters(head) / 1e6, 1) == millions


@pytest.mark.parametrize("depth", SPECS)
def test_logits_have_twice_the_crops_side(depth: int) -> None:
    head = HourglassMaskHead(8, depth, width=4, crop_size=32)
    assert head(torch.randn(3, 8, 32, 32)).shape == (3, 1, 64, 64)


@pytest.mark.parametrize("head", [HourglassMaskHead(8, 20, 4, 8), FCNMaskHead(8, 16, 4, 14)])
def test_no_crops_give_no_masks(head: HourglassMaskHead | FCNMaskHead) -> None:
    crops = torch.randn(0, 8, head.crop_size, head.crop_size)
    assert head(crops).shape == (0, 1, head.mask_size, head.mask_size)


@pytest.mark.parametrize("head", [HourglassMaskHead(8, 20, 4, 8), FCNMaskHead(8, 16, 2, 8)])
def test_a_crop_s_mask_does_not_depend_on_the_other_crops(
    head: HourglassMaskHead | FCNMaskHead,
) -> None:
    crops = torch.randn(4, 8, 8, 8)
    alone = torch.cat([head(crop[None]) for crop in crops])
    torch.testing.assert_close(head(crops), alone, rtol=1e-4, atol=1e-6)


def test_every_parameter_learns() -> None:
    head = HourglassMaskHead(8, 20, 8, 8)
    torch.nn.init.normal_(head.upsampler.predictor.weight)
    head(torch.randn(2, 8, 8, 8)).square().sum().backward()
    still = [n for n, p in head.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_residual_block_keeps_its_input_where_its_convolutions_give_nothing() -> None:
    block = ResidualBlock(4, 4)
    torch.nn.init.zeros_(block.conv2[1].weight)
    x = torch.rand(1, 4, 5, 5)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 24), (7, 7), (1, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


def test_what_cannot_be_built_says_why() -> None:
    with pytest.raises(ValueError, match="expected one of"):
        HourglassMaskHead(8, depth=50)
    with pytest.raises(ValueError, match="HG-52 needs a multiple of 32"):
        HourglassMaskHead(8, depth=52, crop_size=28)
