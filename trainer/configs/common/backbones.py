"""Backbones: ResNet-50 with a feature pyramid, and a tiny one for two cores.

The ResNet-50 takes torchvision's ImageNet weights: RGB, stride in the 3x3 convolution.
"""

from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.modeling.backbone import FPN, BasicStem, ResNet
from detectron2.modeling.backbone.fpn import LastLevelMaxPool, LastLevelP6P7

from trainer.modeling.tiny_backbone import tiny_resnet

PIXEL_MEAN = [123.675, 116.28, 103.53]  # RGB, of ImageNet
PIXEL_STD = [58.395, 57.12, 57.375]

_r50 = L(ResNet)(
    stem=L(BasicStem)(in_channels=3, out_channels=64, norm="FrozenBN"),
    stages=L(ResNet.make_default_stages)(depth=50, stride_in_1x1=False, norm="FrozenBN"),
    out_features=["res2", "res3", "res4", "res5"],
    freeze_at=2,
)

r50_p3_p7 = L(FPN)(
    bottom_up=_r50,
    in_features=["res3", "res4", "res5"],
    out_channels=256,
    top_block=L(LastLevelP6P7)(in_channels=256, out_channels=256, in_feature="p5"),
)

r50_p2_p6 = L(FPN)(
    bottom_up=_r50,
    in_features=["res2", "res3", "res4", "res5"],
    out_channels=256,
    top_block=L(LastLevelMaxPool)(),
)

tiny_p2_p5 = L(FPN)(
    bottom_up=L(tiny_resnet)(widths=(32, 32, 64, 96, 128), blocks=1, norm="GN"),
    in_features=["res2", "res3", "res4", "res5"],
    out_channels=64,
    norm="GN",
)


def level_shapes(channels: int, strides: list[int]) -> list[ShapeSpec]:
    """Shapes of pyramid levels of one width."""
    return [ShapeSpec(channels=channels, stride=stride) for stride in strides]
