"""CLIP's text tower through open_clip: any of its models, by pretrained name or from a local file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alp_builder.errors import UsageError
from trainer.modeling.text_encoders.encoder import Vectors, file_fingerprint

TEMPLATES: tuple[str, ...] = (
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of one {}.",
    "a photo of a small {}.",
    "a photo of a large {}.",
    "a cropped photo of a {}.",
    "a blurry photo of a {}.",
    "a bright photo of a {}.",
    "a dark photo of a {}.",
    "a close-up photo of a {}.",
    "a photo of a {} in the scene.",
    "there is a {} in the scene.",
    "there is the {} in the scene.",
    "a picture of a {}.",
)
"""Fourteen prompts of one class name, averaged: sizes, light and scenes, in the manner of ViLD's."""

BATCH = 256


class OpenClipEncoder:
    """The text tower of a CLIP model.

    Args:
        model: Architecture as open_clip names it.
        pretrained: Name of published weights, or a local checkpoint file.
        device: Where to encode; the vectors come back to the CPU.

    Raises:
        UsageError: If the weights cannot be had: no such file or name, or no connection.
    """

    class_templates: tuple[str, ...] = TEMPLATES
    phrase_template: str = "a photo of {}"

    def __init__(
        self, model: str = "ViT-B-32", pretrained: str = "openai", device: str = "cpu"
    ) -> None:
        self._device = device
        self._model, self._tokenizer = _load(model, pretrained, device)
        local = Path(pretrained)
        weights = file_fingerprint(local) if local.is_file() else pretrained
        self.fingerprint = f"open-clip-{model}-{weights}".replace("/", "-")
        self.dim = int(self.encode(["a"]).shape[1])

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors `(N, dim)`, as the tower gives them."""
        parts = [
            self._model.encode_text(self._tokenizer(list(texts[i : i + BATCH])).to(self._device))
            for i in range(0, len(texts), BATCH)
        ]
        if not parts:
            return np.empty((0, self.dim), dtype=np.float32)
        out: Vectors = torch.cat(parts).float().cpu().numpy()
        return out


def _load(model: str, pretrained: str, device: str) -> tuple[Any, Any]:
    import open_clip

    if model not in open_clip.list_models():
        raise UsageError(f"open_clip has no model {model!r}; see open_clip.list_models()")
    known = open_clip.list_pretrained_tags_by_model(model)
    if not Path(pretrained).is_file() and pretrained not in known:
        raise UsageError(
            f"{pretrained!r}: neither a checkpoint file nor published weights of {model}; "
            f"expected one of {', '.join(known)}"
        )
    try:
        # The image tower is part of every checkpoint; it is dropped once loaded.
        network = open_clip.create_model(model, pretrained=pretrained, device=device).eval()
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else repr(error)
        raise UsageError(
            f"open_clip weights {model}/{pretrained} cannot be loaded ({reason}); offline, give a "
            "checkpoint file as `pretrained`, or use text.name=minilm"
        ) from error
    network.visual = None
    return network, open_clip.get_tokenizer(model)
