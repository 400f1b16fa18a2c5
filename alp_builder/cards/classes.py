"""How often each class of a vocabulary is named, by the rule that `alps audit` matches phrases with.

A vocabulary is a JSON file: a list of names, an object whose keys are names, or an object with such a list or
object under `open_images` (as the trainer's `class_splits.json`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from alp_builder.audit.names import CategoryNames
from alp_builder.errors import UsageError

OPEN_IMAGES_KEY = "open_images"


def read_class_names(path: Path) -> tuple[str, ...]:
    """The names of a vocabulary, in the order of the file.

    Raises:
        UsageError: If the file cannot be read or holds no names.
    """
    try:
        found: Any = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--classes {path}: cannot be read as JSON ({error})") from error
    if isinstance(found, dict) and OPEN_IMAGES_KEY in found:
        found = found[OPEN_IMAGES_KEY]
    names = list(found) if isinstance(found, list | dict) else []
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise UsageError(
            f"--classes {path}: expected a list of names, or an object whose keys are names"
        )
    return tuple(dict.fromkeys(names))


class ClassCounter:
    """Counts the phrases and the images that name each class.

    Args:
        names: The vocabulary.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._find = CategoryNames(dict(enumerate(names))).find
        self._phrases: Counter[int] = Counter()
        self._images: Counter[int] = Counter()

    def add(self, table: pa.Table) -> None:
        """Counts the phrases of a shard; a phrase of several components is one phrase.

        Args:
            table: Rows of the ALP schema; all ALPs of an image are in one table.
        """
        mains = table.filter(pc.equal(table["component_index"], 0))
        columns = ("phrase_text", "head_lemma", "dataset_id", "image_id")
        rows = zip(*(mains[name].to_pylist() for name in columns), strict=True)
        pairs: set[tuple[int, str, str]] = set()
        for text, lemma, dataset, image in rows:
            number = self._find(text, lemma)
            if number is not None:
                self._phrases[number] += 1
                pairs.add((number, dataset, image))
        self._images.update(number for number, _, _ in pairs)

    def rows(self) -> list[tuple[str, int, int]]:
        """Class, phrases and images of each class, the most frequent first, then by name."""
        found = [
            (name, self._phrases[number], self._images[number])
            for number, name in enumerate(self.names)
        ]
        return sorted(found, key=lambda row: (-row[1], row[0]))
