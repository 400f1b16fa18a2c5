"""A ResNet small enough to train from scratch on a CPU in minutes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from detectron2.modeling.backbone import BasicStem, ResNet
from detectron2.modeling.backbone.resnet import BasicBlock


def tiny_resnet(
    widths: Sequence[int] = (32, 32, 64, 96, 128), blocks: int = 1, norm: str = "GN"
) -> ResNet:
    """A stem of stride 4 and four stages of basic blocks, `res2` to `res5` of strides 4 to 32.

    Args:
        widths: Channels of the stem and the four stages; divisible by 32 for GroupNorm, and of two
            neighbours from `res2` on never equal: only then has a strided block a shortcut.
        blocks: Basic blocks of a stage.
        norm: Norm layer, by detectron2's name; GN learns from scratch with small batches.
    """
    stem = BasicStem(in_channels=3, out_channels=widths[0], norm=norm)
    stages = [
        ResNet.make_stage(
            BasicBlock,
            blocks,
            in_channels=c_in,
            out_channels=c_out,
            stride_per_block=[1 if i == 0 else 2, *[1] * (blocks - 1)],
            norm=norm,
        )
        for i, (c_in, c_out) in enumerate(itertools.pairwise(widths))
    ]
    return ResNet(stem, stages, out_features=[f"res{i + 2}" for i in range(len(stages))])
