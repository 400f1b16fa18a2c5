"""`alps stats`: what is in a data set, and what changed against another build of it."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from alp_builder.cli.comparison_view import comparison_lines
from alp_builder.cli.parsing import Verbs, add_json, add_verb, data_set, percent, print_json, say
from alp_builder.cli.terminal import bar, section, shorten, sparkline, table, width
from alp_builder.comparison import compare
from alp_builder.manifest import Manifest
from alp_builder.reader import open_alps
from alp_builder.reasons import PHRASE_REASONS, RECORD_REASONS, dropped_phrases
from alp_builder.statistics import Statistics, collect

_EXAMPLE = """
alps stats data/alps --top 30
alps stats data/alps_wider --compare data/alps
"""
_BAR = 24


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    parser = add_verb(verbs, "stats", "describe a data set, or compare two builds", _EXAMPLE, run)
    parser.add_argument(
        "folder", type=data_set, metavar="DIR", help="folder or URL of the data set"
    )
    parser.add_argument(
        "--compare",
        type=data_set,
        metavar="OTHER",
        help="an older build: what changed since, by reason and noun",
    )
    parser.add_argument("--top", type=int, default=20, metavar="N", help="nouns to list (20)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    dataset, top = open_alps(args.folder), max(args.top, 0)
    if args.compare:
        comparison = compare(open_alps(args.compare), dataset)
        if args.json:
            print_json(dataclasses.asdict(comparison))
        else:
            say(comparison_lines(comparison, str(args.compare), str(args.folder), top))
        return 0
    statistics = collect(dataset, top)
    if args.json:
        print_json(_figures(statistics, dataset.manifest.counts))
    else:
        say(_lines(statistics, dataset.manifest, str(args.folder)))
    return 0


def _figures(statistics: Statistics, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "alps": statistics.rows,
        "images": statistics.images,
        "narratives": statistics.narratives,
        "splits": statistics.splits,
        "datasets": statistics.datasets,
        "counts": counts,
        "top_nouns": statistics.top_nouns,
        "columns": {c.name: c.__dict__ for c in statistics.columns},
    }


def _lines(statistics: Statistics, manifest: Manifest, folder: str) -> list[str]:
    return [
        *_column_lines(statistics),
        *_noun_lines(statistics),
        *_record_lines(manifest),
        *_phrase_lines(manifest),
        *_overview_lines(statistics, manifest, folder),
    ]


def _overview_lines(statistics: Statistics, manifest: Manifest, folder: str) -> list[str]:
    """Last, where a terminal shows it without scrolling."""
    rows = statistics.rows
    size = sum(shard.size for shard in manifest.shards)
    lines = section(folder)
    lines.append(
        f"  {rows:,} ALPs of {statistics.narratives:,} narratives on {statistics.images:,} images"
    )
    per = [f"{rows / n:.1f} ALPs {of}" for n, of in (
        (statistics.narratives, "a narrative"), (statistics.images, "an image")) if n]  # fmt: skip
    lines.append(
        f"  shards: {len(manifest.shards)}, {size:,} bytes; " + ", ".join(per or ["no ALPs"])
    )
    groups = [("split", statistics.splits), ("data set", statistics.datasets)]
    parts = [
        [f"{kind} {shorten(name, 30)}:", f"{n:,}", percent(n, rows), bar(n, rows, _BAR)]
        for kind, found in groups
        for name, n in found.items()
    ]
    return [*lines, *(table(parts, "<>><") if parts else [])]


def _column_lines(statistics: Statistics) -> list[str]:
    """Every column in two lines: its meaning, and how its values lie."""
    lines = section("columns")
    for column in statistics.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        limits = f" in [{column.low}, {column.high}]" if column.high else ""
        limits = f" ≥ {column.low}" if column.low and not column.high else limits
        lines.append(f"  {column.name:<17}{column.type:<8}{column.doc}{unit}{limits}")
        if column.quantiles:
            low, median, high = column.quantiles
            lines.append(
                f"{'':<27}{sparkline(column.histogram)}"
                f"  5 %: {low:<9.3g} median: {median:<9.3g} 95 %: {high:.3g}"
            )
    return lines


def _noun_lines(statistics: Statistics) -> list[str]:
    if not statistics.top_nouns:
        return []
    widest = max(number for _, number in statistics.top_nouns)
    rows = [
        [shorten(noun, 24), f"{n:,}", percent(n, statistics.rows), bar(n, widest, _BAR)]
        for noun, n in statistics.top_nouns
    ]
    return [*section("most frequent nouns"), *table(rows, "<>><")]


def _record_lines(manifest: Manifest) -> list[str]:
    """Records set aside and records that lack something; nothing where all could be used."""
    counts = manifest.counts
    lines = counts.get("lines", 0)
    rows = []
    for name, number in counts.items():
        reason = name.removeprefix("rejected.")
        if number and (name.startswith("rejected.") or name in RECORD_REASONS):
            words = RECORD_REASONS.get(reason, "")
            rows.append([reason, f"{number:,}", percent(number, lines), words])
    if not rows:
        return []
    room = width() - 45
    return [
        *section(f"of {lines:,} records"),
        *table([[*row[:3], shorten(row[3], room)] for row in rows], "<>><"),
    ]


def _phrase_lines(manifest: Manifest) -> list[str]:
    """What became of the phrases."""
    counts = manifest.counts
    phrases = counts.get("phrases", 0)
    fates = [("gave ALPs", counts.get("phrases_with_alps", 0), "")]
    fates += [(name, n, PHRASE_REASONS.get(name, "")) for name, n in dropped_phrases(counts)]
    room = max(width() - 65, 12)
    rows = [
        [name, f"{n:,}", percent(n, phrases), bar(n, phrases, _BAR), shorten(words, room)]
        for name, n, words in fates
    ]
    return [*section(f"of {phrases:,} phrases"), *table(rows, "<>><<")]
