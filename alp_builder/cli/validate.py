"""`alps validate`: is every claim of a data set true?"""

from __future__ import annotations

import argparse

from alp_builder.cli.parsing import Verbs, add_json, add_verb, data_set, print_json, say
from alp_builder.errors import BadDataError
from alp_builder.validation import validate


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    summary = "check a data set: hashes, schema, ranges, counts"
    parser = add_verb(verbs, "validate", summary, "alps validate data/alps", run)
    parser.add_argument(
        "folder", type=data_set, metavar="DIR", help="folder or URL of the data set"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    try:
        manifest = validate(args.folder, progress=not args.json)
    except BadDataError as error:
        if args.json:
            print_json({"valid": False, "problem": str(error)})
            return error.exit_code
        raise
    rows = sum(shard.rows for shard in manifest.shards)
    if args.json:
        print_json({"valid": True, "shards": len(manifest.shards), "rows": rows})
    else:
        say([f"{args.folder}: all true ({len(manifest.shards)} shards, {rows:,} ALPs)"])
    return 0
