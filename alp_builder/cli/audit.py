"""`alps audit`: how good are the boxes, against truth, and which choices make them better?"""

from __future__ import annotations

import argparse

from alp_builder.audit.coco import CocoTruth, read_truth
from alp_builder.audit.coco_report import (
    audit_rows,
    coco_figures,
    coco_table,
    read_parts,
    rule_columns,
)
from alp_builder.audit.gold import NOUN_COLUMNS, read_gold, score_nouns
from alp_builder.audit.matching import MATCH_COLUMNS, match
from alp_builder.audit.names import SYNONYMS, CategoryNames, read_synonyms
from alp_builder.audit.report import gold_figures, gold_table
from alp_builder.audit.samples import gold_sample, simulated_sample
from alp_builder.audit.sweep import KNOBS, Setting, run_sweep, sweep_table
from alp_builder.cli.parsing import Verbs, add_json, add_verb, data_set, local_path, print_json, say
from alp_builder.config import Value, load_config, parse_value
from alp_builder.errors import UsageError
from alp_builder.phrases import PhraseExtractor
from alp_builder.reader import open_alps
from alp_builder.simulate import PROFILES

_EXAMPLE = """
alps audit data/alps --gold gold_boxes.csv
alps audit data/alps --coco data/world/instances_val.json --truth data/world/narratives_val.truth.jsonl \\
    --classes data/world/split.json
alps audit --sweep --coco data/world/instances_val.json --plot sweep.png
"""


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    parser = add_verb(verbs, "audit", "compare ALPs with boxes or masks of truth", _EXAMPLE, run)
    add = parser.add_argument
    add("folder", type=data_set, metavar="DIR", nargs="?", help="folder or URL of the data set")
    add("--gold", type=local_path, metavar="CSV", help="boxes of nouns, drawn by people")
    add("--coco", type=local_path, metavar="JSON", help="COCO instances with masks")
    add(
        "--truth",
        type=local_path,
        metavar="JSONL",
        help="what each phrase means: a narrator's side file",
    )
    add("--classes", type=local_path, metavar="JSON", help="base and novel classes, to tell apart")
    add("--synonyms", type=local_path, metavar="JSON", help="further names of categories")
    add("--sizes", choices=("coco", "fraction"), default="coco",
        help="small, medium, large by 32^2 and 96^2 pixels, or by such shares of a 640 x 480 image")  # fmt: skip
    sweep = parser.add_argument_group("sweep, on narratives simulated for --coco, nothing is built")
    add = sweep.add_argument
    add("--sweep", action="store_true", help="turn each choice of the builder through its values")
    add("--profile", action="append", metavar="NAME", help="noise; may be repeated (all of them)")
    add("--knob", action="append", default=[], metavar="KEY=V,V,...",
        help="a choice and the values to try; may be repeated (the usual ones)")  # fmt: skip
    add("--limit", type=int, default=300, metavar="N", help="most images to narrate (300)")
    add("--seed", type=int, default=0, help="of the narrator (0)")
    add(
        "--narratives",
        type=local_path,
        metavar="JSONL",
        help="real narratives of --gold, swept as well",
    )
    add("--plot", type=local_path, metavar="PNG", help="draw the sweep (needs the extra `plots`)")
    add("--config", type=local_path, metavar="FILE", help="TOML file of choices to start from")
    add("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="set one choice to start from; may be repeated")  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    if args.sweep:
        return _sweep(args)
    if args.folder is None:
        raise UsageError("DIR is missing: the folder of the data set, or --sweep")
    if (args.gold is None) == (args.coco is None):
        raise UsageError("no truth to compare with: give --gold CSV or --coco JSON")
    return _gold(args) if args.coco is None else _coco(args)


def _gold(args: argparse.Namespace) -> int:
    gold = read_gold(args.gold)
    table = audit_rows(open_alps(args.folder), NOUN_COLUMNS)
    rules = {rule: score_nouns(gold, table, box) for rule, box in rule_columns(table).items()}
    if not rules["default"].found.any():
        raise UsageError(f"{args.gold}: none of its {len(gold.keys)} nouns is in {args.folder}")
    figures = gold_figures(rules)
    if args.json:
        print_json(figures)
    else:
        say(gold_table(figures))
    return 0


def _coco(args: argparse.Namespace) -> int:
    coco = CocoTruth(args.coco)
    synonyms = SYNONYMS if args.synonyms is None else read_synonyms(args.synonyms)
    parts = None if args.classes is None else read_parts(args.classes, coco)
    truth = None if args.truth is None else read_truth(args.truth)
    table = audit_rows(open_alps(args.folder), MATCH_COLUMNS)
    matches = match(table, coco, CategoryNames(coco.names, coco.plurals, synonyms), truth)
    if not (matches.row >= 0).any():
        raise UsageError(
            f"{args.coco}: no phrase of {args.folder} means an instance of it; expected the COCO file"
            f" the narratives speak of{'' if truth is None else ', and their side file'}"
        )
    figures = coco_figures(matches, table, coco, args.sizes, parts)
    if args.json:
        print_json(figures)
    else:
        say(coco_table(figures))
    return 0


def _sweep(args: argparse.Namespace) -> int:
    if args.coco is None:
        raise UsageError("--sweep needs --coco JSON: the images to narrate")
    if (args.gold is None) != (args.narratives is None):
        raise UsageError("--gold and --narratives go together in a sweep")
    if args.folder is not None or args.limit < 1:
        raise UsageError("--sweep takes no DIR, and a --limit of 1 or more")
    plot = None
    if args.plot is not None:
        from alp_builder.audit import sweep_plot  # matplotlib is an extra

        plot = sweep_plot.load()
    config = load_config(args.config, args.overrides)
    knobs = dict(map(_knob, args.knob)) or KNOBS
    extractor = PhraseExtractor(config.phrases)
    samples = [
        simulated_sample(args.coco, profile, extractor, args.limit, args.seed)
        for profile in args.profile or PROFILES
    ]
    if args.gold is not None:
        samples.append(gold_sample(args.narratives, args.gold, extractor))
    settings = run_sweep(samples, config, extractor, knobs, progress=not args.json)
    if plot is not None:
        plot.draw(settings, args.plot)
    _print_sweep(settings, args.json)
    return 0


def _print_sweep(settings: list[Setting], as_json: bool) -> None:
    if as_json:
        print_json({"settings": settings})
    else:
        say(sweep_table(settings))


def _knob(text: str) -> tuple[str, list[Value]]:
    name, equals, values = text.partition("=")
    if not equals or not values:
        raise UsageError(f"--knob {text}: expected KEY=V,V,..., such as window.lag=-0.3,0")
    return name, [parse_value(value.strip()) for value in values.split(",")]
