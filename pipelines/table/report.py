"""The table as files: `NAME.json` for programs, `NAME.md` and `NAME.png` for people.

{"rows": [{"model": "fcosmo", "supervision": "alps", "ap50_base": {"mean": x, "ci95": [lo, hi], "seeds": [...]},
           "ap50_novel": {...}, "seconds": x, ...}, ...], "claims": [...], "settings": {...}}
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.files import write_atomic
from pipelines.table.plan import MODEL_NAMES, SUPERVISION_NAMES, Plan, Preset, world_settings
from pipelines.table.summary import Claim, Estimate, RowSummary, judge

COLORS = {"none": "#8c8c8c", "alps": "#d1495b", "boxes": "#30638e"}


def write_report(plan: Plan, rows: Sequence[RowSummary], out: Path) -> list[Path]:
    """Write the three files; each appears whole or not at all.

    Args:
        plan: What was run.
        rows: What it gave.
        out: Name of the files without an ending.

    Returns:
        The files.
    """
    claims = judge(rows)
    record = {"rows": rows, "claims": claims, "simulated": True, "settings": settings_of(plan)}
    files = [out.parent / f"{out.name}.{ending}" for ending in ("json", "md", "png")]
    write_atomic(files[0], msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    text = "\n".join(markdown(plan, rows, claims, f"{out.name}.png")) + "\n"
    write_atomic(files[1], text.encode())
    write_atomic(files[2], picture(rows))
    return files


def settings_of(plan: Plan) -> dict[str, Any]:
    """What a reader has to know of a plan."""
    return {
        "split": plan.split,
        "preset": msgspec.to_builtins(plan.preset),
        "world": msgspec.to_builtins(world_settings(plan.preset)),
        "protocol": "open_images",
    }


def markdown(
    plan: Plan, rows: Sequence[RowSummary], claims: Sequence[Claim], image: str
) -> list[str]:
    """The table as lines of Markdown."""
    preset = plan.preset
    what = (
        f"Simulated world ({preset.scenes[0]:,} train, {preset.scenes[2]:,} test images of "
        f"{world_settings(preset).image_size} px), simulated narratives of noise profile `coco`. Mask AP50 "
        f"in percent by the Open Images protocol on the {plan.split} split; {len(preset.seeds)} "
        f"seed{'s' if len(preset.seeds) > 1 else ''}, {preset.steps:,} steps of 8 images a run. "
        "Brackets: 95 % interval of the mean over seeds (Student's t)."
    )
    lines = [
        "# The paper's table in miniature",
        "",
        what,
        "",
        "| model | supervision beside base masks | base | novel | s a run | CPU s | peak MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        memory = row.peak_memory_mb if not row.peak_gpu_mb else row.peak_gpu_mb
        lines.append(
            f"| {MODEL_NAMES[row.model]} | {SUPERVISION_NAMES[row.supervision]}{part_done(row, preset)} "
            f"| {shown(row.ap50_base)} | {shown(row.ap50_novel)} "
            f"| {row.seconds:,.0f} | {row.cpu_seconds:,.0f} | {memory:,.0f} |"
        )
    lines += ["", f"![mask AP50 of each row]({image})", ""]
    if claims:
        rule = "A claim holds where the intervals do not overlap; one seed has none, and leaves it open."
        lines += [
            "## The claims",
            "",
            rule,
            "",
            "| claim | classes | rows | points | |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {c.text} | {c.group} | `{c.higher}` over `{c.lower}` | {c.difference:+.1f} | {c.verdict} |"
            for c in claims
        ]
    return lines


def part_done(row: RowSummary, preset: Preset) -> str:
    """How many seeds of a row are done, as text; empty if all are."""
    done, wanted = len(row.ap50_novel.seeds), len(preset.seeds)
    return f" ({done} of {wanted} seeds so far)" if done < wanted else ""


def shown(value: Estimate) -> str:
    """An estimate as text.

    >>> shown(Estimate(mean=12.0, ci95=(7.03, 16.97), seeds=(10.0, 14.0)))
    '12.0 [7.0, 17.0]'
    """
    if value.ci95 is None:
        return f"{value.mean:.1f}"
    return f"{value.mean:.1f} [{value.ci95[0]:.1f}, {value.ci95[1]:.1f}]"


def picture(rows: Sequence[RowSummary]) -> bytes:
    """Bars of both groups of classes with intervals and seeds, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, group in zip(figure.subplots(1, 2), ("base", "novel"), strict=True):
        for place, row in enumerate(rows):
            value: Estimate = getattr(row, f"ap50_{group}")
            axes.barh(place, value.mean, color=COLORS[row.supervision], alpha=0.75)
            axes.plot(value.seeds, [place] * len(value.seeds), "k.", markersize=4)
            if value.ci95:
                axes.plot(value.ci95, [place, place], "k-", linewidth=1)
        names = [f"{MODEL_NAMES[r.model]}, {r.supervision}" for r in rows]
        axes.set_yticks(range(len(rows)), names if group == "base" else [""] * len(rows))
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_title(f"{group} classes")
        axes.set_xlabel("mask AP50, percent")
    figure.suptitle("Simulated world; dots are seeds, lines 95 % intervals", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
