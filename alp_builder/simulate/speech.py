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

from alp_builder.simulate.captions import Caption
from alp_builder.simulate.dice import Dice
from alp_builder.simulate.noise import NoiseProfile

Seconds = list[float]


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
        Starts and ends of the words, in seconds from the start of the recording.
    """
    # A caption is short: plain floats are faster than arrays here.
    spread = np.exp(profile.word_spread * rng.standard_normal(len(caption.words))).tolist()
    base, per_char = profile.word_base, profile.word_per_char
    lengths = [
        (base + per_char * len(word)) * factor
        for word, factor in zip(caption.words, spread, strict=True)
    ]
    after = [0.0] * (len(lengths) + 1)
    pauses = rng.standard_exponential(len(caption.phrases)).tolist() if caption.phrases else []
    for phrase, places, pause in zip(caption.phrases, visits, pauses, strict=True):
        spoken = sum(lengths[phrase.first : phrase.last + 1])
        least = profile.dwell_min * places - spoken
        after[phrase.last + 1] = max(pause * profile.pause_mean * places, least)
    breaths = rng.standard_exponential(len(caption.openers)).tolist()
    for opener, breath in zip(caption.openers, breaths, strict=True):
        after[opener] += breath * profile.frame_pause
    starts, ends, clock = [], [], 0.0
    for length, silence in zip(lengths, after[:-1], strict=True):
        clock += silence
        starts.append(clock)
        clock += length
        ends.append(clock)
    return starts, ends


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
        starts: Start of each word.
        ends: End of each word.
        profile: How often words are grouped, unheard, or have no length.
        dice: Where the draws come from.
    """
    begin, finish = [round(t, 3) for t in starts], [round(t, 3) for t in ends]
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
