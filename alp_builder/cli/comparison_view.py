"""A comparison of two builds in words and tables."""

from __future__ import annotations

import math
from typing import Any

from alp_builder.cli.parsing import percent
from alp_builder.cli.terminal import bar, section, shorten, table
from alp_builder.comparison import Change, Comparison

_BAR = 16


def comparison_lines(found: Comparison, old: str, new: str, top: int) -> list[str]:
    """What `alps stats DIR --compare OTHER` prints.

    Args:
        found: The comparison.
        old: Name of the reference.
        new: Name of what is compared with it.
        top: Nouns to list.
    """
    if found.same == found.before == found.after and not (found.choices or found.counts):
        lines = [f"{new} and {old} hold the same {found.after:,} ALPs and counts"]
        return lines + _changes("versions", found.versions)
    lines = _changes("choices", found.choices) + _changes("versions", found.versions)
    if not found.same_inputs:
        lines += ["", "  the inputs differ: records, images or splits are not the same"]
    return [
        *lines,
        *_counts(found.counts),
        *_nouns(found, top),
        *_alps(found, old, new),
    ]


def _changes(title: str, changes: list[Change]) -> list[str]:
    if not changes:
        return []
    rows = [[change.name, _short(change.before), "→", _short(change.after)] for change in changes]
    return [*section(title), *table(rows, "<><<")]


def _counts(changes: list[Change]) -> list[str]:
    """Records, phrases and ALPs by what became of them."""
    if not changes:
        return []
    rows = [
        [c.name, f"{c.before:,}", "→", f"{c.after:,}", f"{c.after - c.before:+,}"]
        for c in sorted(changes, key=lambda c: (-abs(c.after - c.before), c.name))
    ]
    return [*section("counts"), *table(rows, "<><>>")]


def _nouns(found: Comparison, top: int) -> list[str]:
    if not found.nouns[:top]:
        return []
    most = found.nouns[0].touched
    rows = [["noun", "before", "after", "", "new", "gone", "moved", ""]]
    rows += [
        [
            shorten(noun.noun, 24),
            f"{noun.before:,}",
            f"{noun.after:,}",
            f"{noun.after - noun.before:+,}" if noun.after != noun.before else "",
            f"{noun.new:,}",
            f"{noun.gone:,}",
            f"{noun.moved:,}",
            bar(noun.touched, most, _BAR),
        ]
        for noun in found.nouns[:top]
    ]
    left = len(found.nouns) - top
    more = [f"  and {left:,} more nouns"] if left > 0 else []
    return [*section("nouns that changed most"), *table(rows, "<>>>>>><"), *more]


def _alps(found: Comparison, old: str, new: str) -> list[str]:
    whole = max(found.before, found.after)
    rows = [
        [name, f"{number:,}", percent(number, whole), bar(number, whole, _BAR)]
        for name, number in (
            ("same box", found.same),
            ("moved", found.moved),
            ("gone", found.gone),
            ("new", found.new),
        )
    ]
    lines = [*section(f"{new} against {old}"), f"  {found.before:,} → {found.after:,} ALPs"]
    lines += table(rows, "<>><")
    if not math.isnan(found.moved_iou):
        lines.append(
            f"  moved boxes overlap their old ones with a mean IoU of {found.moved_iou:.3f}"
        )
    before, after = found.score
    if not math.isnan(before):
        lines.append(f"  mean score of the ALPs of both: {before:.3f} → {after:.3f}")
    return lines


def _short(value: Any) -> str:
    return "-" if value is None else shorten(str(value), 40)
