"""Optimiser and learning rate: the linear scaling rule, and no decay where it does harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.layers import CycleBatchNormList
from detectron2.solver import get_default_optimizer_params
from torch import nn

from trainer.engine.config import construct


def build_optimizer(cfg: Any, model: nn.Module, batch_size: int) -> torch.optim.Optimizer:
    """The optimiser of a config, over a model's trainable parameters.

    The rate in a config belongs to `train.reference_batch` images; for another batch it is scaled
    linearly (Goyal et al., 2017), because a smaller batch at the old rate is how runs become NaN.
    Norms and the classifier's scale are not decayed.

    Args:
        cfg: Config with `optimizer` and `train.reference_batch`.
        model: The model.
        batch_size: Images of a step, of all processes together.
    """
    groups = get_default_optimizer_params(
        model, weight_decay_norm=0.0, overrides={"log_scale": {"weight_decay": 0.0}}
    )
    groups = _without_decay(
        groups, [m for m in model.modules() if isinstance(m, CycleBatchNormList)]
    )
    rate = scaled_rate(cfg.optimizer.lr, batch_size, cfg.train.reference_batch)
    optimizer: torch.optim.Optimizer = construct(cfg.optimizer, params=groups, lr=rate)
    return optimizer


def scaled_rate(rate: float, batch_size: int, reference: int) -> float:
    """A learning rate for `batch_size` images, given the one for `reference` images.

    >>> scaled_rate(0.01, 8, 16)
    0.005
    """
    return rate * batch_size / reference


def _without_decay(
    groups: list[dict[str, Any]], modules: Sequence[nn.Module]
) -> list[dict[str, Any]]:
    """Groups in which the parameters of these modules, norms that detectron2 does not know, are not decayed."""
    chosen = {id(parameter) for module in modules for parameter in module.parameters()}
    if not chosen:
        return groups
    kept = [
        {**group, "params": [p for p in group["params"] if id(p) not in chosen]} for group in groups
    ]
    freed = [p for group in groups for p in group["params"] if id(p) in chosen]
    return [*(group for group in kept if group["params"]), {"params": freed, "weight_decay": 0.0}]
