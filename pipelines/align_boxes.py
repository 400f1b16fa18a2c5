"""`make align`: what forced word times do to boxes, on gold nouns of real narratives.

Boxes are made from the published times and from the forced ones by the same rules, and compared with boxes drawn
by people (`alps audit --gold`), noun by noun. Published times lag forced ones by a constant, and a lag is a choice
of the builder too (`window.lag`), so each is also shown on the other's clock: what the shift does and what better
times do are told apart. Intervals are 95 % by the bootstrap over nouns; differences are paired.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from alp_builder.arrays import Floats
from alp_builder.audit.overlap import bootstrap_interval
from alp_builder.audit.samples import SampleScores, gold_sample
from alp_builder.config import BuildConfig, turned
from alp_builder.errors import AlpError
from alp_builder.files import write_atomic
from alp_builder.phrases import PhraseExtractor

PUBLISHED_LAG = 0.15
"""Seconds by which the published starts of these recordings lie after the forced ones (`alps align`)."""

_HEAD = (
    "| times | `window.lag` | nouns found | IoU | coverage | centre inside | IoU less published |"
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.align_boxes", description=__doc__)
    parser.add_argument("published", type=Path, help="narratives with published times")
    parser.add_argument("forced", type=Path, help="the same narratives, aligned")
    parser.add_argument("--gold", type=Path, required=True, help="boxes of nouns (CSV)")
    parser.add_argument("--out", type=Path, required=True, help="folder for boxes.md")
    args = parser.parse_args(arguments)
    try:
        lines = table(args.published, args.forced, args.gold)
        write_atomic(args.out / "boxes.md", ("\n".join(lines) + "\n").encode())
    except AlpError as error:
        sys.stderr.write(f"align_boxes: {error}\n")
        return error.exit_code
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def table(published: Path, forced: Path, gold: Path) -> list[str]:
    """The comparison as a Markdown table.

    Args:
        published: Narratives with published times.
        forced: The same narratives, aligned.
        gold: Boxes of their nouns.
    """
    config = BuildConfig()
    extractor = PhraseExtractor(config.phrases)
    samples = {
        name: gold_sample(path, gold, extractor)
        for name, path in (("published", published), ("forced", forced))
    }
    reference: SampleScores | None = None
    lines = [_HEAD, "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, lag in (
        ("published", 0.0), ("forced", 0.0), ("published", -PUBLISHED_LAG), ("forced", PUBLISHED_LAG),
        ("published", -2 * PUBLISHED_LAG), ("forced", -PUBLISHED_LAG),
    ):  # fmt: skip
        sample = samples[name]
        scores = sample.score(sample.rows(turned(config, {"window.lag": lag}), extractor))
        reference = reference or scores
        lines.append(_row(name, lag, scores, reference))
    return lines


def _row(name: str, lag: float, scores: SampleScores, reference: SampleScores) -> str:
    found = ~np.isnan(scores.iou)
    both = found & ~np.isnan(reference.iou)
    difference = scores.iou[both] - reference.iou[both]
    cells = [
        f"{found.sum()} of {len(found)}",
        _cell(scores.iou[found]),
        _cell(scores.coverage[found]),
        _cell(scores.centre_inside[found]),
        "" if scores is reference else _cell(difference, "+.3f"),
    ]
    return f"| {name} | {lag:+.2f} | " + " | ".join(cells) + " |"


def _cell(values: Floats, form: str = ".3f") -> str:
    low, high = bootstrap_interval(values)
    return f"{values.mean():{form}} [{low:{form}}, {high:{form}}]"


if __name__ == "__main__":
    sys.exit(main())
