"""`alps calibrate`: learn from masks and narratives what a trace says about the extent of its thing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.audit.coco import CocoTruth, read_truth
from alp_builder.audit.coco_report import audit_rows, read_parts
from alp_builder.audit.fitting import (
    FitConfig,
    Pairs,
    fit_calibration,
    is_region,
    join_pairs,
    make_pairs,
    make_region_pairs,
)
from alp_builder.audit.matching import MATCH_COLUMNS, match
from alp_builder.audit.names import CategoryNames
from alp_builder.calibration import INPUTS, Calibration, made_with
from alp_builder.cli.parsing import Verbs, add_json, add_verb, data_set, local_path, print_json, say
from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import write_atomic
from alp_builder.reader import open_alps

_EXAMPLE = """
alps calibrate data/alps --coco data/world/instances_train.json --truth data/world/narratives_train.truth.jsonl \\
    --classes data/world/split.json --out calibration.json
alps build narratives.jsonl --out data/alps/calibrated --boxes calibrated=calibration.json
"""


_PARTS = {
    "base": "base (fitted on)",
    "novel_held_out": "others (held out)",
    "groups": "groups (fitted on)",
    "groups_held_out": "groups (held out)",
    "stuff": "stuff (fitted on)",
}
"""Figures of a calibration, and how they are called."""


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    summary = "learn from base classes with masks how far things reach beyond their traces"
    parser = add_verb(verbs, "calibrate", summary, _EXAMPLE, run)
    add = parser.add_argument
    add(
        "folders",
        type=data_set,
        nargs="+",
        metavar="DIR",
        help="data sets (folders, URLs) of narratives of the images",
    )
    add(
        "--coco",
        type=local_path,
        required=True,
        metavar="JSON",
        help="COCO instances of the images",
    )
    add("--truth", type=local_path, action="append", default=[], metavar="JSONL",
        help="what each phrase means; once for each DIR, in order (else matched by name)")  # fmt: skip
    add("--classes", type=local_path, required=True, metavar="JSON",
        help='base and novel classes: {"base": [names], "novel": [names]}')  # fmt: skip
    add("--out", type=local_path, required=True, metavar="FILE", help="the calibration, JSON")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    if args.truth and len(args.truth) != len(args.folders):
        raise UsageError(f"{len(args.folders)} DIR and {len(args.truth)} --truth: expected as many")
    coco = CocoTruth(args.coco)
    parts = read_parts(args.classes, coco)
    names = CategoryNames(coco.names, coco.plurals)
    pairs: list[Pairs] = []
    made: list[dict[str, Any]] = []
    for number, folder in enumerate(args.folders):
        dataset = open_alps(folder)
        config = dict(dataset.manifest.config)
        config.pop("calibration", None)
        try:
            made.append(made_with(msgspec.convert(config, BuildConfig)))
        except msgspec.ValidationError as error:
            raise BadDataError(f"{folder}: its configuration is none of ours ({error})") from error
        truth = read_truth(args.truth[number]) if args.truth else None
        table = audit_rows(dataset, [*MATCH_COLUMNS, *INPUTS])
        things = None if truth is None else [phrase for phrase in truth if not is_region(phrase)]
        pairs.append(make_pairs(table, match(table, coco, names, things), coco, parts["base"]))
        if truth is not None:
            pairs.append(make_region_pairs(table, truth, coco, parts["base"]))
    if any(other != made[0] for other in made):
        raise UsageError("the data sets were built with different choices; build them alike")
    joined = join_pairs(pairs)
    told = {
        "data_sets": sorted({str(coco.info.get("dataset_id") or args.coco.stem)}),
        "simulated": bool(coco.info.get("simulated", False)),
        "base_classes": len(parts["base"]),
        "matched_by": "truth" if args.truth else "names",
    }
    calibration = fit_calibration(joined, FitConfig(), made[0], told, progress=not args.json)
    try:
        write_atomic(
            args.out, msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n"
        )
    except OSError as error:
        raise UsageError(f"--out {args.out}: cannot be written ({error.strerror})") from error
    if args.json:
        print_json(calibration)
    else:
        say(_lines(calibration, args.out))
    return 0


def _lines(calibration: Calibration, out: Path) -> list[str]:
    """What was reached, in words."""
    lines = [f"{'classes':<24}{'phrases':>8}{'IoU raw':>10}{'calibrated':>12}{'gain':>8}  95 %"]
    for key, name in _PARTS.items():
        figures = calibration.fitted_on[key]
        if not figures["phrases"]:
            lines.append(f"{name:<24}{0:>8}")
            continue
        low, high = figures["gain_ci95"]
        lines.append(
            f"{name:<24}{figures['phrases']:>8}{figures['iou_raw']:>10.3f}"
            f"{figures['iou_calibrated']:>12.3f}{figures['gain']:>+8.3f}  [{low:+.3f}, {high:+.3f}]"
        )
    kind = "simulated data" if calibration.fitted_on["simulated"] else "data"
    return [
        *lines,
        "",
        f"calibration: {out}, fitted on {kind}",
        f"use: alps build ... --boxes calibrated={out}",
    ]
