"""Phrases to time windows: when the speaker was on a phrase.

A window runs from the start of the phrase's first utterance to the later of two ends: the end of its last
utterance and the start of the next one, because speakers keep pointing while they look for the next word.
`window.end = "utterance"` leaves the second end out. A lag moves the whole window.

"Next" means the first utterance that starts strictly later: published records hold zero-length utterances
("In" 0.0-0.0, "this" 0.0-0.8), where a group of words shares one time.

Legend: N narratives, U utterances, F phrases of all narratives. Times are int64 microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alp_builder.alignment import Alignment
from alp_builder.arrays import (
    Bools,
    Ints,
    group_of,
    offsets_of,
    ranges,
    segment_any,
    segment_reduce,
)
from alp_builder.config import WindowConfig
from alp_builder.narratives import MICROSECONDS, NarrativeBatch

TIME_BITS = 42
"""Bits of a time in a (narrative, time) key: 50 days in microseconds, and room for 2**21 narratives."""


@dataclass(frozen=True)
class Windows:
    """Windows of F phrases.

    Attributes:
        start: int64 (F,), microseconds.
        end: int64 (F,), microseconds, not before `start`.
        timed: bool (F,), some utterance covers the phrase; the other fields mean nothing where not.
        ordered: bool (F,), none of those utterances is out of the order of time; start and end mean
            nothing where one is.
    """

    start: Ints
    end: Ints
    timed: Bools
    ordered: Bools

    def take(self, chosen: Bools) -> Windows:
        """The windows where `chosen`, bool (F,), is set."""
        return Windows(
            self.start[chosen], self.end[chosen], self.timed[chosen], self.ordered[chosen]
        )


def time_keys(narrative: Ints, time: Ints) -> Ints:
    """Joins narrative and time into keys that sort by narrative first; a time before 0 counts as 0."""
    return (narrative << TIME_BITS) + np.maximum(time, 0)


def phrase_windows(
    batch: NarrativeBatch,
    alignment: Alignment,
    narrative: Ints,
    char_start: Ints,
    char_end: Ints,
    config: WindowConfig,
) -> Windows:
    """Finds the window of each phrase.

    Args:
        batch: N narratives with U utterances.
        alignment: Places of the utterances.
        narrative: int64 (F,), the narrative of each phrase.
        char_start: int64 (F,), the phrase's first character in its caption.
        char_end: int64 (F,), one past its last character.
        config: Window end and lag.

    Returns:
        The windows.
    """
    owner = group_of(batch.utterance_offsets)
    # Characters of all captions end to end: places never overlap, so both their ends are sorted too.
    caption_offsets = offsets_of(np.fromiter(map(len, batch.captions), np.int64, len(batch)) + 1)
    by_place = alignment.by_place
    shift = caption_offsets.take(owner.take(by_place))
    place_start = alignment.char_start.take(by_place) + shift
    place_end = alignment.char_end.take(by_place) + shift

    text = caption_offsets.take(narrative)
    first = place_end.searchsorted(char_start + text, "right")
    last = place_start.searchsorted(char_end + text)
    timed = last > first
    sizes = np.where(timed, last - first, 0)
    offsets = offsets_of(sizes)
    words = by_place.take(ranges(first, sizes, offsets))
    end = segment_reduce(np.maximum, batch.utterance_end.take(words), offsets, 0)
    # Words in order start one after the other: the first of them first, the last of them last.
    outer = words.take(np.array([offsets[:-1], offsets[1:] - 1])[:, timed])
    start, latest_start = np.zeros((2, len(sizes)), np.int64)
    start[timed], latest_start[timed] = batch.utterance_start[outer]
    if config.end == "next_word":
        end = np.maximum(end, _next_start(batch, owner, narrative, latest_start))
    ordered = np.ones(len(sizes), np.bool_)
    if alignment.out_of_order.any():
        ordered = ~segment_any(alignment.out_of_order[words], offsets)
    lag = round(config.lag * MICROSECONDS)
    return Windows(start + lag, end + lag, timed, ordered)


def _next_start(batch: NarrativeBatch, owner: Ints, narrative: Ints, time: Ints) -> Ints:
    """The first utterance start later than `time` in each phrase's narrative, 0 where there is none."""
    keys = time_keys(owner, batch.utterance_start)
    if (keys[1:] < keys[:-1]).any():  # rare
        keys.sort()
    position = keys.searchsorted(time_keys(narrative, time), "right")
    exists = position < batch.utterance_offsets[narrative + 1]
    found = keys[np.where(exists, position, 0)] if len(keys) else np.zeros(len(time), np.int64)
    return np.where(exists, found - (narrative << TIME_BITS), 0)
