"""Figures of an audit: means, medians and bootstrap intervals by rule and kind, as JSON or as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from alp_builder.arrays import Bools
from alp_builder.audit.gold import NounScores
from alp_builder.audit.overlap import bootstrap_interval

KINDS = ("thing", "group", "stuff")


def gold_figures(rules: Mapping[str, NounScores]) -> dict[str, Any]:
    """Figures of every rule, over all nouns and by kind.

    Args:
        rules: Scores of the same nouns under each rule.

    Returns:
        For each rule: `nouns`, `recall`, means and medians over the nouns found with 95 % intervals
        (`iou_mean`, `iou_mean_ci95`, ...), and the same `by_kind`.
    """
    figures = {}
    for name, scores in rules.items():
        kinds = np.array(scores.kinds)
        figures[name] = _figures(scores, np.ones(len(kinds), bool)) | {
            "by_kind": {
                kind: _figures(scores, kinds == kind) for kind in KINDS if (kinds == kind).any()
            }
        }
    return {"rules": figures}


def _figures(scores: NounScores, chosen: Bools) -> dict[str, Any]:
    found = chosen & scores.found
    figures: dict[str, Any] = {
        "nouns": int(chosen.sum()),
        "found": int(found.sum()),
        "recall": float(scores.found[chosen].mean()),
    }
    measures = {
        "iou": scores.iou,
        "coverage": scores.coverage,
        "area_ratio": scores.area_ratio,
        "centre_inside": scores.centre_inside,
    }
    for name, values in measures.items():
        present = values[found]
        statistics = ("mean",) if name == "centre_inside" else ("mean", "median")
        for statistic in statistics:
            key = name if name == "centre_inside" else f"{name}_{statistic}"
            value = getattr(np, statistic)(present) if len(present) else None
            figures[key] = None if value is None else float(value)
            figures[f"{key}_ci95"] = (
                bootstrap_interval(present, statistic) if len(present) else None
            )
    return figures


def gold_table(figures: dict[str, Any]) -> list[str]:
    """The figures as lines for a terminal."""
    columns = (
        ("recall", "recall"),
        ("iou_mean", "IoU mean"),
        ("coverage_mean", "coverage"),
        ("centre_inside", "centre inside"),
        ("area_ratio_median", "area ratio"),
    )
    lines = ["", f"{'rule':<16}{'nouns':>6}" + "".join(f"{title:>24}" for _, title in columns)]
    for rule, all_figures in figures["rules"].items():
        rows = {rule: all_figures} | {f"  {k}": v for k, v in all_figures["by_kind"].items()}
        for name, row in rows.items():
            cells = "".join(f"{_cell(row, key):>24}" for key, _ in columns)
            lines.append(f"{name:<16}{row['nouns']:>6}{cells}")
    lines += [
        "",
        "Over the nouns found; [95 % interval by bootstrap]. Coverage: share of the truth under the box.",
        "Area ratio: median of the box's area over the truth's. tight: box round every point of the window.",
    ]
    return lines


def _cell(row: dict[str, Any], key: str) -> str:
    value, interval = row[key], row.get(f"{key}_ci95")
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
