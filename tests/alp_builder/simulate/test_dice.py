"""The stream of numbers: keyed, even, and within its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.simulate.background import paint_background
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.vocabulary import LOWER_STUFF, UPPER_STUFF


@given(st.lists(st.one_of(st.integers(), st.text(max_size=5)), min_size=1, max_size=4))
def test_the_same_keys_give_the_same_numbers(keys: list[object]) -> None:
    first, again = Dice(generator(*keys)), Dice(generator(*keys))
    other = Dice(generator(*keys, "more"))
    numbers = [first.uniform() for _ in range(300)]
    assert numbers == [again.uniform() for _ in range(300)]
    assert numbers != [other.uniform() for _ in range(300)]
    assert all(0 <= number < 1 for number in numbers)


def test_keys_are_told_apart_by_where_they_end() -> None:
    assert generator("ab", "c").random() != generator("a", "bc").random()


def test_draws_are_even() -> None:
    dice = Dice(generator("even"))
    assert np.mean([dice.uniform() for _ in range(4000)]) == pytest.approx(0.5, abs=0.02)
    counts = np.bincount([dice.below(5) for _ in range(5000)], minlength=5)
    assert len(counts) == 5
    assert counts.min() > 850
    assert np.mean([dice.chance(0.2) for _ in range(4000)]) == pytest.approx(0.2, abs=0.03)
    assert {dice.choice("abc") for _ in range(100)} == set("abc")
    drawn = [dice.between(-2, 3) for _ in range(1000)]
    assert -2 <= min(drawn) < -1.9
    assert 2.9 < max(drawn) < 3


@pytest.mark.parametrize("seed", range(4))
def test_a_background_has_the_colours_of_its_stuff(seed: int) -> None:
    background = paint_background(96, 0, Dice(generator("background", seed)))
    upper, lower = background.names
    assert background.pixels.shape == (96, 96, 3)
    assert 0.3 <= background.horizon <= 0.7
    for rows, color in ((slice(0, 25), UPPER_STUFF[upper]), (slice(71, 96), LOWER_STUFF[lower])):
        painted = background.pixels[rows].mean(axis=(0, 1))
        # Each channel is drawn within 28 levels of the stuff's; noise of two scales adds to that.
        assert np.abs(painted - np.array(color)).max() < 28 + 26
