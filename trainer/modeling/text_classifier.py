"""Open-vocabulary classification: a feature is scored by its cosine to the embedding of a text.

    logit = tau * cos(W f, t) + b

`W` projects a visual feature into the space of the text encoder, which stays frozen; the columns (the
texts `t`) may differ from step to step, so nothing here has a number of classes.

Two variants, by what is usual where they are used:

* dense (FCOS-MO; GLIP, Li et al., CVPR 2022): `tau` is learned and capped, `b` is learned and starts at
  -4.6, the log-odds of the 1 % prior of RetinaNet, because nearly every point is background;
* two-stage (Mask R-CNN*; Detic, Zhou et al., ECCV 2022): `tau` is fixed at 50, no `b`, sigmoid, and the
  background is a zero vector whose logit is always 0.

Cosines are computed in float32 even under autocast: with `tau` 50, one bfloat16 step of a cosine near 1
would move the logit by 0.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PRIOR_BIAS = -4.6
"""log(0.01 / 0.99), RetinaNet's prior (Lin et al., ICCV 2017, section 4.1)."""

_TINY = 1e-24
"""Least squared length of a projected feature, as `torch.nn.functional.normalize` has it."""


class _Scale(nn.Module):
    """The factor `tau`: learned in log space and capped, or fixed.

    The cap stops the value, not the gradient: with a gradient of zero beyond it, as `clamp` has, a `tau` that
    once overshot could never come down again.
    """

    def __init__(self, initial: float, maximum: float, learned: bool) -> None:
        super().__init__()
        self.limit = math.log(maximum)
        value = torch.tensor(math.log(initial))
        if learned:
            self.log_scale: Tensor = nn.Parameter(value)
        else:
            self.register_buffer("log_scale", value)

    def forward(self) -> Tensor:
        beyond = (self.log_scale.detach() - self.limit).clamp(min=0)
        return (self.log_scale - beyond).exp()


class DenseTextClassifier(nn.Module):
    """The classifier of every location of a feature map.

    Args:
        in_channels: Channels of the feature map.
        text_dim: Length of the text embeddings.
        kernel_size: Of the projection, 1 or 3; 3 is what a stock FCOS spends on its class scores.
        scale: Start of `tau`.
        max_scale: Cap of `tau`.
        learn_scale: Whether `tau` is learned.
        bias: Start of the learned `b`.
    """

    def __init__(
        self,
        in_channels: int,
        text_dim: int,
        kernel_size: int = 1,
        scale: float = 50.0,
        max_scale: float = 100.0,
        learn_scale: bool = True,
        bias: float = PRIOR_BIAS,
    ) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, text_dim, kernel_size, padding=kernel_size // 2)
        _initialise(self.projection)
        self.scale = _Scale(scale, max_scale, learn_scale)
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, features: Tensor, texts: Tensor) -> Tensor:
        """Score every location against every text.

        Args:
            features: Feature map `(B, in_channels, H, W)`.
            texts: Unit text embeddings `(C, text_dim)`.

        Returns:
            Logits `(B, C, H, W)`, float32.
        """
        project = self.projection
        if (
            project.kernel_size == (1, 1)
            and project.in_channels < project.out_channels
            and len(texts)
        ):
            return self._without_projecting(features, texts)
        projected: Tensor = project(features)
        if len(texts) == 0:  # a convolution must have an output channel
            return projected[:, :0].float()
        with torch.autocast(features.device.type, enabled=False):
            unit = F.normalize(projected.float(), dim=1)
            # The cosine as a 1x1 convolution keeps the layout detectron2's dense heads expect.
            kernels = self.scale() * texts.float()[:, :, None, None]
            logits: Tensor = F.conv2d(unit, kernels) + self.bias
            return logits

    def _without_projecting(self, features: Tensor, texts: Tensor) -> Tensor:
        """The same for a 1x1 projection to more channels than it has, without making those at every location.

        With f the feature and a 1 beside it, and W the projection with its bias beside it:

            cos(W f, t) = f (W' t) / sqrt(f (W' W) f)

        so texts are brought to the features, not features to the texts: a feature map of 64 channels is never
        blown up to 384. A step of the table's FCOS-MO takes about 0.8 of the time.
        """
        assert self.projection.bias is not None
        with torch.autocast(features.device.type, enabled=False):
            weights = self.projection.weight.flatten(1).float()  # (D, K)
            weights = torch.cat([weights, self.projection.bias.float()[:, None]], dim=1)
            locations = F.pad(features.float().flatten(2).transpose(1, 2), (0, 1), value=1.0)
            gram = weights.T @ weights  # (K, K)
            squares = (locations @ gram * locations).sum(dim=2, keepdim=True)  # (B, H W, 1)
            towards = locations @ (weights.T @ texts.float().T)  # (B, H W, C)
            cosines = towards * squares.clamp(min=_TINY).rsqrt()
            logits: Tensor = (self.scale() * cosines + self.bias).transpose(1, 2)
            return logits.reshape(len(features), len(texts), *features.shape[2:])


class RegionTextClassifier(nn.Module):
    """The classifier of a region's feature vector.

    Args:
        in_features: Length of the region's feature.
        text_dim: Length of the text embeddings.
        scale: Start of `tau`.
        max_scale: Cap of `tau` where it is learned.
        learn_scale: Whether `tau` is learned; Detic fixes it.
        bias: A learned `b` that starts here, or None for none, as Detic.
    """

    def __init__(
        self,
        in_features: int,
        text_dim: int,
        scale: float = 50.0,
        max_scale: float = 100.0,
        learn_scale: bool = False,
        bias: float | None = None,
    ) -> None:
        super().__init__()
        self.projection = nn.Linear(in_features, text_dim)
        _initialise(self.projection)
        self.scale = _Scale(scale, max_scale, learn_scale)
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias))

    def forward(self, features: Tensor, texts: Tensor) -> Tensor:
        """Score regions against every text and the background.

        Args:
            features: Region features `(N, in_features)`.
            texts: Unit text embeddings `(C, text_dim)`.

        Returns:
            Logits `(N, C + 1)`, float32; the last column is the zero background.
        """
        projected = self.projection(features)
        with torch.autocast(features.device.type, enabled=False):
            logits = self.scale() * F.normalize(projected.float(), dim=1) @ texts.float().T
            if self.bias is not None:
                logits = logits + self.bias
            return F.pad(logits, (0, 1))


def _initialise(projection: nn.Conv2d | nn.Linear) -> None:
    nn.init.xavier_uniform_(projection.weight)
    assert projection.bias is not None
    nn.init.zeros_(projection.bias)
