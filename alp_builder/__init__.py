"""Narratives in, approximately localized phrases (ALPs) out. Knows nothing of torch."""

from alp_builder.reader import AlpDataset, open_alps, read_alps

__all__ = ["AlpDataset", "open_alps", "read_alps"]
