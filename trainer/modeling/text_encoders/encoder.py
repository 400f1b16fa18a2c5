"""What a text encoder is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
CHUNK = 1 << 20


class TextEncoder(Protocol):
    """Texts in, vectors out; frozen, and the same vectors for the same text, always."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """A file-name-safe name of the weights; encoders that share it give the same vectors."""

    @property
    def class_templates(self) -> tuple[str, ...]:
        """Prompts whose vectors are averaged for a class name; each has one `{}`."""

    @property
    def phrase_template(self) -> str:
        """The prompt of a free phrase, with one `{}`."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors `(N, dim)`, float32, not necessarily of unit length."""


def file_fingerprint(path: Path) -> str:
    """First 12 hexadecimal digits of a file's sha256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()[:12]
