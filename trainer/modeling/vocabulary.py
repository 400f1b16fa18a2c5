"""The classes of inference, chosen by name after training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from alp_builder.errors import UsageError
from trainer.modeling.columns import Embedder


class Vocabulary:
    """Class names and their text embeddings.

    Args:
        embedder: Names to vectors; the one the model was trained with.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.names: tuple[str, ...] = ()
        self._embeddings: Tensor | None = None

    def set(self, names: Sequence[str]) -> None:
        """Take these classes.

        Raises:
            UsageError: If there are none, or one comes twice.
        """
        if not names:
            raise UsageError("no class names: give at least one to look for")
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if list(names).count(n) > 1})
            raise UsageError(f"class names given twice: {', '.join(twice)}")
        self.names = tuple(names)
        self._embeddings = self.embedder.classes(self.names)

    def embeddings(self, device: torch.device) -> Tensor:
        """Unit embeddings `(C, D)` of the classes.

        Raises:
            UsageError: If no classes were chosen.
        """
        if self._embeddings is None:
            raise UsageError("the model has no classes to look for: call set_vocabulary(names)")
        self._embeddings = self._embeddings.to(device)
        return self._embeddings
