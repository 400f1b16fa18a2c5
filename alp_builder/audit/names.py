"""Which category a phrase names: its head noun and words against names, plurals and synonyms.

A phrase names a category if its head lemma is the last word of one of the category's names and its text holds
the name's other words: "red striped mugs" names "striped mug", "wine glasses" names "wine glass", "glasses" of
a person does not. Where several do, the name of most words wins ("striped mug" over "mug").

The few synonyms built in are everyday words for COCO's categories; a file adds others. A synonym counts only
where its category exists and no category bears that name itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from alp_builder.errors import UsageError

SYNONYMS: dict[str, tuple[str, ...]] = {
    "person": (
        "man", "woman", "boy", "girl", "child", "kid", "baby", "lady", "guy", "player", "people",
        "adult", "gentleman", "skier", "surfer", "batter", "rider", "pedestrian",
    ),
    "airplane": ("aeroplane", "plane", "aircraft", "jet"),
    "bicycle": ("bike", "cycle"),
    "boat": ("ship", "canoe", "kayak"),
    "cell phone": ("mobile phone", "mobile", "smartphone", "phone"),
    "couch": ("sofa",),
    "cow": ("cattle", "calf", "bull", "ox"),
    "cup": ("mug", "teacup"),
    "dining table": ("table",),
    "dog": ("puppy",),
    "cat": ("kitten",),
    "donut": ("doughnut",),
    "fire hydrant": ("hydrant",),
    "hair drier": ("hair dryer", "hairdryer"),
    "handbag": ("purse",),
    "hot dog": ("hotdog",),
    "keyboard": ("computer keyboard",),
    "motorcycle": ("motorbike", "motor cycle"),
    "mouse": ("computer mouse",),
    "potted plant": ("houseplant", "house plant", "pot plant"),
    "refrigerator": ("fridge",),
    "remote": ("remote control",),
    "sheep": ("lamb",),
    "skateboard": ("skating board",),
    "sports ball": ("ball", "football", "baseball", "basketball"),
    "suitcase": ("luggage",),
    "surfboard": ("surfing board",),
    "teddy bear": ("teddy",),
    "traffic light": ("traffic signal", "signal light"),
    "truck": ("lorry",),
    "tv": ("television", "television set", "tv screen"),
    "wine glass": ("wineglass",),
}  # fmt: skip
"""Everyday names of categories."""


class CategoryNames:
    """Finds the category a phrase names.

    Args:
        names: Name of each category id.
        plurals: Plural of the name, for categories where it is known.
        synonyms: Further names of a category, by its name.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        plurals: Mapping[int, str] | None = None,
        synonyms: Mapping[str, tuple[str, ...]] = SYNONYMS,
    ) -> None:
        known: dict[str, int] = {name.lower().strip(): number for number, name in names.items()}
        for number, many in (plurals or {}).items():
            known.setdefault(many.lower(), number)
        for name, others in synonyms.items():
            if name.lower() in known:
                for other in others:
                    known.setdefault(other.lower(), known[name.lower()])
        by_head: dict[str, list[tuple[frozenset[str], int]]] = {}
        for name, number in known.items():
            *rest, head = name.split() or [""]
            by_head.setdefault(head, []).append((frozenset(rest), number))
        for entries in by_head.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self._by_head = by_head
        self.find = lru_cache(100_000)(self._find)

    def _find(self, text: str, head_lemma: str) -> int | None:
        words = text.lower().split()
        last = words[-1] if words else ""
        for head in (head_lemma.lower(), last):
            for rest, number in self._by_head.get(head, ()):
                if rest <= set(words):
                    return number
        return None


def read_synonyms(path: Path) -> dict[str, tuple[str, ...]]:
    """Reads further names: a JSON object of category name to a list of names.

    Raises:
        UsageError: If it is not that.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[str, ...]])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f'--synonyms {path}: expected {{"category": ["name", ...]}} ({error})'
        ) from error
    merged = dict(SYNONYMS)
    for name, others in found.items():
        merged[name] = (*others, *merged.get(name, ()))
    return merged
