"""Names of the world: classes, which are base and which novel, colours, stuff.

Some classes are a pattern and a noun ("striped mug"). Patterns and nouns of the novel ones all
occur among the base classes, only not together, so that a text classifier has something to
generalise from. The other novel classes are shapes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from alp_builder.simulate.nouns import plural

PLAIN, STRIPED, DOTTED, CHECKED = "", "striped", "dotted", "checked"
"""Patterns of a thing's body."""


@dataclass(frozen=True, slots=True)
class WorldClass:
    """A class of things.

    Attributes:
        category_id: Id in the COCO files, counted from 1.
        name: Its name, an English noun.
        many: The name's plural.
        shape: Name of its shape.
        pattern: Pattern of its body, empty where any plain one will do.
        supercategory: Kind of thing.
        is_novel: Whether it belongs to the novel split.
    """

    category_id: int
    name: str
    many: str
    shape: str
    pattern: str
    supercategory: str
    is_novel: bool


_BASE = (
    ("house", "outdoor"), ("tree", "plant"), ("car", "vehicle"), ("fish", "animal"),
    ("bottle", "kitchen"), ("umbrella", "accessory"), ("flower", "plant"), ("boat", "vehicle"),
    ("lamp", "indoor"), ("chair", "furniture"), ("key", "indoor"), ("book", "indoor"),
    ("butterfly", "animal"), ("mushroom", "plant"), ("apple", "food"), ("clock", "indoor"),
    ("bird", "animal"), ("hat", "accessory"), ("striped mug", "kitchen"),
    ("dotted vase", "indoor"), ("striped sock", "accessory"), ("checked kite", "sports"),
    ("dotted ball", "sports"), ("checked bag", "accessory"),
)  # fmt: skip
_NOVEL = (
    ("dotted mug", "kitchen"), ("striped vase", "indoor"), ("checked ball", "sports"),
    ("guitar", "instrument"), ("anchor", "outdoor"), ("crown", "accessory"), ("cactus", "plant"),
    ("snowman", "outdoor"), ("rocket", "vehicle"), ("ladder", "outdoor"), ("banana", "food"),
    ("star", "outdoor"),
)  # fmt: skip


def _classes() -> tuple[WorldClass, ...]:
    result = []
    for index, (name, kind) in enumerate((*_BASE, *_NOVEL)):
        *pattern, noun = name.split(" ")
        result.append(
            WorldClass(
                category_id=index + 1,
                name=name,
                many=plural(name),
                shape=noun,
                pattern=pattern[0] if pattern else PLAIN,
                supercategory=kind,
                is_novel=index >= len(_BASE),
            )
        )
    return tuple(result)


CLASSES = _classes()
"""All classes of the world, base first."""

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (196, 44, 40),
    "green": (58, 140, 62),
    "blue": (48, 84, 184),
    "yellow": (226, 196, 52),
    "orange": (226, 126, 38),
    "purple": (124, 62, 148),
    "pink": (226, 138, 168),
    "brown": (122, 82, 50),
    "white": (226, 224, 218),
    "grey": (134, 136, 140),
    "black": (50, 50, 54),
}
"""Colour words and what they look like."""

NATURAL_COLORS: dict[str, tuple[str, ...]] = {
    "tree": ("green", "green", "orange", "yellow"),
    "cactus": ("green",),
    "banana": ("yellow", "yellow", "green"),
    "apple": ("red", "green", "yellow"),
    "star": ("yellow", "orange", "white", "red"),
    "crown": ("yellow", "orange", "grey"),
    "anchor": ("grey", "black", "blue", "brown"),
    "ladder": ("brown", "grey", "yellow"),
    "guitar": ("brown", "orange", "red", "black"),
    "key": ("yellow", "grey", "brown"),
}
"""Colours of things that have one of their own."""

UPPER_STUFF: dict[str, tuple[int, int, int]] = {
    "sky": (150, 186, 220),
    "wall": (196, 182, 160),
    "fog": (196, 198, 200),
    "curtain": (150, 120, 128),
}
"""Stuff above the horizon."""

LOWER_STUFF: dict[str, tuple[int, int, int]] = {
    "grass": (106, 136, 70),
    "sand": (204, 184, 140),
    "floor": (150, 116, 88),
    "water": (86, 124, 148),
    "snow": (222, 226, 232),
    "road": (112, 112, 114),
}
"""Stuff below the horizon."""
