"""`alps stats`: what is in a data set, column by column and phrase by phrase."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from alp_builder.cli.parsing import Verbs, add_json, add_verb, percent, print_json, say
from alp_builder.extraction import DROPPED
from alp_builder.reader import open_alps
from alp_builder.statistics import BAR_BINS, Statistics, collect

_BARS = "▁▂▃▄▅▆▇█"


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    parser = add_verb(verbs, "stats", "describe a data set", "alps stats data/alps --top 30", run)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the data set")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="nouns to list (20)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    dataset = open_alps(args.folder)
    statistics = collect(dataset, max(args.top, 0))
    if args.json:
        print_json(_figures(statistics, dataset.manifest.counts))
    else:
        say(_lines(statistics, dataset.manifest.counts))
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


def _lines(statistics: Statistics, counts: dict[str, int]) -> list[str]:
    rows = statistics.rows
    lines = [
        "",
        f"{rows:,} ALPs of {statistics.narratives:,} narratives on {statistics.images:,} images",
    ]
    lines += [f"  split {name}: {number:,}" for name, number in statistics.splits.items()]
    lines += [f"  data set {name}: {number:,}" for name, number in statistics.datasets.items()]
    lines += ["", "columns", ""]
    for column in statistics.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        limits = f" in [{column.low}, {column.high}]" if column.low or column.high else ""
        lines.append(f"  {column.name:<17}{column.type:<22}{column.doc}{unit}{limits}")
        if column.quantiles:
            low, median, high = column.quantiles
            bars = _bars(column.histogram)
            lines.append(
                f"{'':<19}{bars:<22}5 %: {low:.3g}   median: {median:.3g}   95 %: {high:.3g}"
            )
    lines += ["", "most frequent nouns", ""]
    widest = max((number for _, number in statistics.top_nouns), default=1)
    for noun, number in statistics.top_nouns:
        bar = "█" * max(1, round(30 * number / widest))
        lines.append(f"  {noun[:24]:<25}{number:>9,}  {bar}")
    lines += ["", "phrases that gave no ALP", ""]
    for name, number in sorted(counts.items(), key=lambda item: -item[1]):
        if name.startswith(DROPPED) and number:
            share = percent(number, counts["phrases"])
            lines.append(f"  {name.removeprefix(DROPPED):<25}{number:>9,}  {share} of phrases")
    return lines


def _bars(histogram: list[int]) -> str:
    top = max(histogram, default=0) or 1
    bars = "".join(_BARS[round((len(_BARS) - 1) * n / top)] for n in histogram)
    return bars.ljust(BAR_BINS)
