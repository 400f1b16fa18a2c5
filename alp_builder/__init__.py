"""Narratives in, approximately localized phrases (ALPs) out. Knows nothing of torch."""
