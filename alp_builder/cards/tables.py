"""The Markdown tables of a card."""

from __future__ import annotations

import json

from alp_builder.cards.figures import CardFigures
from alp_builder.cards.words import card_license, code, escape, share, table
from alp_builder.comparison import flat
from alp_builder.reasons import PHRASE_REASONS
from alp_builder.schema import Column

CLASSES_SHOWN = 40
_NOUNS_SHOWN = 20
_SHORT_HASH = 12


def snapshot_table(figures: CardFigures) -> str:
    """The data set in numbers."""
    rows = [
        ["ALPs", f"{figures.alps:,}"],
        ["Phrases with an ALP", f"{figures.phrases:,}"],
        ["Narratives with an ALP", f"{figures.narratives:,}"],
        ["Images with an ALP", f"{figures.images:,}"],
        ["Distinct head nouns", f"{figures.distinct_nouns:,}"],
        ["Shards", f"{len(figures.shards)}, {sum(s.size for s in figures.shards):,} bytes"],
        ["Licence", escape(card_license(figures))],
        ["Simulated", "yes" if figures.simulated else "no"],
    ]
    rows += [[f"Split `{name}`", f"{number:,} ALPs"] for name, number in figures.splits.items()]
    rows += [
        [f"Data set {escape(name)}", f"{number:,} ALPs"]
        for name, number in figures.datasets.items()
    ]
    return table(["", "value"], rows)


def noun_table(figures: CardFigures) -> str:
    """The most frequent nouns."""
    rows = [
        [escape(noun), f"{number:,}", share(number, figures.alps)]
        for noun, number in figures.top_nouns[:_NOUNS_SHOWN]
    ]
    return table(["noun", "ALPs", "share"], rows)


def class_table(figures: CardFigures) -> str:
    """The classes of the vocabulary that are named most; nothing without a vocabulary."""
    if not figures.classes:
        return ""
    phrases = sum(row[1] for row in figures.classes)
    total = len(figures.classes)
    lead = (
        f"{figures.classes_named} of the {total} classes of the vocabulary are named by some phrase, and"
        f" {share(phrases, figures.phrases)} of the phrases name one (by head noun and words, with a few"
        f" everyday synonyms). The first {CLASSES_SHOWN}; all of them stand in `figures.json`:"
    )
    rows = [
        [escape(name), f"{number:,}", f"{images:,}"]
        for name, number, images in figures.classes[:CLASSES_SHOWN]
        if number
    ]
    return lead + "\n\n" + table(["class", "phrases", "images"], rows)


def column_table(figures: CardFigures, columns: tuple[Column, ...]) -> str:
    """The columns: meaning and unit from the schema, quantiles from the shards."""
    quantiles = {column.name: column.quantiles for column in figures.columns}
    rows = []
    for column in columns:
        found = quantiles.get(column.name, [])
        rows.append(
            [
                f"`{column.name}`",
                str(column.type).replace("<", "&lt;").replace(">", "&gt;"),
                column.doc.replace("|", "\\|"),
                column.unit,
                _range(column),
                " / ".join(f"{value:.4g}" for value in found),
            ]
        )
    return table(["column", "type", "meaning", "unit", "range", "5 / 50 / 95 %"], rows)


def _range(column: Column) -> str:
    if column.low is None:
        return ""
    return f"from {column.low:g}" if column.high is None else f"{column.low:g} to {column.high:g}"


def example_table(figures: CardFigures) -> str:
    """One row, value by value."""
    return table(
        ["column", "value"],
        [[f"`{name}`", escape(str(value))] for name, value in figures.example.items()],
    )


def shard_table(figures: CardFigures) -> str:
    """The files and their hashes."""
    rows = [[f"`{s.path}`", f"{s.rows:,}", f"{s.size:,}", f"`{s.sha256}`"] for s in figures.shards]
    return table(["shard", "ALPs", "bytes", "SHA-256"], rows)


def input_table(figures: CardFigures) -> str:
    """The files that were read."""
    rows = [
        [escape(i.file), i.split, f"{i.lines:,}", f"{i.size:,}", f"`{i.sha256[:_SHORT_HASH]}`"]
        for i in figures.inputs
    ]
    return table(["input", "split", "lines", "bytes (unpacked)", "SHA-256 (start)"], rows)


def dropped_table(figures: CardFigures) -> str:
    """What became of the phrases."""
    phrases = figures.counts.get("phrases", 0)
    kept = figures.counts.get("phrases_with_alps", 0)
    rows = [["gave ALPs", f"{kept:,}", share(kept, phrases), ""]]
    rows += [
        [code(name), f"{number:,}", share(number, phrases), PHRASE_REASONS.get(name, "")]
        for name, number in figures.dropped
    ]
    return table(["phrases", "number", "share", "meaning"], rows)


def choices_table(figures: CardFigures) -> str:
    """Every field of the configuration that decides what is written."""
    rows = [[code(name), code(json.dumps(value))] for name, value in flat(figures.config).items()]
    return table(["choice", "value"], rows)
