from __future__ import annotations

import pickle
from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.errors import UsageError
from trainer.data.alternation import Alternation, BatchOrder

counts = st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(any)


def test_one_to_one_is_strict() -> None:
    assert [Alternation().source(step) for step in range(6)] == ["mask", "alp"] * 3


def test_one_source_alone() -> None:
    assert {Alternation(1, 0).source(step) for step in range(9)} == {"mask"}
    assert {Alternation(0, 1).source(step) for step in range(9)} == {"alp"}


def test_a_ratio_is_spread() -> None:
    chosen = "".join(Alternation(1, 3).source(step)[0] for step in range(8))
    assert chosen == "maaa" * 2
    chosen = "".join(Alternation(2, 3).source(step)[0] for step in range(10))
    assert Counter(chosen[:5]) == {"m": 2, "a": 3}
    assert max(len(list(run)) for _, run in groupby(chosen)) <= 2


@given(counts, st.integers(1, 4), st.integers(0, 300))
def test_batches_of_a_source_are_counted(
    ratio: tuple[int, int], accumulation: int, steps: int
) -> None:
    alternation = Alternation(*ratio, accumulation=accumulation)
    seen: Counter[str] = Counter()
    for step in range(steps):
        source = alternation.source(step)
        assert alternation.batch_number(step) == seen[source]
        # Steps that are accumulated share a source.
        assert source == alternation.source(step - step % accumulation)
        seen[source] += 1
    period = sum(ratio) * accumulation
    if steps and steps % period == 0:
        assert seen["mask"] * sum(ratio) == steps * ratio[0]


@pytest.mark.parametrize("wrong", [(0, 0, 1), (-1, 2, 1), (1, 1, 0)])
def test_impossible_ratios_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="alternation"):
        Alternation(*wrong)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 5), st.booleans())
def test_an_epoch_is_a_permutation(size: int, batch: int, seed: int, grouped: bool) -> None:
    portrait = np.arange(size) % 3 == 0 if grouped else None
    order = BatchOrder(size, batch, seed, "mask", portrait)
    for epoch in range(2):
        numbers = range(epoch * order.batches, (epoch + 1) * order.batches)
        batches = [order.indices(number) for number in numbers]
        assert all(len(found) == batch for found in batches)
        seen = Counter(np.concatenate(batches).tolist())
        assert set(seen) <= set(range(size))
        if size >= batch:
            assert max(seen.values()) == 1
            assert size - len(seen) < batch
        else:
            assert len(seen) == size
        if portrait is not None and size >= batch:
            mixed = [found for found in batches if len(set(portrait[found].tolist())) == 2]
            assert len(mixed) <= 1


def test_order_is_a_function_of_seed_source_and_number() -> None:
    def first(seed: int, source: str, numbers: range) -> list[list[int]]:
        order = BatchOrder(100, 8, seed, source, None)  # type: ignore[arg-type]
        return [order.indices(number).tolist() for number in numbers]

    assert first(1, "mask", range(30, 40)) == first(1, "mask", range(40))[30:]
    assert first(1, "mask", range(3)) != first(2, "mask", range(3))
    assert first(1, "mask", range(3)) != first(1, "alp", range(3))
    assert first(1, "mask", range(12)) != first(1, "mask", range(12, 24))


def test_an_order_travels_to_workers() -> None:
    order = BatchOrder(10, 3, 0, "alp", np.arange(10) > 4)
    copy = pickle.loads(pickle.dumps(order))
    assert copy.indices(7).tolist() == order.indices(7).tolist()
    with pytest.raises(UsageError, match="0 images"):
        BatchOrder(0, 3, 0, "alp")
