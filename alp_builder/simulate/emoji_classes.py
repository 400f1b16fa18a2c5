"""The classes of the 300-class world: characters of a colour-emoji font with their English names.

The list is data, `emoji_classes.json`, chosen by rule (`pipelines/emoji_classes.py`): 60 base classes,
which have a counterpart in COCO, and 240 novel ones. It does not depend on the font at hand.

`emoji_synonyms.json` has another name of each class, written by hand for the test of an open vocabulary: a
synonym where English has one ("automobile", "car"), else a few words that mean the same ("zebra", "striped wild
horse"). No narrator says them, so a model meets them at test time first.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from alp_builder.simulate.nouns import plural
from alp_builder.simulate.vocabulary import PLAIN, WorldClass

CLASSES_FILE = Path(__file__).with_name("emoji_classes.json")
"""The list."""

SYNONYMS_FILE = CLASSES_FILE.with_name("emoji_synonyms.json")
"""The other names."""

PLURALS = {"snowman": "snowmen"}
"""Plurals that `nouns.plural` gives otherwise, as the world of vector shapes has said them from the start."""


class EmojiClass(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An emoji as a class.

    Attributes:
        text: The character.
        name: Its English name.
        group: Unicode's group of it.
        is_novel: Whether it belongs to the novel split.
        coco: COCO's class of the same things, empty if there is none.
    """

    text: str
    name: str
    group: str
    is_novel: bool
    coco: str = ""


class EmojiClasses(msgspec.Struct, frozen=True, kw_only=True):
    """The list with its origin.

    Attributes:
        about: What it is.
        font_sha256: Font that the looks were compared in.
        packages: Versions of the packages that names and groups come from.
        seed: Seed of the choice.
        classes: The classes, base first.
    """

    about: str
    font_sha256: str
    packages: dict[str, str]
    seed: int
    classes: list[EmojiClass]


@cache
def emoji_classes() -> tuple[WorldClass, ...]:
    """The classes as a world has them, base first, ids from 1; `shape` is the character."""
    record = msgspec.json.decode(CLASSES_FILE.read_bytes(), type=EmojiClasses)
    return tuple(
        WorldClass(
            category_id=index + 1,
            name=kind.name,
            many=PLURALS.get(kind.name) or plural(kind.name),
            shape=kind.text,
            pattern=PLAIN,
            supercategory=kind.group,
            is_novel=kind.is_novel,
        )
        for index, kind in enumerate(record.classes)
    )


@cache
def emoji_synonyms() -> dict[str, str]:
    """Another name of each class, by the class's name; each once, and none a class's own."""
    return msgspec.json.decode(SYNONYMS_FILE.read_bytes(), type=dict[str, str])
