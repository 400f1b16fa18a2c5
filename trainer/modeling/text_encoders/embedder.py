"""Prompts around names and phrases, the cache behind the encoder, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.modeling.text_encoders.cache import VectorCache
from trainer.modeling.text_encoders.encoder import TextEncoder, Vectors


class TextEmbedder:
    """Unit vectors of class names and phrases.

    A class name is the mean of its prompts' unit vectors (CLIP's prompt ensemble: Radford et al., ICML
    2021, section 3.1.4), scaled to unit length; a phrase has one prompt.

    Args:
        encoder: The frozen encoder.
        cache_dir: Folder of the on-disk cache; None keeps the vectors in memory only.
        class_templates: Prompts of class names, instead of the encoder's.
        phrase_template: Prompt of phrases, instead of the encoder's.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        cache_dir: str | Path | None = None,
        class_templates: Sequence[str] | None = None,
        phrase_template: str | None = None,
    ) -> None:
        self.encoder = encoder
        templates = encoder.class_templates if class_templates is None else class_templates
        self.class_templates = tuple(templates)
        self.phrase_template = phrase_template or encoder.phrase_template
        folder = None if cache_dir is None else Path(cache_dir) / encoder.fingerprint
        self.cache = VectorCache(folder, encoder.dim)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.dim

    @property
    def fingerprint(self) -> str:
        """The encoder's."""
        return self.encoder.fingerprint

    def classes(self, names: Sequence[str]) -> Tensor:
        """Unit vectors `(N, dim)` of class names, float32."""
        prompts = [t.format(_bare(name)) for name in names for t in self.class_templates]
        vectors = self._unit(prompts).reshape(len(names), len(self.class_templates), self.dim)
        return F.normalize(vectors.mean(dim=1), dim=1)

    def phrases(self, phrases: Sequence[str]) -> Tensor:
        """Unit vectors `(N, dim)` of phrases, float32."""
        return self._unit([self.phrase_template.format(_bare(phrase)) for phrase in phrases])

    def flush(self) -> int:
        """Write new vectors to the cache; returns how many."""
        return self.cache.flush()

    def _unit(self, texts: list[str]) -> Tensor:
        if not texts:
            return torch.empty(0, self.dim)
        return F.normalize(torch.from_numpy(self.cache.lookup(texts, self._encode_unit)), dim=1)

    def _encode_unit(self, texts: list[str]) -> Vectors:
        # One by one: the last bits of a vector depend on what shares its batch, a float16 in the cache
        # now and then turns one of them into a thousandth, and a run that finds a part of its phrases
        # in the cache would not repeat the run that found none.
        vectors = np.concatenate([self.encoder.encode([text]) for text in texts])
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.maximum(length, np.finfo(np.float32).tiny)
        return unit


def _bare(name: str) -> str:
    return " ".join(name.replace("_", " ").split())
