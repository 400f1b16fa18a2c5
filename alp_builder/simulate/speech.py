"""When a narrator says each word: start and end of every word of a caption, in seconds.

A word lasts `word_base + word_per_char * letters`, times a log-normal factor. After a phrase that
is pointed at the speaker waits for the pointer (that silence belongs to the phrase's window,
because a word lasts until the next one starts); before a sentence there is a breath. Words are then
gathered into **utterances** with the quirks of the published files: several words in one, a first
one without length, words that no utterance carries.

Invariants: starts and ends are sorted, no utterance ends before it starts, and utterances are words
of the caption in its order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alp_builder.simulate.captions import Caption
from alp_builder.simulate.dice import Dice
from alp_builder.simulate.noise import NoiseProfile

Seconds = NDArray[np.float64]


Utterance = tuple[str, float, float]
"""Text, start and end in seconds."""


def time_words(
    caption: Caption, visits: list[int], profile: NoiseProfile, rng: np.random.Generator
) -> tuple[Seconds, Seconds]:
    """Start and end of each word.

    Args:
        caption: What is said.
        visits: For each phrase, how many places the pointer goes to.
        profile: How fast, with which pauses.
        rng: Where the draws come from.

    Returns:
        Starts and ends, each of shape `(words,)`, in seconds from the start of the recording.
    """
    letters = np.fromiter(map(len, caption.words), dtype=float, count=len(caption.words))
    spread = np.exp(profile.word_spread * rng.standard_normal(len(letters)))
    length = (profile.word_base + profile.word_per_char * letters) * spread
    after = np.zeros(len(letters) + 1)
    if caption.phrases:
        first = np.array([phrase.first for phrase in caption.phrases])
        last = np.array([phrase.last for phrase in caption.phrases])
        places = np.array(visits, dtype=float)
        spoken = np.concatenate([[0.0], np.cumsum(length)])
        pause = rng.standard_exponential(len(last)) * profile.pause_mean * places
        least = profile.dwell_min * places - (spoken[last + 1] - spoken[first])
        after[last + 1] = np.maximum(pause, least)
    breath = rng.standard_exponential(len(caption.openers)) * profile.frame_pause
    after[caption.openers] += breath
    starts = np.cumsum(after[:-1]) + np.cumsum(length) - length
    return starts, starts + length


def utterances(
    caption: Caption,
    starts: Seconds,
    ends: Seconds,
    profile: NoiseProfile,
    dice: Dice,
) -> list[Utterance]:
    """Gather timed words into utterances.

    Args:
        caption: What is said.
        starts: Start of each word, shape `(words,)`.
        ends: End of each word, shape `(words,)`.
        profile: How often words are grouped, unheard, or have no length.
        dice: Where the draws come from.
    """
    begin, finish = np.round(starts, 3).tolist(), np.round(ends, 3).tolist()
    result = list(zip(caption.words, begin, finish, strict=True))
    opens_phrase = {phrase.first for phrase in caption.phrases}
    gone: list[int] = []
    for opener in caption.openers:
        # Two words of a frame become one utterance; a phrase keeps its words to itself.
        after = opener + 1
        if opener in opens_phrase or after in opens_phrase or after == len(result):
            continue
        if dice.chance(profile.grouped_rate):
            text = f"{caption.words[opener]} {caption.words[after]}"
            result[opener] = (text, begin[opener], finish[after])
            gone.append(after)
    if profile.unheard_rate > 0:
        gone += np.flatnonzero(dice.rng.random(len(result)) < profile.unheard_rate).tolist()
    for index in sorted(set(gone), reverse=True):
        del result[index]
    if len(result) > 1 and dice.chance(profile.zero_length_rate):
        result[0] = (result[0][0], 0.0, 0.0)
        result[1] = (result[1][0], 0.0, result[1][2])
    return result
