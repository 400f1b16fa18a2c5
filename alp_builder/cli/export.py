"""`alps export`: ALPs as COCO JSON, for FiftyOne, for Hugging Face datasets, or a selection as shards."""

from __future__ import annotations

import argparse

from alp_builder.cli.parsing import Verbs, add_json, add_verb, data_set, local_path, print_json, say
from alp_builder.errors import UsageError
from alp_builder.export import FORMATS, ExportSummary, Pictures, Selection, export
from alp_builder.export.selection import BOXES
from alp_builder.reader import open_alps

_EXAMPLE = """
alps export data/alps --to coco --out alps.json --coco instances_train2017.json --min-score 0.5
alps export data/alps --to fiftyone --out alps_fiftyone --images train2017 --noun dog --noun cat
alps export data/alps --to hf --out alps_hf --split val
alps export data/alps --to shards --out data/alps_good --min-score 0.8 --singular
"""

_OPEN = {
    "coco": "pycocotools.coco.COCO({out!r})",
    "fiftyone": (
        "fiftyone.Dataset.from_dir(dataset_dir={out!r}, data_path='data.json',"
        " dataset_type=fiftyone.types.FiftyOneImageDetectionDataset)"
    ),
    "hf": "datasets.load_dataset({out!r})",
    "shards": "alp_builder.read_alps({out!r})",
}


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    summary = "write ALPs as COCO JSON, for FiftyOne or Hugging Face, or a selection as shards"
    parser = add_verb(verbs, "export", summary, _EXAMPLE, run)
    parser.add_argument(
        "folder", type=data_set, metavar="DIR", help="folder or URL of the data set"
    )
    parser.add_argument("--to", required=True, choices=FORMATS, help="what to write")
    parser.add_argument(
        "--out", type=local_path, required=True, help="file (coco) or folder (others)"
    )
    parser.add_argument(
        "--labels",
        choices=("noun", "phrase", "caption"),
        default="noun",
        help="categories: head nouns (default), phrases, or one category with phrases as captions",
    )
    parser.add_argument("--box", choices=list(BOXES), default="raw", help="which box (raw)")
    where = parser.add_argument_group("images (coco and fiftyone need one, hf embeds them)")
    where.add_argument(
        "--coco", type=local_path, metavar="FILE", help="COCO file that lists the images"
    )
    where.add_argument("--images", type=local_path, metavar="FOLDER", help="folder of the images")
    chosen = parser.add_argument_group("selection")
    chosen.add_argument("--split", metavar="NAME", help="only this split")
    chosen.add_argument("--min-score", type=float, default=0.0, metavar="X", help="least quality")
    chosen.add_argument("--noun", action="append", default=[], help="only this head noun; repeat")
    chosen.add_argument(
        "--dataset", action="append", default=[], metavar="ID", help="only this dataset_id; repeat"
    )
    chosen.add_argument("--singular", action="store_true", help="no plural phrases")
    chosen.add_argument("--main", action="store_true", help="main components alone")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    if not 0 <= args.min_score <= 1:
        raise UsageError(f"--min-score {args.min_score}: expected between 0 and 1")
    dataset = open_alps(args.folder)
    selection = Selection(
        split=args.split,
        min_score=args.min_score,
        nouns=tuple(args.noun),
        datasets=tuple(args.dataset),
        singular=args.singular,
        main=args.main,
        box=args.box,
    )
    pictures = None
    if args.to in ("coco", "fiftyone") or (args.to == "hf" and args.images):
        if args.to == "fiftyone" and args.images is None:
            raise UsageError("FiftyOne opens images: give --images FOLDER")
        pictures = Pictures(args.coco, args.images)
    summary = export(dataset, args.out, args.to, selection, pictures, args.labels)
    if args.json:
        print_json({"out": str(args.out), "format": args.to, "counts": dict(summary.counts)})
    else:
        say(_lines(summary))
    return 0


def _lines(summary: ExportSummary) -> list[str]:
    counts = summary.counts
    lines = [f"{summary.out}: {counts['alps']:,} ALPs on {counts['images']:,} images"]
    if counts["images_missing"]:
        lines.append(
            f"left out: {counts['alps_without_image']:,} ALPs of {counts['images_missing']:,} images"
            " that were not found"
        )
    return [*lines, "open:   " + _OPEN[summary.format].format(out=str(summary.out))]
