"""Which classes are base and which are novel, by name.

| split | base | novel |
| --- | --- | --- |
| `coco_48_17` | 48 COCO classes | 17 COCO classes (open-vocabulary detection; 15 are left out) |
| `voc_20_60` | the 20 classes of Pascal VOC | the other 60 of COCO (mask generalisation) |
| `open_images_60_240` | the segmentable classes with a COCO counterpart | the other 240 |

The third follows the paper's counts; which 60 is our inference, by `coco_to_open_images`. A JSON
file with the lists `base` and `novel`, such as a simulated world's `split.json`, is a split too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from alp_builder.errors import BadDataError, UsageError
from trainer.data.cocofile import CocoCategory

NAMES = ("coco_48_17", "voc_20_60", "open_images_60_240")
"""Named splits."""

_FACTS = Path(__file__).with_name("class_splits.json")


class ClassFacts(msgspec.Struct, frozen=True):
    """What `class_splits.json` holds.

    Attributes:
        about: What the file is.
        coco: COCO's 80 classes, name to category id.
        open_images: The 300 segmentable classes of Open Images, name to label (MID).
        coco_to_open_images: Our mapping of names.
        coco_48_base: Base classes of `coco_48_17`.
        coco_17_novel: Novel classes of `coco_48_17`.
        voc_20: Base classes of `voc_20_60`.
    """

    about: str
    coco: dict[str, int]
    open_images: dict[str, str]
    coco_to_open_images: dict[str, str]
    coco_48_base: list[str]
    coco_17_novel: list[str]
    voc_20: list[str]


@cache
def class_facts() -> ClassFacts:
    """The names and ids that are shipped."""
    return msgspec.json.decode(_FACTS.read_bytes(), type=ClassFacts)


@dataclass(frozen=True)
class ClassSplit:
    """Base and novel classes.

    Attributes:
        name: Name of the split.
        base: Names of the base classes.
        novel: Names of the novel classes.
    """

    name: str
    base: tuple[str, ...]
    novel: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Base classes, then novel ones."""
        return self.base + self.novel

    def group(self, name: str) -> str:
        """`base` or `novel`."""
        return "base" if name in self.base else "novel"

    def category_ids(self, categories: Iterable[CocoCategory]) -> dict[str, int]:
        """Id of each class of the split in a COCO-format file.

        Raises:
            UsageError: If a class is in no category of the file.
        """
        ids = {category.name.casefold(): category.id for category in categories}
        for name in self.classes:
            if name.casefold() not in ids:
                close = difflib.get_close_matches(name.casefold(), ids, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise UsageError(
                    f"class {name!r} of split {self.name} is in no category of the truth{hint}"
                )
        return {name: ids[name.casefold()] for name in self.classes}


class _SplitFile(msgspec.Struct):
    base: list[str]
    novel: list[str]


def load_split(name: str | Path) -> ClassSplit:
    """A split by name, or of a JSON file with the lists `base` and `novel`.

    Raises:
        UsageError: If there is neither such a split nor such a file.
        BadDataError: If the file is not of that form, or a class is both.
    """
    facts = class_facts()
    if name == "coco_48_17":
        return ClassSplit(name, tuple(facts.coco_48_base), tuple(facts.coco_17_novel))
    if name == "voc_20_60":
        novel = tuple(c for c in facts.coco if c not in facts.voc_20)
        return ClassSplit(name, tuple(facts.voc_20), novel)
    if name == "open_images_60_240":
        base = tuple(facts.coco_to_open_images.values())
        return ClassSplit(name, base, tuple(c for c in facts.open_images if c not in base))
    path = Path(name)
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_SplitFile)
    except OSError:
        raise UsageError(
            f"split {str(name)!r}: expected {', '.join(NAMES)}, or a JSON file with base and novel"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadDataError(f"{path}: expected lists of names, base and novel: {error}") from None
    if both := sorted(set(file.base) & set(file.novel)):
        raise BadDataError(f"{path}: {', '.join(both)} both base and novel")
    return ClassSplit(path.stem, tuple(file.base), tuple(file.novel))


def split_of_all(names: Iterable[str], name: str = "all") -> ClassSplit:
    """The split in which every class is base: for closed-vocabulary training."""
    return ClassSplit(name, tuple(names), ())
