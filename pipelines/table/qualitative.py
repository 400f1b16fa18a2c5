"""Pictures picked by rule, not by hand: `python -m pipelines.table.qualitative`.

Detections of one run on the evaluated split are compared with the truth of **novel** things, by mask IoU.
A detection *covers* a thing from an IoU of `GOOD` on, and covers it *fairly* from `FAIR` on. As in the
paper there are three kinds of picture:

    right        a detection with the thing's class covers it
    duplicate    so it is, and a detection of another class covers the same thing
    wrong        no detection of its class covers it even fairly, one of another class does

Each kind shows the cases with the highest score (of `right`, the right one; else the wrong one), no image
and no class of truth twice. Beside the picture goes `NAME.json`: the rule's numbers, how many cases of each kind
there are, and which are shown.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image
from pycocotools import mask as mask_utils

from alp_builder.errors import AlpError, UsageError
from alp_builder.files import write_atomic
from trainer.data.cocofile import CocoAnnotation, CocoFile, Rle, read_coco
from trainer.evaluation.predictions import Prediction, read_predictions, write_json
from trainer.evaluation.splits import load_split

GOOD, FAIR = 0.75, 0.5
"""Mask IoU from which a detection covers a thing, and covers it fairly."""

LEAST_SCORE = 0.3
"""Least score of a detection that is looked at."""

KINDS = {
    "right": "right label, right mask",
    "duplicate": "right mask, a duplicate with a wrong label",
    "wrong": "wrong label, fair mask",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A thing and what was found there.

    Attributes:
        kind: Of `KINDS`.
        score: What cases are ranked by.
        thing: The truth.
        found: Detections to show: the right one (if there is one), then the wrong one.
    """

    kind: str
    score: float
    thing: CocoAnnotation
    found: tuple[Prediction, ...]


def cases_of(
    things: Sequence[CocoAnnotation],
    found: Sequence[Prediction],
    novel: set[int],
    least_score: float = LEAST_SCORE,
) -> list[Case]:
    """The cases of one image.

    Args:
        things: Truth of the image.
        found: Its detections.
        novel: Category ids of novel classes.
        least_score: Least score of a detection that is looked at.
    """
    found = sorted((f for f in found if f["score"] >= least_score), key=lambda f: -f["score"])
    if not things or not found:
        return []
    codes = [_rle(thing) for thing in things]
    iou = mask_utils.iou([f["segmentation"] for f in found], codes, [0] * len(things))
    best = iou.argmax(axis=1)
    cases = []
    for place, thing in enumerate(things):
        if thing.category_id not in novel:
            continue
        # A detection speaks of the thing it overlaps most, so a neighbour's right label is no wrong one.
        own = [(f, iou[i, place]) for i, f in enumerate(found) if best[i] == place]
        same = [(f, o) for f, o in own if f["category_id"] == thing.category_id]
        other = [(f, o) for f, o in own if f["category_id"] != thing.category_id]
        right = next((f for f, o in same if o >= GOOD), None)
        wrong = next((f for f, o in other if o >= GOOD), None)
        fair = next((f for f, o in other if o >= FAIR), None)
        if right is not None and wrong is None:
            cases.append(Case("right", right["score"], thing, (right,)))
        elif right is not None and wrong is not None:
            cases.append(Case("duplicate", wrong["score"], thing, (right, wrong)))
        elif fair is not None and not any(o >= FAIR for _, o in same):
            cases.append(Case("wrong", fair["score"], thing, (fair,)))
    return cases


def pick(cases: Iterable[Case], count: int) -> dict[str, list[Case]]:
    """The best cases of each kind, no image and no class twice within a kind."""
    chosen: dict[str, list[Case]] = {kind: [] for kind in KINDS}
    ranked = sorted(cases, key=lambda c: (-c.score, c.thing.image_id, c.thing.id))
    for case in ranked:
        row = chosen[case.kind]
        images = {c.thing.image_id for c in row}
        classes = {c.thing.category_id for c in row}
        if (
            len(row) < count
            and case.thing.image_id not in images
            and case.thing.category_id not in classes
        ):
            row.append(case)
    return chosen


def all_cases(
    truth: CocoFile,
    found: Sequence[Prediction],
    novel: set[int],
    least_score: float = LEAST_SCORE,
) -> list[Case]:
    """The cases of all images; arguments as of `cases_of`.

    Raises:
        UsageError: If the detections are of other images than the truth.
    """
    things: dict[int, list[CocoAnnotation]] = defaultdict(list)
    for annotation in truth.annotations:
        things[annotation.image_id].append(annotation)
    detections: dict[int, list[Prediction]] = defaultdict(list)
    for prediction in found:
        detections[prediction["image_id"]].append(prediction)
    if odd := detections.keys() - {image.id for image in truth.images}:
        raise UsageError(
            f"{len(odd)} images with detections are not of this split, such as {min(odd)}; give --split "
            "and --world as the run was evaluated"
        )
    return [
        case
        for image in truth.images
        for case in cases_of(things[image.id], detections[image.id], novel, least_score)
    ]


def record(
    truth: CocoFile,
    cases: Sequence[Case],
    chosen: Mapping[str, Sequence[Case]],
    least_score: float,
) -> dict[str, Any]:
    """What the picture shows, for whoever wants to check the rule."""
    names = {category.id: category.name for category in truth.categories}
    files = {image.id: image.file for image in truth.images}
    return {
        "simulated": True,
        "rule": {"good_iou": GOOD, "fair_iou": FAIR, "least_score": least_score},
        "cases": {kind: sum(case.kind == kind for case in cases) for kind in KINDS},
        "shown": {
            kind: [
                {
                    "image": files[case.thing.image_id],
                    "annotation": case.thing.id,
                    "truth": names[case.thing.category_id],
                    "found": [[names[f["category_id"]], round(f["score"], 4)] for f in case.found],
                }
                for case in row
            ]
            for kind, row in chosen.items()
        },
    }


def picture(truth: CocoFile, images: Path, chosen: Mapping[str, Sequence[Case]]) -> bytes:
    """A row of pictures for each kind, as PNG: the mask found, the truth's outline, the names."""
    from matplotlib.figure import Figure

    names = {category.id: category.name for category in truth.categories}
    files = {image.id: image.file for image in truth.images}
    columns = max(1, *(len(row) for row in chosen.values()))
    figure = Figure(figsize=(2.5 * columns, 8.4), layout="constrained")
    grid = figure.subplots(len(KINDS), columns, squeeze=False)
    for axes_row, (kind, cases) in zip(grid, chosen.items(), strict=True):
        for axes in axes_row:
            axes.set_axis_off()
        axes_row[0].set_title(KINDS[kind], loc="left", fontsize=10, pad=22)
        if not cases:
            axes_row[0].text(0, 0.5, "no such case", fontsize=8)
        for axes, case in zip(axes_row, cases, strict=False):
            _draw(axes, Image.open(images / files[case.thing.image_id]).convert("RGB"), case, names)
    figure.suptitle("Simulated world; yellow: truth, blue: mask found; picked by rule", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _draw(axes: Any, image: Image.Image, case: Case, names: Mapping[int, str]) -> None:
    axes.imshow(image)
    shown = mask_utils.decode(case.found[-1]["segmentation"]).astype(np.float64)
    overlay = np.zeros((*shown.shape, 4))
    overlay[..., 2], overlay[..., 3] = 1.0, 0.45 * shown
    axes.imshow(overlay)
    axes.contour(mask_utils.decode(_rle(case.thing)), [0.5], colors="yellow", linewidths=1)
    labels = [f"{names[f['category_id']]} {f['score']:.2f}" for f in case.found]
    axes.text(
        0, -3, f"truth: {names[case.thing.category_id]}\nfound: {', '.join(labels)}", fontsize=7
    )


def _rle(thing: CocoAnnotation) -> Any:
    if not isinstance(thing.segmentation, Rle):
        raise UsageError("the truth's masks must be RLEs, as those of a simulated world are")
    return {"size": list(thing.segmentation.size), "counts": thing.segmentation.counts}


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.table.qualitative",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", type=Path, required=True, help="such as runs/table/fcosmo_alps/seed0"
    )
    parser.add_argument("--world", type=Path, default=Path("data/table/world"))
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--count", type=int, default=4, help="pictures of each kind")
    parser.add_argument("--least-score", type=float, default=LEAST_SCORE, help="of a detection")
    parser.add_argument("--out", type=Path, default=Path("results/qualitative.png"))
    args = parser.parse_args(arguments)
    try:
        evaluations = sorted(args.run.glob("evaluation_*/results.json"))
        if not evaluations:
            raise UsageError(f"{args.run}: no evaluation there; run `make table` first")
        truth = read_coco(args.world / f"instances_{args.split}.json")
        split = load_split(args.world / "split.json")
        ids = split.category_ids(truth.categories)
        novel = {ids[name] for name in split.novel}
        found = read_predictions(evaluations[-1])
        cases = all_cases(truth, found, novel, args.least_score)
        chosen = pick(cases, args.count)
        shown = record(truth, cases, chosen, args.least_score)
        write_atomic(args.out, picture(truth, args.world / args.split, chosen))
        write_json(args.out.with_suffix(".json"), shown)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    summary = {"out": str(args.out), "cases": shown["cases"]}
    sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
