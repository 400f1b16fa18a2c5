"""The hierarchy of Open Images classes, read from its own JSON file.

A node is `{"LabelName": MID, "Subcategory": [nodes]}`. A class may stand under two parents, so
ancestors are a set. The root ("Entity") is no class; it falls away when labels are turned into
category ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from alp_builder.errors import BadDataError, UsageError

MAX_DEPTH = 64
"""Deepest nesting read; real files have five levels."""


class _Node(msgspec.Struct):
    LabelName: str
    Subcategory: list[_Node] = []


class Hierarchy:
    """Ancestors and descendants of categories.

    Args:
        parents: Parents of each category that has some.
    """

    def __init__(self, parents: Mapping[int, Iterable[int]]) -> None:
        self._up = {child: frozenset(found) for child, found in parents.items()}
        self._ancestors: dict[int, frozenset[int]] = {}
        self._descendants: dict[int, set[int]] = {}
        for child in self._up:
            for ancestor in self.ancestors(child):
                self._descendants.setdefault(ancestor, set()).add(child)

    def ancestors(self, category: int) -> frozenset[int]:
        """All categories above one, without itself."""
        if category not in self._ancestors:
            found: set[int] = set()
            waiting = list(self._up.get(category, ()))
            while waiting:
                parent = waiting.pop()
                if parent not in found:
                    found.add(parent)
                    waiting += self._up.get(parent, ())
            self._ancestors[category] = frozenset(found - {category})
        return self._ancestors[category]

    def descendants(self, category: int) -> frozenset[int]:
        """All categories below one, without itself."""
        return frozenset(self._descendants.get(category, ()))

    @classmethod
    def from_file(cls, path: str | Path, ids: Mapping[str, int]) -> Hierarchy:
        """Read Open Images' file.

        Args:
            path: JSON file.
            ids: Label (MID) to category id; labels without one, such as the root, are passed over.

        Raises:
            UsageError: If there is no such file.
            BadDataError: If it is not a hierarchy.
        """
        try:
            root = msgspec.json.decode(Path(path).read_bytes(), type=_Node)
        except OSError as error:
            raise UsageError(f"hierarchy {path}: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadDataError(
                f"{path}: not an Open Images hierarchy (LabelName, Subcategory): {error}"
            ) from None
        parents: dict[int, set[int]] = {}
        waiting: list[tuple[_Node, tuple[str, ...]]] = [(root, ())]
        while waiting:
            node, above = waiting.pop()
            if len(above) > MAX_DEPTH:
                raise BadDataError(f"{path}: nested deeper than {MAX_DEPTH} levels")
            known = {ids[label] for label in above if label in ids}
            if node.LabelName in ids:
                parents.setdefault(ids[node.LabelName], set()).update(known)
            waiting += [(child, (*above, node.LabelName)) for child in node.Subcategory]
        return cls(parents)
