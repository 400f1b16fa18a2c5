"""One factor at a time: `python -m pipelines.table.ablations`, `... --collection studies`.

What is changed is in `factors`. Levels run beside the rows of the table, resume and are summarised by the
same code; results are of the same form: `NAME.json`, `NAME.md`, and a plot for each factor.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from alp_builder.errors import UsageError
from alp_builder.files import write_atomic
from pipelines.table.__main__ import add_common, carry_out, changed, guarded
from pipelines.table.factors import COLLECTIONS, Collection, Factor
from pipelines.table.plan import PRESETS, ROWS, Plan
from pipelines.table.report import part_done, settings_of, shown
from pipelines.table.summary import Estimate, RowSummary, estimate


class LevelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A level and what it gave.

    Attributes:
        level: Its label.
        default: Whether it is a row of the table.
        summary: Of its row, None if it has not been run.
        novel_gain: What novel classes gain over the row of the table, seed by seed; None for that row
            itself, and where one of the two lacks a seed. Rows of a seed share their start, so this is
            surer than the difference of two intervals.
    """

    level: str
    default: bool
    summary: RowSummary | None
    novel_gain: Estimate | None = None


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    args = _parser().parse_args(arguments)
    return guarded(lambda: _ablate(args))


def _ablate(args: argparse.Namespace) -> None:
    collection = chosen(COLLECTIONS[args.collection], args.factors or ())
    plan = plan_of(args, collection)
    out = args.out or Path("results") / collection.name
    rows = carry_out(plan, report_only=args.report)
    lines = write_ablations(plan, collection, rows, out)
    sys.stdout.write("\n".join(lines) + "\n")


def chosen(collection: Collection, names: Sequence[str]) -> Collection:
    """A collection with the factors of these names, with all if none is named.

    Raises:
        UsageError: If there is no factor of a name.
    """
    known = {factor.name: factor for factor in collection.factors}
    for name in names:
        if name not in known:
            raise UsageError(f"no factor {name!r}: expected some of {', '.join(known)}")
    factors = tuple(f for f in collection.factors if not names or f.name in names)
    return msgspec.structs.replace(collection, factors=factors)


def plan_of(args: argparse.Namespace, collection: Collection) -> Plan:
    """The plan of a collection; a row that several factors share is in it once, the table's rows first."""
    rows = {row.name: row for factor in collection.factors for _, row in factor.levels}
    preset = msgspec.structs.replace(PRESETS[args.preset], seeds=collection.seeds)
    split = args.split or collection.split
    return Plan(
        rows=tuple(sorted(rows.values(), key=lambda row: row not in ROWS)),
        preset=changed(preset, args),
        data=str(args.data),
        runs=str(args.runs or Path("runs/table" if split == "test" else f"runs/table-{split}")),
        split=split,
    )


def write_ablations(
    plan: Plan, collection: Collection, rows: Sequence[RowSummary], out: Path
) -> list[str]:
    """Write the table of all factors and a plot of each.

    Args:
        plan: What was run.
        collection: Factors to show.
        rows: Rows that have results.
        out: Name of the files without an ending.

    Returns:
        The lines of the table.
    """
    known = {row.name: row for row in rows}
    seeds = len(plan.preset.seeds)
    levels = {factor.name: summarise_levels(factor, known, seeds) for factor in collection.factors}
    record = {"simulated": True, "settings": settings_of(plan), "factors": levels}
    write_atomic(
        out.with_name(f"{out.name}.json"),
        msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n",
    )
    lines = markdown(plan, collection, levels, out.name)
    write_atomic(out.with_name(f"{out.name}.md"), ("\n".join(lines) + "\n").encode())
    for factor in collection.factors:
        file = out.with_name(f"{out.name}_{factor.name}.png")
        write_atomic(file, plot(factor, levels[factor.name]))
    return lines


def summarise_levels(
    factor: Factor, known: Mapping[str, RowSummary], seeds: int
) -> list[LevelSummary]:
    """The levels of a factor.

    Args:
        factor: The factor.
        known: Rows that have results, by name.
        seeds: How many seeds a whole row has.
    """
    (reference,) = (known.get(row.name) for _, row in factor.levels if row in ROWS)
    out = []
    for label, row in factor.levels:
        found, gain = known.get(row.name), None
        if found and reference and found is not reference:
            here, there = found.ap50_novel.seeds, reference.ap50_novel.seeds
            if len(here) == len(there) == seeds:
                gain = estimate([a - b for a, b in zip(here, there, strict=True)])
        out.append(LevelSummary(level=label, default=row in ROWS, summary=found, novel_gain=gain))
    return out


def markdown(
    plan: Plan, collection: Collection, levels: dict[str, list[LevelSummary]], name: str
) -> list[str]:
    """A table for each factor, as lines of Markdown."""
    preset = plan.preset
    seeds = (
        f"{len(preset.seeds)} seeds; brackets: 95 % interval of the mean over seeds"
        if len(preset.seeds) > 1
        else "one seed, which has no interval"
    )
    what = (
        f"{collection.about} (bold: the table's setting), on the simulated world. Mask AP50 in percent by the "
        f"Open Images protocol on the {plan.split} split, {preset.steps:,} steps, {seeds}."
    )
    lines = [f"# {collection.heading}", "", what]
    for factor in collection.factors:
        lines += [
            "",
            f"## {factor.title[0].upper() + factor.title[1:]}",
            "",
            "| | novel | gain on novel, by seed | base |",
            "| --- | --- | --- | --- |",
        ]
        for level in levels[factor.name]:
            label = f"**{level.level}**" if level.default else level.level
            found = level.summary
            label += part_done(found, preset) if found else ""
            gain = shown(level.novel_gain) if level.novel_gain else ""
            cells = (
                f"{shown(found.ap50_novel)} | {gain} | {shown(found.ap50_base)}"
                if found
                else "not run | | not run"
            )
            lines.append(f"| {label} | {cells} |")
        lines += ["", f"![{factor.title}]({name}_{factor.name}.png)"]
    return lines


def plot(factor: Factor, levels: Sequence[LevelSummary]) -> bytes:
    """Novel and base AP50 of the levels that were run, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    shown_levels = [level for level in levels if level.summary is not None]
    for group, color in (("novel", "#d1495b"), ("base", "#30638e")):
        for place, level in enumerate(shown_levels):
            value: Estimate = getattr(level.summary, f"ap50_{group}")
            label = f"{group} classes" if place == 0 else None
            axes.plot(place, value.mean, "o", color=color, label=label)
            if value.ci95:
                axes.plot([place, place], value.ci95, "-", color=color)
    axes.set_xticks(range(len(shown_levels)), [level.level for level in shown_levels], fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("mask AP50, percent")
    axes.set_title(f"{factor.title} (simulated world)", fontsize=9)
    if shown_levels:
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.table.ablations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser)
    parser.add_argument("--collection", choices=COLLECTIONS, default="ablations")
    parser.add_argument("--out", type=Path, help="without ending (default results/COLLECTION)")
    names = "; ".join(
        f"{c.name}: {', '.join(factor.name for factor in c.factors)}" for c in COLLECTIONS.values()
    )
    parser.add_argument("--factors", nargs="+", help=f"only these, of {names}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
