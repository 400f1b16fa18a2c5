"""CLIP's text tower through open_clip: any of its models, by pretrained name or from a local file.

OpenAI's weights, and some others, were trained with an approximation of GELU ("QuickGELU"). open_clip has
models with either (`ViT-B-32`, `ViT-B-32-quickgelu`), and only warns where weights meet the wrong one; their
vectors are then slightly wrong. Published weights get theirs here, whatever the model is called.
"""

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
        pretrained: Name of published weights, or a local checkpoint file: a state dict (`.pt`, `.bin`) or
            safetensors, not the TorchScript archive that OpenAI distributes.
        device: Where to encode; the vectors come back to the CPU.
        quick_gelu: Whether the weights want QuickGELU; if `None`, what is known of published weights, and
            for a file what the model has.

    Raises:
        UsageError: If the weights cannot be had: no such file or name, or no connection.
    """

    class_templates: tuple[str, ...] = TEMPLATES
    phrase_template: str = "a photo of {}"

    def __init__(
        self,
        model: str = "ViT-B-32-quickgelu",
        pretrained: str = "openai",
        device: str = "cpu",
        quick_gelu: bool | None = None,
    ) -> None:
        self._device = device
        wanted = _wants_quick_gelu(model, pretrained)
        quick = wanted if quick_gelu is None else quick_gelu
        self._model, self._tokenizer = _load(model, pretrained, device, quick)
        local = Path(pretrained)
        weights = file_fingerprint(local) if local.is_file() else pretrained
        activation = "quickgelu" if quick else "gelu"
        self.fingerprint = f"open-clip-{model}-{weights}-{activation}".replace("/", "-")
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


def _wants_quick_gelu(model: str, pretrained: str) -> bool:
    """Whether published weights want QuickGELU; of a file, whether the model has it.

    Raises:
        UsageError: If there is no such model.
    """
    import open_clip

    if model not in open_clip.list_models():
        raise UsageError(f"open_clip has no model {model!r}; see open_clip.list_models()")
    settings = open_clip.get_model_config(model)
    if not Path(pretrained).is_file():
        settings = open_clip.get_pretrained_cfg(model, pretrained) or {}
    return bool(settings.get("quick_gelu", False))


def _load(model: str, pretrained: str, device: str, quick_gelu: bool) -> tuple[Any, Any]:
    import open_clip

    known = open_clip.list_pretrained_tags_by_model(model)
    is_file = Path(pretrained).is_file()
    if not is_file and pretrained not in known:
        raise UsageError(
            f"{pretrained!r}: neither a checkpoint file nor published weights of {model}; "
            f"expected one of {', '.join(known)}"
        )
    try:
        # The image tower is part of every checkpoint; it is dropped once loaded.
        network = open_clip.create_model(
            model, pretrained=pretrained, device=device, force_quick_gelu=quick_gelu
        ).eval()
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else repr(error)
        hint = "offline, give a checkpoint file as `pretrained`, or use text.name=minilm"
        if is_file:
            hint = (
                "expected a state dict or safetensors of that model, such as open_clip_model.safetensors "
                "of its page on the Hugging Face hub; OpenAI's own .pt is a TorchScript archive"
            )
        raise UsageError(
            f"open_clip weights {model}/{pretrained} cannot be loaded ({reason}); {hint}"
        ) from error
    network.visual = None
    return network, open_clip.get_tokenizer(model)
