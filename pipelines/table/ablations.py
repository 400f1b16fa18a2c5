"""One factor at a time round the row FCOS-MO with ALPs: `python -m pipelines.table.ablations`.

Every factor has the table's setting as one of its levels, trained once and shared by all of them. Levels
are rows like any other, so they run, resume and are summarised by the same code. Results are of the
same form: `NAME.json`, `NAME.md`, and a plot for each factor.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from alp_builder.errors import AlpError, UsageError
from alp_builder.files import write_atomic
from pipelines.table.__main__ import add_common, changed, stop
from pipelines.table.data import prepare
from pipelines.table.plan import PRESETS, Plan, Preset, Row, world_settings
from pipelines.table.report import settings_of, shown
from pipelines.table.run import run_jobs
from pipelines.table.summary import Estimate, RowSummary, summarise

STEPS = 3_000
"""Steps of a level unless told otherwise: there are many of them."""


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """A choice and its levels.

    Attributes:
        name: Short name, part of file names.
        title: What is chosen.
        levels: Label and row of each level; one of them is the table's row.
    """

    name: str
    title: str
    levels: tuple[tuple[str, Row], ...]


class LevelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A level and what it gave.

    Attributes:
        level: Its label.
        default: Whether it is the table's setting.
        summary: Of its row, None if it has not been run.
    """

    level: str
    default: bool
    summary: RowSummary | None


REFERENCE = Row(name="fcosmo_alps", model="fcosmo", supervision="alps")
"""The table's row, the default level of every factor."""

_BOX = "data.train.alps.mapper.quantization"
_COLUMNS = "model.columns"


def _level(
    name: str, *changes: str, profile: str = "coco", percent: int = 100, config: str = ""
) -> Row:
    return Row(
        name=name,
        model=REFERENCE.model,
        supervision=REFERENCE.supervision,
        changes=changes,
        profile=profile,
        percent=percent,
        config=config,
    )


FACTORS = (
    Factor(
        name="quantization",
        title="box quantization",
        levels=(
            ("none", _level("quantization_none", f"{_BOX}.kind=none")),
            ("uniform 1 to 2", _level("quantization_uniform", f"{_BOX}.kind=uniform")),
            ("fixed 8", _level("quantization_fixed", f"{_BOX}.kind=fixed")),
            ("snap 2 to 8", _level("quantization_snap_2_8", f"+{_BOX}.cells=[2,8]")),
            ("snap 4 to 16", REFERENCE),
            ("snap 8 to 32", _level("quantization_snap_8_32", f"+{_BOX}.cells=[8,32]")),
        ),
    ),
    Factor(
        name="noise",
        title="noise profile of the narrator",
        levels=(
            ("clean", _level("noise_clean", profile="clean")),
            ("vidln", _level("noise_vidln", profile="vidln")),
            ("coco", REFERENCE),
        ),
    ),
    Factor(
        name="mask_head",
        title="mask head",
        levels=(
            ("4 convolutions", _level("mask_head_fcn", config="fcosmo_alps_fcn.py")),
            ("HG-20", REFERENCE),
            ("HG-32", _level("mask_head_hg32", "model.mask_branch.head.depth=32")),
            (
                "HG-52, crop 32",
                _level(
                    "mask_head_hg52",
                    "model.mask_branch.head.depth=52",
                    "model.mask_branch.head.crop_size=32",
                ),
            ),
        ),
    ),
    Factor(
        name="box_loss",
        title="box loss on ALPs",
        levels=(
            ("0", REFERENCE),
            ("0.5", _level("box_loss_05", "model.alp.box=0.5")),
            ("1", _level("box_loss_1", "model.alp.box=1.0")),
        ),
    ),
    Factor(
        name="negatives",
        title="phrases of other images as negatives",
        levels=(
            ("weight 0", _level("negatives_0", f"{_COLUMNS}.foreign_weight=0.0")),
            ("weight 0.125", REFERENCE),
            ("weight 1", _level("negatives_1", f"{_COLUMNS}.foreign_weight=1.0")),
            (
                "0.125, base names too",
                _level(
                    "negatives_base",
                    f"{_COLUMNS}.base_columns=true",
                    f"{_COLUMNS}.base_weight=0.125",
                ),
            ),
        ),
    ),
    Factor(
        name="alternation",
        title="mask batches : ALP batches",
        levels=(
            ("3 : 1", _level("alternation_3_1", "data.train.alternation.masks=3")),
            ("1 : 1", REFERENCE),
            ("1 : 3", _level("alternation_1_3", "data.train.alternation.alps=3")),
        ),
    ),
    Factor(
        name="alps",
        title="number of ALPs",
        levels=(
            ("1 %", _level("alps_1", percent=1)),
            ("10 %", _level("alps_10", percent=10)),
            ("100 %", REFERENCE),
        ),
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    args = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        factors = chosen_factors(args.factors or ())
        plan = plan_of(args, factors)
        prepare(Path(plan.data), world_settings(plan.preset), [row.alps for row in plan.rows])
        results = run_jobs(plan.jobs(), Path(plan.runs), plan.preset.slots)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on where it was\n")
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    rows = summarise(plan.rows, plan.preset.seeds, results)
    lines = write_ablations(plan, factors, rows, args.out)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def chosen_factors(names: Sequence[str]) -> tuple[Factor, ...]:
    """Factors by name, all if none is named.

    Raises:
        UsageError: If there is no factor of a name.
    """
    known = {factor.name: factor for factor in FACTORS}
    for name in names:
        if name not in known:
            raise UsageError(f"no factor {name!r}: expected some of {', '.join(known)}")
    return tuple(factor for factor in FACTORS if not names or factor.name in names)


def plan_of(args: argparse.Namespace, factors: Sequence[Factor]) -> Plan:
    """The plan of some factors; a row that several of them share is in it once."""
    rows = {row.name: row for factor in factors for _, row in factor.levels}
    preset: Preset = msgspec.structs.replace(PRESETS[args.preset], steps=STEPS)
    ordered = [REFERENCE, *(row for row in rows.values() if row != REFERENCE)]
    return Plan(
        rows=tuple(ordered),
        preset=changed(preset, args),
        data=str(args.data),
        runs=str(args.runs or Path("runs/ablations")),
        split=args.split,
    )


def write_ablations(
    plan: Plan, factors: Sequence[Factor], rows: Sequence[RowSummary], out: Path
) -> list[str]:
    """Write the table of all factors and a plot of each.

    Args:
        plan: What was run.
        factors: Factors to show.
        rows: Rows that have results.
        out: Name of the files without an ending.

    Returns:
        The lines of the table.
    """
    known = {row.name: row for row in rows}
    levels = {
        factor.name: [
            LevelSummary(level=label, default=row == REFERENCE, summary=known.get(row.name))
            for label, row in factor.levels
        ]
        for factor in factors
    }
    record = {"simulated": True, "settings": settings_of(plan), "factors": levels}
    write_atomic(
        out.with_name(f"{out.name}.json"),
        msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n",
    )
    lines = markdown(plan, factors, levels, out.name)
    write_atomic(out.with_name(f"{out.name}.md"), ("\n".join(lines) + "\n").encode())
    for factor in factors:
        file = out.with_name(f"{out.name}_{factor.name}.png")
        write_atomic(file, plot(factor, levels[factor.name]))
    return lines


def markdown(
    plan: Plan, factors: Sequence[Factor], levels: dict[str, list[LevelSummary]], name: str
) -> list[str]:
    """A table for each factor, as lines of Markdown."""
    preset = plan.preset
    what = (
        "One factor at a time round FCOS-MO with ALPs (bold: the table's setting), on the simulated world. "
        f"Mask AP50 in percent by the Open Images protocol on the {plan.split} split, {len(preset.seeds)} "
        f"seeds, {preset.steps:,} steps; brackets: 95 % interval of the mean over seeds."
    )
    lines = ["# Ablations, in miniature", "", what]
    for factor in factors:
        lines += [
            "",
            f"## {factor.title.capitalize()}",
            "",
            "| | novel | base |",
            "| --- | --- | --- |",
        ]
        for level in levels[factor.name]:
            label = f"**{level.level}**" if level.default else level.level
            found = level.summary
            cells = (
                f"{shown(found.ap50_novel)} | {shown(found.ap50_base)}"
                if found
                else "not run | not run"
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
    parser.add_argument(
        "--out", type=Path, default=Path("results/ablations"), help="without ending"
    )
    names = ", ".join(factor.name for factor in FACTORS)
    parser.add_argument("--factors", nargs="+", help=f"only these, out of {names}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
