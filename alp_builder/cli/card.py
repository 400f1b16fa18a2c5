"""`alps card`: a data card with Croissant description, generated from shards, or a check of one."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from alp_builder.cards import CardSettings, check_card, write_card
from alp_builder.cards.classes import read_class_names
from alp_builder.cli.parsing import Verbs, add_verb, data_set, local_path, say
from alp_builder.errors import BadDataError, UsageError
from alp_builder.reader import is_remote, open_alps

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_EXAMPLE = """
alps card data/alps --out data_cards/sample --classes trainer/evaluation/class_splits.json
alps card data/alps --out data_cards/sample --check
"""


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    summary = (
        "write a data card (README.md, figures, pictures, Croissant) from shards, or check one"
    )
    parser = add_verb(verbs, "card", summary, _EXAMPLE, run)
    parser.add_argument(
        "folder", type=data_set, metavar="DIR", help="folder or URL of the data set"
    )
    parser.add_argument(
        "--out", type=local_path, required=True, metavar="CARD", help="folder of the card"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the card no longer agrees"
    )
    parser.add_argument("--name", help="short name of the data set (name of DIR)")
    parser.add_argument(
        "--location",
        metavar="URL",
        help="where the shards are published (DIR itself if it is a URL, else the path to it)",
    )
    parser.add_argument("--license", default="", metavar="ID", help="SPDX identifier of a licence")
    parser.add_argument("--url", default="", help="home page of the data set")
    parser.add_argument("--published", default="", metavar="YYYY-MM-DD", help="date of publication")
    parser.add_argument(
        "--classes", type=local_path, metavar="FILE", help="JSON of class names to count phrases of"
    )
    parser.add_argument(
        "--simulated", action="store_true", help="the narratives are simulated, the images real"
    )


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    dataset = open_alps(args.folder)
    if args.check:
        checked = check_card(dataset, args.out)
        if checked.differences:
            shown = "; ".join(checked.differences[:5])
            raise BadDataError(
                f"{args.out}: the card does not agree with {args.folder}: {shown};"
                " write it again with the same command without --check"
            )
        say([f"{args.out}: agrees with {args.folder} ({checked.figures.alps:,} ALPs)"])
        return 0
    settings = _settings(args)
    classes = read_class_names(args.classes) if args.classes else ()
    figures = write_card(dataset, args.out, settings, classes)
    named = f", {figures.classes_named} of {len(classes)} classes named" if classes else ""
    say(
        [
            f"{args.out}/README.md: {figures.alps:,} ALPs{named}; Croissant: {args.out}/croissant.json"
        ]
    )
    return 0


def _settings(args: argparse.Namespace) -> CardSettings:
    remote = is_remote(args.folder)
    name = args.name or Path(args.folder if remote else args.folder.resolve()).name
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r}: expected letters, digits, '_', '-' and '.', at most 96 of them"
        )
    if args.published and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", args.published):
        raise UsageError(f"--published {args.published!r}: expected a date such as 2026-11-22")
    location = args.location
    if location is None:
        location = args.folder
        if not remote:
            location = Path(os.path.relpath(args.folder, args.out)).as_posix()
    return CardSettings(
        name=name,
        location=location,
        license=args.license,
        url=args.url,
        published=args.published,
        simulated=args.simulated,
    )
