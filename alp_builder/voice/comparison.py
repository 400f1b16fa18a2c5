"""Forced word times against published ones.

Two clocks of one recording may differ by a constant (what a program counts as the start of a word, or of the
recording), so the offset is the median of published minus forced starts over all words, and errors are what is
left when it is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from alp_builder.alignment import align_utterances
from alp_builder.narratives import NarrativeBatch
from alp_builder.records import NarrativeRecord
from alp_builder.voice.aligner import TimedWord
from alp_builder.voice.narrations import Narration

StartPair = tuple[float, float]
"""A word's forced start and its published one, in seconds."""


class VersusPublished(msgspec.Struct, frozen=True, kw_only=True):
    """How published starts of words differ from forced ones.

    Attributes:
        offset_s: Median of published minus forced, in seconds.
        median_abs_s: Median of the absolute error after the offset is removed, in seconds.
        p90_abs_s: Its 90th percentile.
        words: How many words were compared.
    """

    offset_s: float
    median_abs_s: float
    p90_abs_s: float
    words: int


def start_pairs(narration: Narration, words: Iterable[TimedWord]) -> list[StartPair]:
    """Starts of the words that have both times.

    Published utterances are found in the caption by `alp_builder.alignment`; those that start within a word of
    ours, or have no place, are left out.
    """
    record = NarrativeRecord("", "", 0, narration.caption, narration.published)
    places = align_utterances(NarrativeBatch.from_records([record])).char_start.tolist()
    ours: dict[int, float] = {}
    for word in words:
        silent = next((i for i, char in enumerate(word.text) if char.isalnum()), 0)
        ours[word.char_start + silent] = word.start
    return [
        (ours[place], utterance.start_time)
        for place, utterance in zip(places, narration.published, strict=True)
        if place in ours
    ]


def versus_published(pairs: list[StartPair]) -> VersusPublished | None:
    """The figures; None where nothing can be compared."""
    if not pairs:
        return None
    forced, published = np.array(pairs).T
    difference = published - forced
    offset = float(np.median(difference))
    error = np.abs(difference - offset)
    return VersusPublished(
        offset_s=round(offset, 4),
        median_abs_s=round(float(np.median(error)), 4),
        p90_abs_s=round(float(np.quantile(error, 0.9)), 4),
        words=len(pairs),
    )
