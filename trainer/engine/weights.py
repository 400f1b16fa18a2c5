"""First weights: torchvision's ImageNet ResNets, or any checkpoint whose names fit.

torchvision and detectron2 name the same ResNet differently:

    layer1.0.conv2.weight        backbone.bottom_up.res2.0.conv2.weight
    layer1.0.bn2.weight          backbone.bottom_up.res2.0.conv2.norm.weight
    layer1.0.downsample.0/1      backbone.bottom_up.res2.0.shortcut / shortcut.norm
    conv1, bn1                   backbone.bottom_up.stem.conv1 / stem.conv1.norm
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from alp_builder.errors import UsageError
from trainer.engine.checkpoint import load_weights

logger = logging.getLogger(__name__)

TORCHVISION = "torchvision://"
BOTTOM_UP = "backbone.bottom_up."

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^conv1\."), "stem.conv1."),
    (re.compile(r"^bn1\."), "stem.conv1.norm."),
    (re.compile(r"\.bn(\d)\."), r".conv\1.norm."),
    (re.compile(r"\.downsample\.0\."), ".shortcut."),
    (re.compile(r"\.downsample\.1\."), ".shortcut.norm."),
)


def initialise(model: nn.Module, source: str, *, allow_pickle: bool = False) -> int:
    """Load first weights into a model.

    Args:
        model: The model; weights it has no place for are left out and logged.
        source: `torchvision://resnet50`, a checkpoint file, or nothing for a random start.
        allow_pickle: Whether a pickle may be loaded.

    Returns:
        Number of tensors loaded.

    Raises:
        UsageError: If the weights cannot be had, or none of them fits.
    """
    if not source:
        return 0
    if source.startswith(TORCHVISION):
        weights = _download(source.removeprefix(TORCHVISION))
    else:
        weights = load_weights(Path(source), allow_pickle=allow_pickle)
    if "layer1.0.conv1.weight" in weights:
        weights = from_torchvision(weights)
    own = model.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise UsageError(f"{source}: none of its {len(weights)} tensors fits the model")
    model.load_state_dict(fitting, strict=False)
    logger.info("%s: %d of %d tensors taken", source, len(fitting), len(weights))
    return len(fitting)


def from_torchvision(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A torchvision ResNet's weights under our names; its classifier is dropped."""
    out = {}
    for name, value in weights.items():
        if name.startswith("fc.") or name.endswith("num_batches_tracked"):
            continue
        new = re.sub(r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}", name)
        for pattern, replacement in _RULES:
            new = pattern.sub(replacement, new)
        out[BOTTOM_UP + new] = value
    return out


def _download(name: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    try:
        weights = get_model_weights(name).DEFAULT
    except ValueError as error:
        raise UsageError(f"{TORCHVISION}{name}: torchvision has no such model") from error
    if hasattr(type(weights), "IMAGENET1K_V1"):
        weights = type(weights).IMAGENET1K_V1  # the ones detection results are published with
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"{TORCHVISION}{name}: cannot be downloaded ({error}); offline, put the file of "
            f"{weights.url} into {torch.hub.get_dir()}/checkpoints, or set train.init_weights to it"
        ) from error
