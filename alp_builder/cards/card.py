"""Writes a card and checks one: the files are functions of the figures, the figures of the shards.

    figures = gather(shards, settings, classes)
    README.md, croissant.json = text(figures);  pictures = draw(figures), signed with the hash of figures.json

A check gathers again, by the settings and classes that the card itself holds, and compares bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from alp_builder.cards.croissant import croissant
from alp_builder.cards.figures import CardFigures, CardSettings, gather_figures
from alp_builder.cards.front_matter import front_matter
from alp_builder.cards.plots import PICTURES, draw, signed_with
from alp_builder.cards.text import card_text
from alp_builder.errors import BadDataError
from alp_builder.files import write_atomic
from alp_builder.reader import AlpDataset
from alp_builder.schema import COLUMNS, Column
from alp_builder.validation import check_shard_files

FIGURES, README, CROISSANT = "figures.json", "README.md", "croissant.json"
MAX_FIGURES_BYTES = 64 * 2**20


@dataclass(frozen=True)
class CheckedCard:
    """What a check found.

    Attributes:
        figures: The figures of the card.
        differences: What no longer agrees, in words; empty if all does.
    """

    figures: CardFigures
    differences: list[str]


def write_card(
    dataset: AlpDataset, out: Path, settings: CardSettings, classes: tuple[str, ...] = ()
) -> CardFigures:
    """Writes the card of a data set. Its files appear whole, `figures.json` last.

    Args:
        dataset: A finished data set; its shards' hashes are checked first.
        out: Folder of the card, which is made.
        settings: What shards cannot say of themselves.
        classes: Vocabulary whose classes are counted.

    Returns:
        The figures.

    Raises:
        BadDataError: If a shard is missing or was changed since the build.
        UsageError: If matplotlib is not installed.
    """
    check_shard_files(dataset)
    figures = gather_figures(dataset, settings, classes)
    files = _texts(figures)
    pictures = draw(figures, hashlib.sha256(files[FIGURES]).hexdigest())
    last = files.pop(FIGURES)
    for name, data in {**files, **pictures, FIGURES: last}.items():
        write_atomic(out / name, data)
    return figures


def check_card(dataset: AlpDataset, out: Path) -> CheckedCard:
    """Compares a card with the shards it describes.

    Args:
        dataset: The data set as it is now.
        out: Folder of the card.

    Returns:
        What differs, by file and by figure.

    Raises:
        BadDataError: If there is no card, its figures cannot be read, or a shard was changed.
    """
    path = out / FIGURES
    try:
        if path.stat().st_size > MAX_FIGURES_BYTES:
            raise BadDataError(f"{path}: larger than any card's figures; write the card again")
        before = msgspec.json.decode(path.read_bytes(), type=CardFigures)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataError(
            f"{path}: no figures of a card ({error}); write one with `alps card {dataset.name} --out {out}`"
        ) from error
    check_shard_files(dataset)
    # The vocabulary in its own order is not kept, and does not matter: rows are sorted.
    classes = tuple(sorted(name for name, _, _ in before.classes))
    now = gather_figures(dataset, before.settings, classes)
    return CheckedCard(before, [*_changed(before, now), *_changed_files(out, _texts(now))])


def _texts(figures: CardFigures) -> dict[str, bytes]:
    """All files but the pictures."""
    columns: tuple[Column, ...] = tuple(c for c in COLUMNS if c.group in figures.groups)
    text = "\n".join(front_matter(figures, columns)) + "\n" + card_text(figures, columns)
    tree = msgspec.json.format(msgspec.json.encode(croissant(figures, columns)), indent=1)
    return {
        FIGURES: msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n",
        README: text.encode(),
        CROISSANT: tree + b"\n",
    }


def _changed(before: CardFigures, now: CardFigures) -> list[str]:
    """The figures that differ, with both values where they are short."""
    found = []
    for name in CardFigures.__struct_fields__:
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            short = isinstance(old, int | float | str)
            found.append(f"{name}: the card says {old}, the shards {new}" if short else name)
    return found


def _changed_files(out: Path, texts: dict[str, bytes]) -> list[str]:
    """The files that differ from what the figures give."""
    found = []
    for name, expected in texts.items():
        path = out / name
        if not path.is_file() or path.read_bytes() != expected:
            found.append(f"{name} is missing or not what the shards give")
    sha256 = hashlib.sha256(texts[FIGURES]).hexdigest()
    for name in PICTURES:
        path = out / name
        if not path.is_file() or signed_with(path.read_bytes()) != sha256:
            found.append(f"{name} is missing or drawn from other figures")
    return found
