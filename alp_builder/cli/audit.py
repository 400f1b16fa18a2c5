"""`alps audit`: how good are the boxes, against truth?"""

from __future__ import annotations

import argparse
from pathlib import Path

from alp_builder.audit.gold import read_gold, score_nouns
from alp_builder.audit.report import gold_figures, gold_table
from alp_builder.cli.parsing import Verbs, add_json, add_verb, print_json, say
from alp_builder.errors import UsageError
from alp_builder.reader import open_alps
from alp_builder.schema import BOX, TIGHT_BOX

_EXAMPLE = "alps audit data/alps --gold gold_boxes.csv"


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    parser = add_verb(verbs, "audit", "compare ALPs with boxes of truth", _EXAMPLE, run)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the data set")
    parser.add_argument("--gold", type=Path, metavar="CSV", help="boxes of nouns, drawn by people")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    if args.gold is None:
        raise UsageError("no truth to compare with: give --gold CSV")
    gold = read_gold(args.gold)
    table = open_alps(args.folder).table()
    rules = {"default": score_nouns(gold, table, BOX), "tight": score_nouns(gold, table, TIGHT_BOX)}
    if not rules["default"].found.any():
        raise UsageError(f"{args.gold}: none of its {len(gold.keys)} nouns is in {args.folder}")
    figures = gold_figures(rules)
    if args.json:
        print_json(figures)
    else:
        say(gold_table(figures))
    return 0
