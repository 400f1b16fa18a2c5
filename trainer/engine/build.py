"""From a LazyConfig to a model: the text encoder first, then what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from alp_builder.errors import UsageError
from trainer.engine.config import construct
from trainer.modeling.text_encoders import TextEmbedder


def build_embedder(cfg: Any) -> TextEmbedder:
    """The text embedder a config names.

    Args:
        cfg: Config with `text.name`, one of `text.encoders`, and `text.cache_dir`.

    Raises:
        UsageError: If there is no encoder of that name.
    """
    name = cfg.text.name
    if name not in cfg.text.encoders:
        known = ", ".join(sorted(cfg.text.encoders))
        raise UsageError(f"text.name={name}: expected one of {known}")
    return TextEmbedder(construct(cfg.text.encoders[name]), cache_dir=cfg.text.cache_dir)


def build_model(
    cfg: Any,
    embedder: TextEmbedder,
    base_names: Sequence[str],
    box_names: Sequence[str] | None = None,
    device: str | None = None,
    phrases: Callable[[], Sequence[tuple[str, str]]] = tuple,
) -> nn.Module:
    """The model of a config, on its device.

    Args:
        cfg: Config with `model`; `model.columns` becomes a `ColumnBuilder`, and `text.dim` is set.
        embedder: Texts to vectors.
        base_names: Names of the classes with masks.
        box_names: Names of the classes of true-box batches.
        device: Where to put it; `train.device` unless given.
        phrases: Gives the phrases of the narratives and their head lemmas, the commonest first; called
            only if the columns want them.
    """
    cfg.text.dim = embedder.dim
    columns = construct(
        cfg.model.columns,
        embedder=embedder,
        base_names=base_names,
        box_names=box_names,
        common_phrases=phrases() if cfg.model.columns.get("known_weight", 0.0) > 0 else (),
    )
    torch.manual_seed(cfg.train.seed)
    model: nn.Module = construct(cfg.model, columns=columns)
    return model.to(pick_device(device or cfg.train.device))


def pick_device(name: str) -> torch.device:
    """A device by name; `auto` is this process's GPU where there is one, else the CPU.

    Raises:
        UsageError: If a GPU is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"train.device={name}: torch sees no GPU; use train.device=cpu")
    device = torch.device(name)
    if name == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    return device
