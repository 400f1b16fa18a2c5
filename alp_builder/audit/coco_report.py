"""Figures of an audit against masks: by rule, by class, by size, by part of a split; as JSON or as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from alp_builder.arrays import Bools, Floats
from alp_builder.audit.coco import SIZES, CocoTruth, SizeRule
from alp_builder.audit.instances import (
    MEASURES,
    InstanceScores,
    box_rows,
    narrated_coverage,
    score_instances,
)
from alp_builder.audit.matching import Matches
from alp_builder.audit.report import figure_cell, summarise
from alp_builder.errors import UsageError
from alp_builder.reader import AlpDataset
from alp_builder.schema import BOX, CALIBRATED_BOX, TIGHT_BOX

RECOVERED = 0.9
"""Share of its mask from which on a narrated instance counts as recovered."""


_RULES = {"default": BOX, "calibrated": CALIBRATED_BOX, "tight": TIGHT_BOX}


def rule_columns(table: pa.Table) -> dict[str, tuple[str, ...]]:
    """The columns of the boxes that a table has, by rule: `default`, `calibrated` where there, `tight`."""
    return {rule: names for rule, names in _RULES.items() if set(names) <= set(table.schema.names)}


def audit_rows(dataset: AlpDataset, columns: Sequence[str]) -> pa.Table:
    """The rows of a data set with some columns and the boxes of every rule; nothing else is read.

    Args:
        dataset: ALPs.
        columns: Columns wanted besides the boxes.

    Returns:
        R rows, captions and traces left on disk unless asked for.

    Raises:
        UsageError: If a column does not exist.
        BadDataError: If a shard is missing or broken.
    """
    there = set(dataset.columns)
    boxes = [name for names in _RULES.values() if set(names) <= there for name in names]
    return dataset.table(list(dict.fromkeys([*columns, *boxes])))


def box_rules(table: pa.Table) -> dict[str, Floats]:
    """The boxes of a table's R rows by rule, each (R, 4), see `rule_columns`."""
    return {rule: box_rows(table, names) for rule, names in rule_columns(table).items()}


def coco_figures(
    matches: Matches,
    table: pa.Table,
    coco: CocoTruth,
    size_rule: SizeRule = "coco",
    parts: Mapping[str, set[int]] | None = None,
) -> dict[str, Any]:
    """Figures of every rule.

    Args:
        matches: M nouns of the table.
        table: Rows of ALPs.
        coco: The instances.
        size_rule: What small, medium and large are.
        parts: Category ids of each part of a split, such as `base` and `novel`.

    Returns:
        `rules`: for each rule `nouns`, `found`, `recall` (`None` where missed nouns are not known), means
        and medians of `MEASURES` with intervals, the narrated instances, and all of it `by_size`,
        `by_part`, `by_class`. `phrases`: how many gave an ALP, name a category, name the right one.
    """
    rules: dict[str, Any] = {}
    for rule, boxes in box_rules(table).items():
        scores = score_instances(matches, boxes, coco)
        rules[rule] = (
            _figures(scores, np.ones(len(scores.found), np.bool_), matches)
            | _narrated(matches, boxes, coco)
            | _groups(scores, matches, coco, size_rule, parts or {})
        )
    precision = matches.correct / matches.named if matches.named else None
    phrases = {
        "with_alps": matches.phrases,
        "naming_a_category": matches.named,
        "right": matches.correct,
        "precision": precision,
    }
    return {
        "truth": "phrases" if matches.knows_missed else "names",
        "phrases": phrases,
        "rules": rules,
    }


def _figures(scores: InstanceScores, chosen: Bools, matches: Matches) -> dict[str, Any]:
    found = chosen & scores.found
    recall = float(scores.found[chosen].mean()) if matches.knows_missed else None
    measures = {name: getattr(scores, name)[found] for name in MEASURES}
    counts = {"nouns": int(chosen.sum()), "found": int(found.sum()), "recall": recall}
    return counts | summarise(measures)


def _narrated(matches: Matches, boxes: Floats, coco: CocoTruth) -> dict[str, Any]:
    """Instances that narratives mean; nothing where that is guessed from names."""
    if not matches.knows_missed:
        return {}
    covered = narrated_coverage(matches, boxes, coco)
    return {
        "narrated_instances": len(covered),
        "narrated_coverage": float(covered.mean()),
        "recovered": float((covered > RECOVERED).mean()),
    }


def _groups(
    scores: InstanceScores,
    matches: Matches,
    coco: CocoTruth,
    size_rule: SizeRule,
    parts: Mapping[str, set[int]],
) -> dict[str, Any]:
    size = coco.sizes(size_rule)[scores.instance]
    category = matches.category
    groups: dict[str, dict[str, Bools]] = {
        "by_size": {name: size == number for number, name in enumerate(SIZES)},
        "by_part": {
            name: np.isin(category, np.array(sorted(numbers), np.int64))
            for name, numbers in parts.items()
        },
        "by_class": {name: category == number for number, name in sorted(coco.names.items())},
    }
    return {
        group: {
            name: _figures(scores, chosen, matches)
            for name, chosen in members.items()
            if chosen.any()
        }
        for group, members in groups.items()
    }


class _Split(msgspec.Struct):
    base: list[str]
    novel: list[str]


def read_parts(path: Path, coco: CocoTruth) -> dict[str, set[int]]:
    """Reads base and novel classes: a JSON object with lists of names `base` and `novel`.

    Returns:
        Category ids of `base` and of `novel`.

    Raises:
        UsageError: If it cannot be read, or names a class that the COCO file lacks.
    """
    try:
        split = msgspec.json.decode(path.read_bytes(), type=_Split)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f'--classes {path}: expected {{"base": [names], "novel": [names]}} ({error})'
        ) from error
    number = {name: key for key, name in coco.names.items()}
    unknown = sorted({*split.base, *split.novel} - set(number))
    if unknown:
        raise UsageError(f"--classes {path}: {coco.path} has no class {', '.join(unknown)}")
    both = sorted(set(split.base) & set(split.novel))
    if both:
        raise UsageError(f"--classes {path}: both base and novel: {', '.join(both)}")
    return {part: {number[name] for name in getattr(split, part)} for part in ("base", "novel")}


_TABLE = (
    ("recall", "recall"),
    ("mask_coverage_mean", "mask coverage"),
    ("iou_mean", "IoU mean"),
    ("centre_inside", "centre inside"),
    ("area_ratio_median", "area ratio"),
)


def coco_table(figures: dict[str, Any]) -> list[str]:
    """The figures as lines for a terminal."""
    phrases = figures["phrases"]
    precision = phrases["precision"]
    lines = [
        "",
        f"phrases with ALPs: {phrases['with_alps']}, naming a category: {phrases['naming_a_category']},"
        + (" precision -" if precision is None else f" precision {precision:.3f}"),
        "",
        f"{'rule':<20}{'nouns':>7}" + "".join(f"{title:>26}" for _, title in _TABLE),
    ]
    for rule, row in figures["rules"].items():
        lines.append(_line(rule, row))
        lines += [_line(f"  {name}", part) for name, part in row["by_size"].items()]
        lines += [_line(f"  {name}", part) for name, part in row["by_part"].items()]
    lines += ["", "by class, rule default"]
    classes = figures["rules"]["default"]["by_class"]
    lines += [_line(f"  {name}", part) for name, part in classes.items()]
    for rule, row in figures["rules"].items():
        if "recovered" in row:
            lines += [
                "",
                (
                    f"{rule}: of {row['narrated_instances']} narrated instances {100 * row['recovered']:.1f} %"
                    f" have over {RECOVERED} of their mask under an ALP that means them"
                ),
            ]
    known = figures["truth"] == "phrases"
    told = (
        "what each phrase means is known" if known else "phrases are matched to categories by name"
    )
    return [
        *lines,
        "",
        f"Over the nouns found; [95 % interval by bootstrap]; {told}.",
        "Mask coverage: share of the mask's pixels under the box. IoU, area ratio: against its box.",
        "tight: the box round every point of the window.",
    ]


def _line(name: str, row: Mapping[str, Any]) -> str:
    cells = "".join(f"{figure_cell(dict(row), key):>26}" for key, _ in _TABLE)
    return f"{name:<20}{row['nouns']:>7}{cells}"
