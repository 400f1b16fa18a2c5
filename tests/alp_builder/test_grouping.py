from __future__ import annotations

from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from alp_builder.grouping import groups


@given(st.lists(st.integers(0, 30)), st.integers(1, 40), st.none() | st.integers(1, 5))
def test_groups_hold_all_in_order_and_are_as_large_as_they_may_be(
    sizes: list[int], limit: int, most: int | None
) -> None:
    found = list(groups(iter(sizes), lambda size: size, limit, most))
    assert list(chain.from_iterable(found)) == sizes
    for group in found:
        assert len(group) == 1 or sum(group) <= limit
        assert 0 < len(group) <= (most or len(sizes))
    for group, following in pairwise(found):
        assert sum(group) + following[0] > limit or len(group) == most
