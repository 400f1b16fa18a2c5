"""`alps show`: a page to look at ALPs with, in any browser, from one file."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from alp_builder.cli.parsing import Verbs, add_json, add_verb, data_set, local_path, print_json, say
from alp_builder.errors import UsageError
from alp_builder.page import PageConfig, PageRequest, PageSummary, write_page

_EXAMPLE = """
alps show data/alps --images data/sample/world --out page.html
alps show data/alps --images photos --where 'score>=0.5' --where head_lemma=dog --sample 1000 --out dogs.html
alps show data/alps --images photos --narratives mine.jsonl --truth instances.json --predictions found/results.json
"""

_TRACES = {
    "whole": "whole, from the narratives",
    "boxes": "points of boxes, from the shards",
    "none": "none: boxes only",
}


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    summary = "make a page to look at: images, phrases, traces, boxes; one HTML file, no network"
    parser = add_verb(verbs, "show", summary, _EXAMPLE, run)
    limits = PageConfig()
    add = parser.add_argument
    add("folder", type=data_set, nargs="?", metavar="DIR",
        help="folder or URL of the data set; may be left out with --predictions")  # fmt: skip
    add(
        "--out",
        type=local_path,
        default=Path("page.html"),
        metavar="FILE",
        help="the page (page.html)",
    )
    add("--images", action="append", default=[], metavar="[DATASET=]ROOT",
        help="folder of the images, as their data set's download lays them out; may be repeated")  # fmt: skip
    add("--images-csv", type=local_path, metavar="FILE",
        help="CSV with the columns dataset_id, image_id, file_name")  # fmt: skip
    add("--link-images", action="store_true", help="refer to image files instead of embedding them")
    add("--narratives", action="append", default=[], metavar="INPUT",
        help="inputs of the build: whole traces and timed words; may be repeated")  # fmt: skip
    add("--split", metavar="NAME", help="only this split")
    add("--where", action="append", default=[], metavar="CONDITION",
        help="narratives with an ALP such as 'score>=0.5', head_lemma=dog, is_plural=true,"
        " caption~horse; may be repeated, then one ALP must fulfil all")  # fmt: skip
    add("--sample", type=int, default=limits.sample, metavar="N",
        help=f"most narratives, drawn at random ({limits.sample}; 0: all)")  # fmt: skip
    add("--seed", type=int, default=limits.seed, metavar="N", help="of the sample (0)")
    add("--predictions", type=local_path, metavar="FILE", help="COCO results of a model")
    add("--predicted-on", type=local_path, metavar="FILE",
        help="COCO file of their image and category ids (instances.json beside them)")  # fmt: skip
    add("--truth", "--coco", type=local_path, metavar="FILE", help="COCO instances of the images")
    add("--threshold", type=float, default=limits.least_score, metavar="X",
        help=f"leave out predictions with a lower score ({limits.least_score})")  # fmt: skip
    add("--max-mb", type=float, default=limits.max_bytes / 1e6, metavar="X",
        help=f"largest page; images shrink until they fit ({limits.max_bytes / 1e6:.0f})")  # fmt: skip
    add("--image-side", type=int, default=limits.image_side, metavar="PX",
        help=f"longer side of embedded images ({limits.image_side})")  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    if args.sample < 0 or args.seed < 0:
        raise UsageError("--sample, --seed: expected 0 or more")
    if not 0 < args.max_mb <= 2_000:
        raise UsageError(f"--max-mb {args.max_mb}: expected more than 0, at most 2000")
    if not 96 <= args.image_side <= 4_096:
        raise UsageError(f"--image-side {args.image_side}: expected 96 to 4096")
    request = PageRequest(
        alps=args.folder,
        split=args.split,
        where=args.where,
        images=args.images,
        images_csv=args.images_csv,
        narratives=args.narratives,
        predictions=args.predictions,
        predicted_on=args.predicted_on,
        truth=args.truth,
        link_images=args.link_images,
    )
    config = msgspec.structs.replace(
        PageConfig(),
        sample=args.sample,
        seed=args.seed,
        least_score=args.threshold,
        max_bytes=int(args.max_mb * 1e6),
        image_side=args.image_side,
    )
    summary = write_page(request, args.out, config, progress=not args.json)
    if args.json:
        print_json(msgspec.structs.asdict(summary) | {"path": str(summary.path)})
    else:
        say(_lines(summary))
    return 0


def _lines(summary: PageSummary) -> list[str]:
    """What the page came to, in words."""
    side = f", at most {summary.image_side} pixels wide or high" if summary.image_side else ""
    lines = [
        "",
        f"narratives   {summary.narratives:>9,}",
        f"ALPs         {summary.alps:>9,}",
        f"images       {summary.images:>9,}{side}",
    ]
    lines += [f"  {count:>9,}  {problem}" for problem, count in summary.problems.items()]
    if summary.predictions:
        lines.append(f"predictions  {summary.predictions:>9,}")
    if summary.truth:
        lines.append(f"truth        {summary.truth:>9,}")
    lines += [f"traces       {_TRACES[summary.traces]}", "", *summary.about, ""]
    lines.append(f"page: {summary.path} ({summary.size / 1e6:.1f} MB)")
    lines.append(f"open: {summary.path.absolute().as_uri()}")
    return lines
