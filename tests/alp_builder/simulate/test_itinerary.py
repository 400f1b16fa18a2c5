"""Where the pointer should be when: every thing meant, within its phrase's window."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_builder.simulate import PROFILES
from alp_builder.simulate.captions import Phrase, Thing, compose
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.itinerary import Stop, frame_of, itinerary, places_of
from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.pointer import LEAVE, ON, WANDER
from alp_builder.simulate.speech import time_words

FIRST = 100
"""Number of an image's first region."""


def make_things(boxes: list[tuple[float, float, float, float]]) -> list[Thing]:
    names = [("dog", "dogs"), ("mug", "mugs"), ("fish", "fish")]
    return [
        Thing(7 + index, index % 3, *names[index % 3], "red", box)
        for index, box in enumerate(boxes)
    ]


def narrate(
    profile: NoiseProfile, things: list[Thing], seed: int
) -> tuple[list[Phrase], list[tuple[float, float]], list[Stop]]:
    """Phrases, their windows, and the stops of a narrative."""
    rng = generator("itinerary", seed)
    dice = Dice(rng)
    caption = compose(things, ["sky", "grass"], dice)
    places = [places_of(phrase, len(things), profile.most_each) for phrase in caption.phrases]
    starts, ends = time_words(caption, [len(place) for place in places], profile, rng)
    stops = itinerary(caption, things, places, FIRST, starts, ends, profile, dice)
    until = [*starts[1:], ends[-1] + profile.pause_mean + profile.dwell_min]
    windows = [(starts[phrase.first], until[phrase.last]) for phrase in caption.phrases]
    return caption.phrases, windows, stops


boxes = st.lists(
    st.tuples(st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0.05, 0.3), st.floats(0.05, 0.3)),
    min_size=1,
    max_size=9,
)


@settings(max_examples=60, deadline=None)
@given(boxes, st.integers(0, 10**6))
def test_without_noise_every_thing_meant_is_visited_in_its_window(
    there: list[tuple[float, float, float, float]], seed: int
) -> None:
    things = make_things(there)
    phrases, windows, stops = narrate(PROFILES["clean"], things, seed)
    assert [stop[0] for stop in stops] == [ON] * len(stops)
    left = iter(stops)
    for phrase, (begin, finish) in zip(phrases, windows, strict=True):
        meant = phrase.things or [len(things) + phrase.stuff]
        for region in meant:
            _, at, start, end, lift, *frame = next(left)
            assert at == FIRST + region
            assert begin - 1e-9 <= start < end <= finish + 1e-9
            assert lift
            assert tuple(frame) == frame_of(phrase, things)
            assert end - start > PROFILES["clean"].dwell_min * 0.99
    assert next(left, None) is None


@settings(max_examples=60, deadline=None)
@given(boxes, st.sampled_from(sorted(PROFILES)), st.integers(0, 10**6))
def test_stops_follow_each_other_and_their_phrases(
    there: list[tuple[float, float, float, float]], name: str, seed: int
) -> None:
    profile, things = PROFILES[name], make_things(there)
    phrases, windows, stops = narrate(profile, things, seed)
    assert (np.diff([stop[2] for stop in stops]) >= 0).all()
    assert all(stop[3] > stop[2] for stop in stops)
    for kind, region, start, end, *_ in stops:
        assert kind in (ON, WANDER, LEAVE)
        if kind == ON:
            mine = [
                phrase
                for phrase, (begin, finish) in zip(phrases, windows, strict=True)
                if begin - 1e-9 <= start
                and end <= finish + 1e-9
                and region - FIRST in (phrase.things or [len(things) + phrase.stuff])
            ]
            assert mine, "a visit lies in the window of a phrase that means its region"


def test_a_plural_is_visited_as_often_as_the_profile_says() -> None:
    things = make_things([(0.1, 0.1, 0.1, 0.1)] * 9)
    phrase = Phrase([0, 3, 6, 1, 2, 4], -1, 0, 1, 1)
    assert places_of(phrase, len(things), 4) == [0, 3, 6, 1]
    assert places_of(phrase, len(things), 100) == phrase.things
    assert places_of(Phrase([], 1, 0, 1, 1), len(things), 4) == [10]


def test_who_never_points_only_strays() -> None:
    silent = msgspec.structs.replace(PROFILES["coco"], skip_rate=1.0)
    for seed in range(20):
        _, _, stops = narrate(silent, make_things([(0.1, 0.2, 0.3, 0.3)]), seed)
        assert all(kind != ON for kind, *_ in stops)


def test_a_scribble_falls_into_as_many_places_as_allowed() -> None:
    always = msgspec.structs.replace(PROFILES["clean"], split_rate=1.0, split_most=3)
    things = make_things([(0.1, 0.2, 0.3, 0.3)])
    phrases, _, stops = narrate(always, things, 1)
    for phrase in phrases:
        if phrase.things:
            visits = [stop for stop in stops if stop[1] == FIRST]
            assert len(visits) % 3 == 0
            pauses = [b[2] - a[3] for a, b in pairwise(visits[:3])]
            assert min(pauses) == pytest.approx(0.5), "a pause parts the places"


def test_the_frame_is_round_all_that_is_meant() -> None:
    things = make_things([(0.1, 0.2, 0.3, 0.3), (0.5, 0.1, 0.2, 0.1)])
    assert frame_of(Phrase([0], -1, 0, 0, 0), things) == pytest.approx((0.1, 0.2, 0.4, 0.5))
    assert frame_of(Phrase([0, 1], -1, 0, 0, 0), things) == pytest.approx((0.1, 0.1, 0.7, 0.5))
    assert frame_of(Phrase([], 0, 0, 0, 0), things) == (0, 0, 1, 1)
