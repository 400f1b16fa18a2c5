"""The pictures of a card. matplotlib is the optional extra `plots`, needed to draw, not to check.

Each picture carries, as PNG text, the SHA-256 of the figures it was drawn from: a check reads that and needs
neither matplotlib nor equal pixels.
"""

from __future__ import annotations

import io
import struct
from types import ModuleType
from typing import Any

import numpy as np

from alp_builder.cards.figures import MANY_PHRASES, SIDE_BINS, CardFigures
from alp_builder.errors import UsageError

SIGNED = "figures-sha256"
"""Key of the PNG text that holds the hash of the figures."""

PICTURES = ("distributions.png", "positions.png", "nouns.png")
"""Names of the pictures of every card."""

_MAGIC = b"\x89PNG\r\n\x1a\n"
_NOUNS_SHOWN = 25


def load_matplotlib() -> ModuleType:
    """The module `matplotlib.figure`.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError as error:
        raise UsageError(
            "a card's pictures need matplotlib: pip install 'alp-toolkit[plots]'"
        ) from error
    figure: ModuleType = matplotlib.figure
    return figure


def draw(figures: CardFigures, sha256: str) -> dict[str, bytes]:
    """The pictures as PNG bytes by name.

    Args:
        figures: What to draw.
        sha256: Hash of the card's `figures.json`, written into each picture.

    Raises:
        UsageError: If matplotlib is not installed.
    """
    module = load_matplotlib()
    drawn = {}
    for name, paint in zip(PICTURES, (_distributions, _positions, _nouns), strict=True):
        figure = paint(module, figures)
        if figures.simulated:
            figure.suptitle("simulated data", fontsize=9, color="tab:red")
        target = io.BytesIO()
        metadata = {"Software": None, SIGNED: sha256}
        figure.savefig(target, format="png", dpi=100, metadata=metadata)
        drawn[name] = target.getvalue()
    return drawn


def signed_with(png: bytes) -> str:
    """The hash a picture carries; empty if it carries none or is no PNG."""
    if not png.startswith(_MAGIC):
        return ""
    place = len(_MAGIC)
    while place + 8 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, place)
        key, _, value = png[place + 8 : place + 8 + size].partition(b"\0")
        if kind == b"tEXt" and key == SIGNED.encode():
            return value.decode("latin-1")
        place += 12 + size
    return ""


def _distributions(module: ModuleType, figures: CardFigures) -> Any:
    """Phrases a narrative, box sides, quality, and what became of phrases."""
    figure = module.Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    counts = figures.distributions
    places = np.arange(1, MANY_PHRASES + 1)
    axes[0].bar(places, counts.phrases_per_narrative, width=0.9)
    axes[0].set(xlabel=f"phrases with an ALP ({MANY_PHRASES}: or more)", ylabel="narratives")
    edges = np.linspace(0, 1, SIDE_BINS + 1)
    axes[1].stairs(counts.width, edges, label="width")
    axes[1].stairs(counts.height, edges, label="height")
    axes[1].set(xlabel="side of the box, fraction of the image", ylabel="ALPs")
    axes[1].legend()
    axes[2].stairs(counts.score, edges, fill=True)
    axes[2].set(xlabel="score (orders ALPs, no probability)", ylabel="ALPs")
    names = ["gave ALPs", *(name for name, _ in figures.dropped)]
    axes[3].barh(names, [figures.phrases, *(number for _, number in figures.dropped)])
    axes[3].invert_yaxis()
    axes[3].set(xlabel="phrases")
    return figure


def _positions(module: ModuleType, figures: CardFigures) -> Any:
    """How often each place of an image lies in a box."""
    figure = module.Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    grid = np.array(figures.distributions.position) / max(figures.alps, 1)
    shown = axes.imshow(grid, extent=(0, 1, 1, 0), vmin=0, cmap="viridis")
    figure.colorbar(shown, label="share of boxes that cover the place")
    axes.set(xlabel="x, fraction of the width", ylabel="y, fraction of the height")
    return figure


def _nouns(module: ModuleType, figures: CardFigures) -> Any:
    """The most frequent nouns, and the classes of the vocabulary by rank."""
    panels = 2 if figures.classes else 1
    figure = module.Figure(figsize=(5 * panels, 5.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    # Dollar signs would start mathematics.
    names = [noun.replace("$", r"\$")[:24] for noun, _ in figures.top_nouns[:_NOUNS_SHOWN]]
    axes[0].barh(range(len(names)), [n for _, n in figures.top_nouns[:_NOUNS_SHOWN]])
    axes[0].set_yticks(range(len(names)), names, fontsize=8)
    axes[0].invert_yaxis()
    axes[0].set(xlabel="ALPs", title="most frequent head nouns")
    if figures.classes:
        ranks = np.arange(1, len(figures.classes) + 1)
        axes[1].step(ranks, [phrases for _, phrases, _ in figures.classes], where="mid")
        axes[1].set_yscale("symlog", linthresh=1)
        axes[1].set_ylim(bottom=0)
        named = f"{figures.classes_named} of {len(figures.classes)} classes are named"
        axes[1].set(xlabel="class, by rank", ylabel="phrases", title=named)
    return figure
