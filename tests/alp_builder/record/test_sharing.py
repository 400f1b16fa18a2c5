"""Shares are fair, of different people, and never taken from who has begun."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_builder.record.sharing import share_out

KEYS = [f"{n:016x}" for n in range(60)]


def loads(shares: dict[str, list[int]]) -> Counter[int]:
    return Counter(who for group in shares.values() for who in group)


@pytest.mark.parametrize(("people", "redundancy"), [(1, 1), (3, 1), (3, 2), (5, 5), (2, 9)])
def test_every_image_gets_its_people_and_people_get_the_same(people: int, redundancy: int) -> None:
    annotators = list(range(1, people + 1))
    shares = share_out(KEYS, annotators, redundancy, {}, ())
    assert list(shares) == KEYS
    wanted = min(people, redundancy)
    assert all(len(set(group)) == len(group) == wanted for group in shares.values())
    counts = loads(shares)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert shares == share_out(KEYS, annotators, redundancy, shares, ())


def test_whoever_joins_takes_over_what_was_not_begun() -> None:
    first = share_out(KEYS, [1, 2], 1, {}, ())
    begun = {(image, first[image][0]) for image in KEYS[:20]}
    second = share_out(KEYS, [1, 2, 3], 1, first, begun)
    assert all(second[image] == first[image] for image in KEYS[:20])
    assert loads(second) == {1: 20, 2: 20, 3: 20}
    stayed = sum(first[image] == second[image] for image in KEYS)
    assert stayed == 40  # nothing moved but what the third was given


def test_new_images_and_those_of_who_left_are_shared_again() -> None:
    first = share_out(KEYS[:10], [1, 2], 1, {}, ())
    second = share_out(KEYS[:12], [2, 3], 1, first, ())
    assert loads(second) == {2: 6, 3: 6}
    assert all(second[image] == [2] for image in KEYS[:10] if first[image] == [2])


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 25), st.sets(st.integers(1, 7), min_size=1), st.integers(1, 4), st.data()
)  # fmt: skip
def test_shares_of_any_history_are_good(
    count: int, people: set[int], redundancy: int, data: st.DataObject
) -> None:
    images, annotators = KEYS[:count], sorted(people)
    anybody = st.lists(st.integers(1, 9), max_size=4, unique=True)
    held = {image: data.draw(anybody) for image in data.draw(st.sets(st.sampled_from(KEYS)))}
    pairs = st.tuples(st.sampled_from(KEYS), st.integers(1, 9))
    begun = data.draw(st.sets(pairs, max_size=20))
    shares = share_out(images, annotators, redundancy, held, begun)
    wanted = min(redundancy, len(annotators))
    for image, group in shares.items():
        mine = {who for key, who in begun if key == image and who in people}
        assert mine <= set(group) <= people
        assert len(group) == len(set(group)) == max(wanted, len(mine))
    assert shares == share_out(images, annotators, redundancy, held, begun)
