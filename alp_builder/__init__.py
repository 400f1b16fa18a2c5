"""Narratives in, approximately localized phrases (ALPs) out. Knows nothing of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alp_builder.reader import AlpDataset, open_alps, read_alps

__all__ = ["AlpDataset", "open_alps", "read_alps"]


def __getattr__(name: str) -> Any:
    """Imports the reader when it is asked for: it takes a second, which the workers of a build save."""
    if name in __all__:
        from alp_builder import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
