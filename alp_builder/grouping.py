"""Consecutive items in groups of a bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def groups(
    items: Iterable[Item], size: Callable[[Item], int], limit: int, most: int | None = None
) -> Iterator[list[Item]]:
    """Yields items in their order, in groups that are as large as they may be.

    Args:
        items: What is grouped.
        size: Size of one.
        limit: Most size of a group; one item that is larger makes a group of its own.
        most: Most items of a group, any number unless given.
    """
    group: list[Item] = []
    total = 0
    for item in items:
        more = size(item)
        if group and (total + more > limit or len(group) == most):
            yield group
            group, total = [], 0
        group.append(item)
        total += more
    if group:
        yield group
