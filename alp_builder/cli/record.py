"""`alps record`: narrate images in the browser, and forget those who did."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from alp_builder.cli.parsing import Verbs, add_json, add_verb, local_path, print_json, say
from alp_builder.errors import UsageError

if TYPE_CHECKING:
    from alp_builder.record.desk import Desk

_EXAMPLE = """
alps record photos --out narrated
alps record photos --out narrated --annotators "Ann, Ben, Cem" --redundancy 2
alps record photos --out narrated --public-url https://narrate.example.org   # behind a TLS front
alps record --out narrated --forget Ben
alps build narrated --out alps
"""


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    summary = "narrate images in the browser: voice, pointer and caption become narratives"
    parser = add_verb(verbs, "record", summary, _EXAMPLE, run)
    add = parser.add_argument
    add(
        "images",
        type=local_path,
        nargs="?",
        metavar="IMAGES",
        help="folder of the images to narrate",
    )
    add("--out", type=local_path, required=True, metavar="DIR",
        help="folder of narratives and recordings; goes on where it was")  # fmt: skip
    add("--annotators", default="", metavar="NAMES",
        help="names of who narrates, with commas; each gets a link; new ones join those known")  # fmt: skip
    add("--redundancy", type=int, default=1, metavar="N", help="annotators an image gets (1)")
    add("--dataset-id", metavar="NAME", help="of the narratives (recorded_ and the folder's name)")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    add("--port", type=int, default=8765, metavar="N", help="port (8765; 0: any that is free)")
    add("--public-url", metavar="URL", help="https address of a TLS front before this server")
    add("--behind-tls", action="store_true",
        help="there is such a front: allow a --host that others can reach")  # fmt: skip
    add("--draft", action="store_true",
        help="offer drafts of captions by speech recognition: rough, English only, local")  # fmt: skip
    add("--only-accepted", action="store_true",
        help="write to narratives.jsonl only what the reviewer has accepted")  # fmt: skip
    add("--until-done", action="store_true", help="stop once every image has been narrated")
    add("--max-seconds", type=float, default=300.0, metavar="S", help="longest recording (300)")
    add("--max-mb", type=float, default=32.0, metavar="MB", help="largest recording (32)")
    add("--forget", metavar="ANNOTATOR",
        help="delete all that one annotator recorded, by name or number, and their link")  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    if args.forget is not None:
        return _forget(args)
    if args.images is None:
        raise UsageError("name the folder of the images to narrate: alps record IMAGES --out DIR")
    from alp_builder.record import RecordConfig, RecordRequest, serve  # aiohttp is slow to import

    if not 1 <= args.redundancy <= 1_000:
        raise UsageError(f"--redundancy {args.redundancy}: expected 1 to 1000")
    if not 0 <= args.port <= 65_535:
        raise UsageError(f"--port {args.port}: expected 0 to 65535")
    if not 1 <= args.max_seconds <= 3_600:
        raise UsageError(f"--max-seconds {args.max_seconds}: expected 1 to 3600")
    if not 0.1 <= args.max_mb <= 1_000:
        raise UsageError(f"--max-mb {args.max_mb}: expected 0.1 to 1000")
    given = {
        f.name: getattr(args, f.name) for f in dataclasses.fields(RecordRequest) if f.name in args
    }
    given["annotators"] = [name for part in args.annotators.split(",") if (name := part.strip())]
    config = msgspec.structs.replace(
        RecordConfig(), max_seconds=args.max_seconds, max_recording_bytes=int(args.max_mb * 1e6)
    )
    request = RecordRequest(**given, config=config)
    counts = asyncio.run(serve(request, lambda *told: _announce(args.json, *told)))
    if args.json:
        print_json(dict(counts))
    else:
        say(_summary(args.out, counts))
    return 0


def _announce(as_json: bool, desk: Desk, notes: list[str], base: str) -> None:
    """Prints where the pages are, at once: whoever started it is waiting for the links."""
    import sys

    from alp_builder.record.server import links

    found = links(desk.session, base)
    if as_json:
        told = {"address": base, "links": dict(found), "images": len(desk.images.images)}
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()
        return
    width = max(len(name) for name, _ in found)
    recorded = len(desk.store.current())
    assigned = sum(map(len, desk.shares.values()))
    say([
        f"{len(desk.images.images):,} images, {assigned:,} narratives to record, {recorded:,} recorded",
        *notes,
        "",
        *(f"{name:<{width}}  {link}" for name, link in found),
        "",
        "A link is a key: give each to its person only. Ctrl+C stops; the same command goes on.",
    ])  # fmt: skip
    sys.stdout.flush()


def _summary(out: Path, counts: Mapping[str, int]) -> list[str]:
    """What was written, in words."""
    from alp_builder.record.publish import narratives_path, set_aside_path

    left_out = {name: n for name, n in counts.items() if name != "published"}
    lines = ["", f"narratives   {counts.get('published', 0):>7,}  {narratives_path(out)}"]
    if left_out:
        lines.append(f"set aside    {sum(left_out.values()):>7,}  {set_aside_path(out)}")
        lines += [f"  {count:>7,}  {name}" for name, count in sorted(left_out.items())]
    return [*lines, "", f"next: alps build {narratives_path(out)} --out ALPS"]


def _forget(args: argparse.Namespace) -> int:
    """Deletes what one annotator recorded."""
    from alp_builder.record.people import read_session, without, write_session
    from alp_builder.record.publish import publish
    from alp_builder.record.server import only_one
    from alp_builder.record.store import Store, forget

    if read_session(args.out) is None:
        raise UsageError(f"--out {args.out}: nothing was recorded there")
    with only_one(args.out):
        session = read_session(args.out)
        assert session is not None
        annotator = session.find(args.forget)
        gone = forget(args.out, annotator.number)
        write_session(args.out, without(session, annotator))
        counts = publish(Store(args.out), session.dataset_id, args.only_accepted)
    if args.json:
        print_json({"annotator": annotator.number, "deleted": gone, "left": dict(counts)})
        return 0
    say([
        f"{annotator.name} (annotator {annotator.number}) is forgotten. Deleted:",
        *(f"  {count:>6,}  {kind}" for kind, count in gone.items()),
        "Their link is no longer valid. narratives.jsonl was written anew.",
        "Not reached: ALPs built before (build them again), copies and backups, and what their browser kept.",
    ])  # fmt: skip
    return 0
