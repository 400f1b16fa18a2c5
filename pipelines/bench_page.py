"""Results of benchmarks as a page: what each ratio means, what it was before, and plots of growth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alp_builder.files import atomic_file


@dataclass(frozen=True)
class Figure:
    """A ratio that is compared between runs.

    Attributes:
        meaning: What over what.
        higher_is_better: Whether more is good.
        wall: Whether it is of wall time, which means little on a busy machine.
    """

    meaning: str
    higher_is_better: bool
    wall: bool = False


FIGURES = {
    "vs_spacy": Figure("whole build over bare spaCy, captions/s", True),
    "vs_interpolators": Figure("boxes over one interpolator a word, narratives/s", True),
    "two_workers": Figure("build, two workers over one", True, wall=True),
    "two_spacy": Figure("bare spaCy, two processes over one", True, wall=True),
    "ray_vs_processes": Figure("build on Ray over as many processes", True, wall=True),
    "narratives_growth": Figure("CPU a narrative, most narratives over fewest", False),
    "merge_growth": Figure("CPU an ALP of merging, most ALPs over fewest", False),
    "memory_growth": Figure("peak memory of a build, most narratives over fewest", False),
    "fcos_step_vs_detectron2": Figure("step of FCOS-MO without masks over FCOS", False),
    "maskrcnn_step_vs_detectron2": Figure(
        "step of Mask R-CNN*, plain head, over Mask R-CNN", False
    ),
    "maskrcnn_hourglass_step_vs_detectron2": Figure("the same with the hourglass", False),
    "classes_growth": Figure("step of FCOS-MO without masks, most classes over 80", False),
    "loader_vs_detectron2": Figure("our loader over detectron2's, images/s", True, wall=True),
    "eval_vs_pycocotools": Figure("COCO evaluation, pycocotools over ours", True, wall=True),
}
"""What is compared, by name."""

_GROWTH = {
    "narratives_growth": "cpu_ms_by_narratives",
    "merge_growth": "merge_us_by_alps",
    "memory_growth": "rss_mb",
    "classes_growth": "step_by_classes",
}
"""Ratios that are the last value of a curve over its first."""

_CURVES = (
    ("cpu_ms_by_narratives", "CPU ms a narrative", "narratives of a build"),
    ("merge_us_by_alps", "CPU µs an ALP, merging", "ALPs"),
    ("rss_mb", "peak memory of a build, MB", "narratives of a build"),
    ("alp_rss_mb", "memory of opened ALPs, MB", "ALPs"),
    ("step_by_classes", "step, times that with the fewest", "classes"),
    ("speed_by_workers", "speed, times that of one (wall)", "workers"),
)
"""What is drawn: figure, its axis, what it grows with."""


def ratios_of(figures: dict[str, Any], *, growth: bool = True) -> dict[str, float]:
    """The ratios among figures, in the order of `FIGURES`; without those of growth, if so wanted."""
    found = {}
    for name in FIGURES:
        if name in _GROWTH:
            values = list(figures.get(_GROWTH[name], {}).values())
            if growth and len(values) > 1:
                found[name] = values[-1] / values[0]
        elif isinstance(figures.get(name), int | float):
            found[name] = float(figures[name])
    return found


def page(
    results: dict[str, Any], before: dict[str, float], date: str | None, tolerance: float
) -> str:
    """The page in Markdown.

    Args:
        results: A run, see `bench.Results`.
        before: Ratios of the run before.
        date: Day of that run, if there was one.
        tolerance: Change that is pointed out, as a share.
    """
    machine, now = results["machine"], ratios_of(results["figures"])
    sizes = "small sizes (`--quick`)" if results["quick"] else "full sizes"
    load = " to ".join(f"{value:g}" for value in results["load"])
    kind = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}"
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench`, {results['date']}, {sizes}. Machine: {kind}, Python {machine['python']}.",
        f"Processes that wanted a core, for each core: {load}; above 1 other programs were at work, and",
        "figures of wall time (marked w) say little.",
        "",
        f"| ratio | value | before{f' ({date})' if date else ''} | better | change |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for name, value in now.items():
        figure = FIGURES[name]
        old = before.get(name)
        shown = "-" if old is None else f"{old:.3g}"
        lines.append(
            f"| {figure.meaning}{' (w)' if figure.wall else ''} | {value:.3g} | {shown} |"
            f" {'higher' if figure.higher_is_better else 'lower'} | {_change(figure, old, value, tolerance)} |"
        )
    for name, reason in results["skipped"].items():
        lines.append(f"\nLeft out: {name}, as {reason}.")
    lines += ["", "![Ratios, and how cost grows](bench.png)", ""]
    lines += ["| curve | values |", "| --- | --- |"]
    for name, axis, grows in _CURVES:
        if curve := results["figures"].get(name):
            points = ", ".join(f"{float(x):,.0f}: {y:.3g}" for x, y in curve.items())
            lines.append(f"| {axis}, by {grows} | {points} |")
    return "\n".join(lines) + "\n"


def _change(figure: Figure, old: float | None, value: float, tolerance: float) -> str:
    """A change in words."""
    if old is None:
        return "new"
    gain = value / old if figure.higher_is_better else old / value
    if gain < 1 - tolerance:
        return "**worse**"
    return "better" if gain > 1 / (1 - tolerance) else "same"


def draw(
    figures: dict[str, Any], now: dict[str, float], before: dict[str, float], path: Path
) -> None:
    """The plots: ratios now and before, and one of each curve.

    Args:
        figures: All figures.
        now: Ratios of this run.
        before: Ratios of the run before.
        path: PNG file.
    """
    from matplotlib.figure import Figure as Canvas  # slow to import

    canvas = Canvas(figsize=(13, 11), layout="constrained")
    grid = canvas.add_gridspec(3, 3)
    bars = canvas.add_subplot(grid[:, 0])
    names = list(now)[::-1]
    places = range(len(names))
    bars.barh([p + 0.2 for p in places], [now[n] for n in names], 0.38, label="now")
    if before:
        old = [before.get(n, 0.0) for n in names]
        bars.barh([p - 0.2 for p in places], old, 0.38, label="before", color="0.75")
        bars.legend()
    arrows = {n: "↑" if FIGURES[n].higher_is_better else "↓" for n in names}
    bars.set_yticks(list(places), [f"{n.replace('_', ' ')} {arrows[n]}" for n in names])
    bars.set_xscale("log")
    bars.axvline(1, color="black", linewidth=0.8)
    bars.set_title("ratios (the arrow points to better)")
    for index, (name, axis, grows) in enumerate(_CURVES):
        plot = canvas.add_subplot(grid[index // 2, 1 + index % 2])
        curve = figures.get(name)
        if not curve:
            plot.set_axis_off()
            plot.set_title(f"{axis}:\nnot measured")
            continue
        xs = [float(x) for x in curve]
        plot.plot(xs, list(curve.values()), marker="o")
        plot.set(xlabel=grows, ylabel=axis, ylim=(0, max(curve.values()) * 1.15))
        if name != "speed_by_workers":
            plot.set_xscale("log")
        plot.set_xticks(xs, [f"{x:,.0f}" for x in xs])
        plot.minorticks_off()
    with atomic_file(path) as stream:
        canvas.savefig(stream, format="png", dpi=90)
