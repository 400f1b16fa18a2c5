"""Mask heads: the hourglass of Deep-MARC and the plain FCN of Mask R-CNN, both class-agnostic.

Deep-MARC ("The surprising impact of mask-head architecture on novel class segmentation", Birodkar et
al., ICCV 2021, section 4) found that a deep hourglass, trained on crops of true boxes, segments classes
whose masks it never saw, where the usual four convolutions do not. This is its RoIAlign form: a crop of
the feature pyramid goes through a stem, one recursive encoder-decoder and an output convolution, and a
2x transposed convolution doubles the resolution of the logits.

    crop (N, C, S, S) -> stem (N, 2 nc, S, S) -> hourglass (same) -> upsample -> logits (N, 1, 2S, 2S)

Every stage of the hourglass halves the crop, so `S` must be divisible by 2 ** stages: 32 for the big
ones. All norms are GroupNorm, whose statistics are per crop: a head that sees no crop in a batch (ALPs
have no masks) stays well defined, and results do not depend on how a batch is split over processes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

NORM_GROUPS = 32
"""Groups of GroupNorm (Wu and He, ECCV 2018), fewer where a layer has fewer channels."""


@dataclass(frozen=True, slots=True)
class HourglassSpec:
    """Depth and width of one published hourglass.

    Attributes:
        blocks: Residual blocks per stage, the bottleneck's last.
        channels: Channels per stage as multiples of the base width, the bottleneck's last.
    """

    blocks: tuple[int, ...]
    channels: tuple[int, ...]


SPECS: dict[int, HourglassSpec] = {
    20: HourglassSpec((1, 2, 2), (2, 2, 3)),
    32: HourglassSpec((2, 2, 2, 2), (2, 2, 3, 3)),
    52: HourglassSpec((2, 2, 2, 2, 2, 4), (2, 2, 3, 3, 3, 4)),
    100: HourglassSpec((4, 4, 4, 4, 4, 8), (2, 2, 3, 3, 3, 4)),
}
"""HG-20, HG-32, HG-52 and HG-100, by number of layers."""


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with the most groups, at most `NORM_GROUPS`, that divide the channels."""
    groups = next(g for g in range(min(NORM_GROUPS, channels), 0, -1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def conv_norm(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution without bias and its norm; spatial size is kept, then divided by the stride."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, group_norm(c_out))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a skip, which is a 1x1 convolution where shapes change."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv_norm(c_in, c_out, 3, stride)
        self.conv2 = conv_norm(c_out, c_out, 3)
        same = c_in == c_out and stride == 1
        self.skip: nn.Module = nn.Identity() if same else conv_norm(c_in, c_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, c_in, S, S)` to `(N, c_out, S / stride, S / stride)`."""
        y: Tensor = self.conv2(F.relu(self.conv1(x)))
        return F.relu(y + self.skip(x))


def residual_stage(c_in: int, c_out: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """Blocks in a row; the first one carries the stride and the change of channels."""
    first = ResidualBlock(c_in, c_out, stride)
    return nn.Sequential(first, *(ResidualBlock(c_out, c_out) for _ in range(blocks - 1)))


class Hourglass(nn.Module):
    """One encoder-decoder: `up(decode(inner(down(x)))) + skip(x)`, where `inner` is a smaller one.

    Args:
        channels: Channels per stage, the bottleneck's last; the input has `channels[0]`.
        blocks: Residual blocks per stage, as many entries.
    """

    def __init__(self, channels: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        outer, inner = channels[0], channels[1]
        self.skip = residual_stage(outer, outer, blocks[0])
        self.down = residual_stage(outer, inner, blocks[0], stride=2)
        self.inner: nn.Module = (
            Hourglass(channels[1:], blocks[1:])
            if len(channels) > 2
            else residual_stage(inner, inner, blocks[1])
        )
        # The change back to the outer width comes last, mirroring `down`.
        keep = [ResidualBlock(inner, inner) for _ in range(blocks[0] - 1)]
        self.up = nn.Sequential(*keep, ResidualBlock(inner, outer))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, channels[0], S, S)` to the same shape; S must be even at every stage."""
        y = self.up(self.inner(self.down(x)))
        out: Tensor = self.skip(x) + F.interpolate(y, scale_factor=2.0, mode="nearest")
        return out


class _Upsampler(nn.Module):
    """2x transposed convolution, norm, ReLU, and the 1x1 convolution to one logit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)
        nn.init.kaiming_normal_(self.deconv.weight, mode="fan_out", nonlinearity="relu")
        self.norm = group_norm(channels)
        self.predictor = nn.Conv2d(channels, 1, 1)
        nn.init.normal_(self.predictor.weight, std=0.001)  # as Mask R-CNN's: logits start near 0
        assert self.predictor.bias is not None
        nn.init.zeros_(self.predictor.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.predictor(F.relu(self.norm(self.deconv(x))))
        return logits


class MaskHead(nn.Module):
    """What both heads share: crops in, class-agnostic logits out.

    Attributes:
        crop_size: Side of the square crops the head expects.
        mask_size: Side of its logits, twice that.
    """

    def __init__(self, body: nn.Module, channels: int, crop_size: int) -> None:
        super().__init__()
        self.crop_size = crop_size
        self.mask_size = 2 * crop_size
        self.body = body
        self.upsampler = _Upsampler(channels)

    def forward(self, crops: Tensor) -> Tensor:
        """Predict masks.

        Args:
            crops: Features of shape `(N, C, crop_size, crop_size)`; N may be 0.

        Returns:
            Logits of shape `(N, 1, mask_size, mask_size)`.
        """
        if len(crops) == 0:  # cuDNN refuses some empty convolutions
            return crops.new_zeros((0, 1, self.mask_size, self.mask_size))
        logits: Tensor = self.upsampler(self.body(crops))
        return logits


class HourglassMaskHead(MaskHead):
    """HG-20, HG-32, HG-52 or HG-100.

    With 256 input channels and `width=64` they have 5.7, 10.6, 23.6 and 47.4 million parameters, the
    published counts of Deep-MARC (table 8).

    Args:
        in_channels: Channels of the crops.
        depth: A key of `SPECS`.
        width: Base width, "nc" in the paper.
        crop_size: Side of the crops; divisible by 2 to the number of stages.

    Raises:
        ValueError: If the depth is unknown or the crop cannot be halved often enough.
    """

    def __init__(
        self, in_channels: int, depth: int = 52, width: int = 64, crop_size: int = 32
    ) -> None:
        if depth not in SPECS:
            raise ValueError(f"hourglass depth {depth}: expected one of {sorted(SPECS)}")
        spec = SPECS[depth]
        stages = len(spec.channels) - 1
        if crop_size % 2**stages:
            raise ValueError(f"crop size {crop_size}: HG-{depth} needs a multiple of {2**stages}")
        channels = tuple(width * multiple for multiple in spec.channels)
        body = nn.Sequential(
            conv_norm(in_channels, width, 3),
            nn.ReLU(),
            ResidualBlock(width, channels[0]),
            Hourglass(channels, spec.blocks),
            conv_norm(channels[0], channels[0], 3),
            nn.ReLU(),
        )
        super().__init__(body, channels[0], crop_size)


class FCNMaskHead(MaskHead):
    """Mask R-CNN's head as the ablation's reference: 3x3 convolutions in a row, GroupNorm.

    Args:
        in_channels: Channels of the crops.
        width: Channels of the convolutions.
        num_convs: How many there are.
        crop_size: Side of the crops.
    """

    def __init__(
        self, in_channels: int, width: int = 256, num_convs: int = 4, crop_size: int = 14
    ) -> None:
        layers: list[nn.Module] = []
        for i in range(num_convs):
            layers += [conv_norm(in_channels if i == 0 else width, width, 3), nn.ReLU()]
        super().__init__(nn.Sequential(*layers), width if num_convs else in_channels, crop_size)


def count_parameters(module: nn.Module) -> int:
    """Number of scalars a module learns."""
    return sum(p.numel() for p in module.parameters())
