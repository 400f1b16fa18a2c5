"""Box quantization, coverage against area ratio: `python -m pipelines.calibrate_quantization`.

The boxes of ALPs whose truth is known are expanded by each variant of `trainer.data.quantization`, some tens of
draws each, and compared with the box of the instance meant: the share of it they cover, and their area over
its area, as medians over boxes and draws. A range of cells is wanted whose median coverage is about 0.8 while
the median area ratio stays under about 2; both are printed for every variant and range, for raw and calibrated
boxes, over all phrases and over those whose box lies on the thing at all (`hit`: its centre is inside), for a
box elsewhere covers nothing however it grows short of the whole image. Simulated data is called
simulated in the table and in the plot.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from alp_builder import open_alps
from alp_builder.audit.coco import CocoTruth, read_truth
from alp_builder.audit.coco_report import audit_rows, box_rules, rule_columns
from alp_builder.audit.gold import NOUN_COLUMNS, pair_nouns, read_gold
from alp_builder.audit.instances import score_instances
from alp_builder.audit.matching import MATCH_COLUMNS, match
from alp_builder.audit.names import CategoryNames
from alp_builder.audit.overlap import box_overlap
from alp_builder.errors import AlpError, UsageError
from alp_builder.files import atomic_file
from trainer.data.quantization import QuantizationConfig, quantize

DRAWS = 30
"""Draws of each box."""

WANTED_COVERAGE, WANTED_RATIO = 0.8, 2.0
"""What the default is to reach, medians (method: coverage about 0.8, area ratio under about 2)."""

SNAP_RANGES = ((2, 4), (2, 8), (3, 6), (3, 8), (4, 8), (4, 12), (4, 16), (6, 16), (8, 16), (8, 32))
FIXED_GRIDS = (3, 4, 6, 8, 12, 16)
SCALES = ((1.0, 1.5), (1.0, 2.0), (1.0, 3.0), (1.0, 4.0), (1.5, 2.5))

Boxes = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """Boxes of ALPs and of what they mean.

    Attributes:
        name: Of the data, such as `world, raw`.
        simulated: Whether it is.
        boxes: float64 (N, 4), normalised xyxy.
        truth: float64 (N, 4).
    """

    name: str
    simulated: bool
    boxes: Boxes
    truth: Boxes

    @property
    def hits(self) -> Truth:
        """The boxes whose centre lies inside the truth."""
        inside = box_overlap(self.boxes, self.truth).centre_inside
        return Truth(self.name, self.simulated, self.boxes[inside], self.truth[inside])


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A variant on some boxes; coverage and area ratio are medians, `hit_` of those on the thing."""

    data: str
    simulated: bool
    boxes: int
    variant: str
    coverage: float
    area_ratio: float
    hit_coverage: float
    hit_area_ratio: float


def variants() -> dict[str, QuantizationConfig]:
    """The variants and ranges tried, by name."""
    tried = {"none": QuantizationConfig(kind="none")}
    for low, high in SCALES:
        tried[f"uniform {low:g} to {high:g}"] = QuantizationConfig(
            kind="uniform", scale=(low, high)
        )
    for grid in FIXED_GRIDS:
        tried[f"fixed {grid}"] = QuantizationConfig(kind="fixed", grid=grid)
    for fewest, most in SNAP_RANGES:
        tried[f"snap {fewest} to {most}"] = QuantizationConfig(kind="snap", cells=(fewest, most))
    return tried


def coco_truth(folder: Path, coco_json: Path, side_file: Path | None) -> list[Truth]:
    """Raw boxes, and calibrated ones where there, against the instances they mean."""
    coco = CocoTruth(coco_json)
    table = audit_rows(open_alps(folder), MATCH_COLUMNS)
    truth = None if side_file is None else read_truth(side_file)
    matches = match(table, coco, CategoryNames(coco.names, coco.plurals), truth)
    simulated = truth is not None
    found = []
    for rule, boxes in box_rules(table).items():
        if rule != "tight":
            scores = score_instances(matches, boxes, coco, masks=False)
            mine = boxes[matches.row[scores.found]]
            of = coco.boxes[scores.instance[scores.found]]
            found.append(Truth(f"{coco_json.stem}, {_name(rule)}", simulated, mine, of))
    return found


def gold_truth(folder: Path, csv: Path) -> list[Truth]:
    """The same against boxes drawn by people."""
    table = audit_rows(open_alps(folder), NOUN_COLUMNS)
    gold = read_gold(csv)
    return [
        Truth(f"{csv.stem}, {_name(rule)}", False, *pair_nouns(gold, table, box))
        for rule, box in rule_columns(table).items()
        if rule != "tight"
    ]


def _name(rule: str) -> str:
    return "raw" if rule == "default" else rule


def measure(data: Truth, config: QuantizationConfig, seed: int) -> tuple[float, float]:
    """Median coverage and median area ratio over boxes and draws."""
    if not len(data.boxes):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    drawn = quantize(np.tile(data.boxes, (DRAWS, 1)), config, rng)
    overlap = box_overlap(drawn, np.tile(data.truth, (DRAWS, 1)))
    return float(np.median(overlap.coverage)), float(np.median(overlap.area_ratio))


def tabulate(data: Truth, seed: int) -> list[Row]:
    """All variants on one set of boxes."""
    rows = []
    for name, config in variants().items():
        coverage, ratio = measure(data, config, seed)
        hit_coverage, hit_ratio = measure(data.hits, config, seed)
        rows.append(
            Row(
                data=data.name,
                simulated=data.simulated,
                boxes=len(data.boxes),
                variant=name,
                coverage=coverage,
                area_ratio=ratio,
                hit_coverage=hit_coverage,
                hit_area_ratio=hit_ratio,
            )
        )
    return rows


def markdown(rows: list[Row]) -> list[str]:
    """A table for each set of boxes; what reaches the aim is bold."""
    lines: list[str] = []
    for data in dict.fromkeys(row.data for row in rows):
        mine = [row for row in rows if row.data == data]
        kind = "simulated" if mine[0].simulated else "real"
        lines += [
            "",
            f"**{data}** ({kind}, {mine[0].boxes} boxes)",
            "",
            "| variant | coverage | area ratio | coverage, hits | area ratio, hits |",
            "| --- | --- | --- | --- | --- |",
        ]
        for row in mine:
            reached = row.coverage >= WANTED_COVERAGE and row.area_ratio <= WANTED_RATIO
            name = f"**{row.variant}**" if reached else row.variant
            lines.append(
                f"| {name} | {row.coverage:.2f} | {row.area_ratio:.2f} |"
                f" {row.hit_coverage:.2f} | {row.hit_area_ratio:.2f} |"
            )
    aim = f"coverage at least {WANTED_COVERAGE}, area ratio at most {WANTED_RATIO:g}"
    return [*lines, "", f"Medians over boxes and {DRAWS} draws each. Bold: {aim}, over all boxes."]


def draw(rows: list[Row], path: Path) -> None:
    """Coverage against area ratio, a panel for each set of boxes."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row.data for row in rows))
    figure = Figure(figsize=(4.6 * len(names), 4.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _panel(axes, [row for row in rows if row.data == name])
    with atomic_file(path) as stream:
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})


def _panel(axes: Any, rows: list[Row]) -> None:
    for kind in ("none", "uniform", "fixed", "snap"):
        mine = sorted(
            (row for row in rows if row.variant.split()[0] == kind), key=lambda row: row.area_ratio
        )
        axes.plot(
            [row.area_ratio for row in mine], [row.coverage for row in mine], marker="o", label=kind
        )
        for row in mine:
            if kind == "snap":
                label = row.variant.removeprefix("snap ").replace(" to ", "-")
                axes.annotate(label, (row.area_ratio, row.coverage), fontsize=6)
    axes.axhline(WANTED_COVERAGE, color="grey", linewidth=0.8, linestyle="--")
    axes.axvline(WANTED_RATIO, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlabel("median area ratio")
    axes.set_ylabel("median coverage of the true box")
    axes.set_title(f"{rows[0].data} ({'simulated' if rows[0].simulated else 'real'})", fontsize=9)
    axes.legend(fontsize=7)


def main(argv: list[str] | None = None) -> int:
    """Prints the tables, and draws them where asked."""
    parser = argparse.ArgumentParser(description="Coverage against area ratio of box quantization.")
    add = parser.add_argument
    add("--alps", type=Path, help="data set whose phrases mean instances of --coco")
    add("--coco", type=Path, help="COCO instances")
    add("--truth", type=Path, help="side file of the simulated narrator")
    add(
        "--gold", type=Path, nargs=2, metavar=("DIR", "CSV"), help="data set, boxes drawn by people"
    )
    add("--seed", type=int, default=0)
    add("--plot", type=Path, help="PNG to draw")
    args = parser.parse_args(argv)
    try:
        if (args.alps is None) != (args.coco is None) or (args.alps is None and not args.gold):
            raise UsageError("give --alps DIR with --coco JSON, or --gold DIR CSV, or both")
        data = [] if args.alps is None else coco_truth(args.alps, args.coco, args.truth)
        data += gold_truth(*args.gold) if args.gold else []
        rows = [row for one in data for row in tabulate(one, args.seed)]
        for line in markdown(rows):
            sys.stdout.write(line + "\n")
        if args.plot is not None:
            draw(rows, args.plot)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
