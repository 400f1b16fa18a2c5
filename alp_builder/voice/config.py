"""Every choice of the forced alignment, in one documented place."""

from __future__ import annotations

import msgspec

from alp_builder.config import Count, Fraction, Positive, Signed


class VoiceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How voices are read and words are timed.

    Attributes:
        max_seconds: Longest recording that is decoded, in seconds.
        max_words: Most spoken words of a caption.
        offset: Seconds added to every time.
        min_confidence: Confidence of the whole below which a caption is said not to fit its recording.
    """

    max_seconds: Positive = 900.0
    max_words: Count = 1_000
    offset: Signed = 0.0
    min_confidence: Fraction = 0.5
