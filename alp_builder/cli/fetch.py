"""`alps fetch`: the official narratives by name, into a cache, with resume.

Paths go to standard output, one a line, so that a shell can pass them on; all else goes to the error
stream.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from alp_builder.cli.parsing import Verbs, add_json, add_verb, local_path, print_json, say
from alp_builder.errors import UsageError
from alp_builder.fetch import Fetched, default_cache, fetch_split
from alp_builder.http_range import check_url
from alp_builder.sources import BASE_URL, OFFICIAL_SPLITS, OfficialSplit, find_split

_EXAMPLE = """
alps fetch --list
alps fetch coco_val flickr30k_test
alps build $(alps fetch coco_val) --split val --out data/official/coco_val
"""


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    summary = "download official splits of Localized Narratives (CC BY 4.0) by name"
    parser = add_verb(verbs, "fetch", summary, _EXAMPLE, run)
    add = parser.add_argument
    add("splits", nargs="*", metavar="SPLIT", help="names of official splits; see --list")
    add("--list", action="store_true", help="show the official splits, their counts and files")
    add(
        "--cache",
        type=local_path,
        metavar="DIR",
        help="folder (default: $ALPS_CACHE, else ~/.cache/alps)",
    )
    add(
        "--base-url", default=BASE_URL, metavar="URL", help="folder of a mirror with the same names"
    )
    add("--refresh", action="store_true", help="ask the server whether files at hand have changed")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carry out `alps fetch`; returns the exit code.

    Raises:
        UsageError: If no split is named, a name is unknown, or the folder cannot be used.
        BadDataError: If a file cannot be had.
    """
    if args.list:
        if args.json:
            print_json(OFFICIAL_SPLITS)
        else:
            say(_listing())
        return 0
    if not args.splits:
        raise UsageError("no split is named: alps fetch SPLIT..., or alps fetch --list")
    splits = [find_split(name) for name in dict.fromkeys(args.splits)]
    check_url(args.base_url)
    cache = args.cache or default_cache()
    start = time.monotonic()
    rows: list[tuple[OfficialSplit, Fetched]] = []
    for split in splits:
        files = fetch_split(
            split, cache, base_url=args.base_url, refresh=args.refresh, progress=not args.json
        )
        rows += [(split, file) for file in files]
        if not args.json:
            sys.stdout.writelines(
                f"{file.path}\n" for file in files
            )  # as they are: a shell reads them
    _summarize(rows, cache, time.monotonic() - start, as_json=args.json)
    return 0


def _summarize(
    rows: list[tuple[OfficialSplit, Fetched]], cache: Path, seconds: float, *, as_json: bool
) -> None:
    size, received = sum(f.size for _, f in rows), sum(f.received for _, f in rows)
    if as_json:
        files = [
            {"name": s.name, "split": s.split, **msgspec.structs.asdict(f), "path": str(f.path)}
            for s, f in rows
        ]
        figures = {"files": files, "bytes": size, "bytes_received": received, "seconds": seconds}
        print_json(figures)
        return
    at_hand = sum(file.received == 0 for _, file in rows)
    resumed = sum(file.resumed_at > 0 for _, file in rows)
    sys.stderr.write(
        f"{len(rows)} files, {size:,} bytes, in {cache}: {at_hand} at hand, {resumed} resumed, "
        f"{received:,} bytes received in {seconds:.1f} s\n"
    )


def _listing() -> list[str]:
    lines = [f"{'name':<24}{'images':<13}{'split':<7}{'narratives':>10}  files"]
    for split in OFFICIAL_SPLITS:
        row = f"{split.name:<24}{split.dataset:<13}{split.split:<7}{split.narratives:>10,}"
        lines += [f"{row}  {split.files[0]}"]
        lines += [f"{'':<{len(row)}}  {name}" for name in split.files[1:]]
    return [*lines, f"from {BASE_URL}"]
