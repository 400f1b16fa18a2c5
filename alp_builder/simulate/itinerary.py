"""Where a narrator means to point when: the visits that a caption and its times ask for.

Every phrase asks for a visit of each thing it means, all within its window, from the start of its first
word to the start of the next word. Some phrases are spoken without pointing; sometimes a scribble falls
into two places; in long pauses the pointer wanders or leaves the image.
"""

from __future__ import annotations

from alp_builder.simulate.captions import Caption, Phrase, Thing
from alp_builder.simulate.dice import Dice
from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.pointer import LEAVE, ON, WANDER
from alp_builder.simulate.speech import Seconds

SPLIT_PAUSE = 0.5
"""Seconds between the two places of a scribble that falls apart."""


LONG_PAUSE = 1.0
"""Seconds between phrases that leave time to wander."""

Box = tuple[float, float, float, float]
"""xyxy in image sides."""

Stop = tuple[int, int, float, float, bool, float, float, float, float]
"""Kind, region, start, end and lift of a visit, and the box round all that its phrase means."""

STOP_SIZE = 9
"""Numbers of a stop."""

NO_BOX = (0.0, 0.0, 1.0, 1.0)


def itinerary(
    caption: Caption,
    things: list[Thing],
    places: list[list[int]],
    first: int,
    starts: Seconds,
    ends: Seconds,
    profile: NoiseProfile,
    dice: Dice,
) -> list[Stop]:
    """Where the pointer should be when, phrase by phrase."""
    stops: list[Stop] = []
    window_ends = [*starts[1:], ends[-1] + profile.pause_mean + profile.dwell_min]
    free = 0.0
    for phrase, place in zip(caption.phrases, places, strict=True):
        begin, finish = starts[phrase.first], window_ends[phrase.last]
        if dice.chance(profile.skip_rate):
            continue
        if begin - free > LONG_PAUSE:
            if dice.chance(profile.leave_rate):
                stops.append((LEAVE, 0, free + 0.3, begin - 0.4, False, *NO_BOX))
            elif dice.chance(profile.wander_rate):
                stops.append((WANDER, 0, free + 0.3, begin - 0.3, False, *NO_BOX))
        frame = frame_of(phrase, things)
        places_of_one = 1
        while len(place) == 1 and places_of_one < profile.split_most:
            if not dice.chance(profile.split_rate):
                break
            places_of_one += 1
        split = places_of_one > 1
        rest = SPLIT_PAUSE if split else 0.0
        visited = place * places_of_one
        share = (finish - begin) / len(visited)
        for turn, region in enumerate(visited):
            at = begin + turn * share
            lift = (split and turn > 0) or dice.chance(profile.lift_rate)
            last = turn == len(visited) - 1
            until = at + (share if last or not split else max(0.4 * share, share - rest))
            stops.append((ON, first + region, at, until, lift, *frame))
        free = finish
    return stops


def places_of(phrase: Phrase, things: int, most: int) -> list[int]:
    """Regions of the image a phrase leads the pointer to, at most so many."""
    if phrase.stuff >= 0:
        return [things + phrase.stuff]
    return phrase.things[:most]


def frame_of(phrase: Phrase, things: list[Thing]) -> Box:
    """Box round all things that a phrase means; the whole image for stuff."""
    if not phrase.things:
        return NO_BOX
    if len(phrase.things) == 1:
        x, y, w, h = things[phrase.things[0]].box
        return x, y, x + w, y + h
    boxes = [things[i].box for i in phrase.things]
    return (
        min(x for x, _, _, _ in boxes),
        min(y for _, y, _, _ in boxes),
        max(x + w for x, _, w, _ in boxes),
        max(y + h for _, y, _, h in boxes),
    )
