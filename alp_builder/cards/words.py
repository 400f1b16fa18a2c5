"""Small texts that the parts of a card share, and escaping: nouns and captions are hostile."""

from __future__ import annotations

import re

from alp_builder.cards.figures import CardFigures
from alp_builder.cards.origins import license_of, origin_named

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$<>&])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def escape(text: str) -> str:
    """Text of unknown origin for a line of Markdown: no markup, no HTML, no line break, no control character."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return _SPECIAL.sub(lambda m: _ENTITIES.get(m[1], "\\" + m[1]), plain)


def code(text: str) -> str:
    """Text of unknown origin as a code span in a table cell, where a backslash escapes only bars."""
    plain = "".join(c if c.isprintable() and c != "`" else " " for c in text)
    return f"`{plain}`".replace("|", "\\|")


def title(figures: CardFigures) -> str:
    """Headline of the card; simulated data is called so."""
    kind = "Simulated" if figures.simulated else "Approximately localized"
    rest = " approximately localized phrases" if figures.simulated else " phrases"
    return f"{kind}{rest}: {figures.settings.name}"


def summary(figures: CardFigures) -> str:
    """The card in two sentences."""
    narrators = "simulated narrators" if figures.simulated else "people"
    return (
        f"{figures.alps:,} ALPs (noun phrases paired with rough boxes) of {figures.narratives:,} "
        f"narratives on {figures.images:,} images, made from mouse traces and timed captions of "
        f"{narrators}. Boxes are approximate: they mark where the pointer was while a phrase was "
        "spoken, not where the thing ends."
    )


def card_license(figures: CardFigures) -> str:
    """The licence identifier: the author's, or what follows from the origins."""
    return figures.settings.license or license_of(map(origin_named, figures.families))


def share(part: float, whole: float) -> str:
    """A share as text, such as `12.3 %`; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
