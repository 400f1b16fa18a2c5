"""`alps align`: typed captions and voice recordings in, narratives with forced word times out."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from alp_builder.cli.parsing import Verbs, add_json, add_verb, local_path, percent, print_json, say
from alp_builder.errors import UsageError
from alp_builder.fetch import default_cache, fetch_split
from alp_builder.http_range import check_url
from alp_builder.inputs import NarrativeSource, find_sources
from alp_builder.remote import is_url
from alp_builder.sources import BASE_URL, find_split

if TYPE_CHECKING:
    from alp_builder.voice.recordings import Recordings
    from alp_builder.voice.run import AlignSummary

_EXAMPLE = """
alps align mine/narratives.jsonl --recordings mine/recordings --out mine/aligned.jsonl
alps align --localized-narratives coco_val --out data/coco_val_forced.jsonl --workers 4
alps build mine/aligned.jsonl --out data/alps/mine
"""


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    parser = add_verb(
        verbs, "align", "time the words of typed captions by their recordings", _EXAMPLE, run
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="NARRATIVES",
        help="files of narratives (.jsonl, .gz, .zst), folders, globs, URLs")  # fmt: skip
    add(
        "--recordings",
        type=local_path,
        metavar="DIR",
        help="folder of the recordings the records name",
    )
    add("--localized-narratives", action="store_true",
        help="fetch the public recordings; NARRATIVES may be official splits (alps fetch --list)")  # fmt: skip
    add(
        "--out",
        type=local_path,
        metavar="FILE",
        help="the narratives with forced times (JSON lines)",
    )
    add("--offset", type=float, default=0.0, metavar="S",
        help="seconds added to every time (0: the recording's own clock)")  # fmt: skip
    add("--keep", action="store_true",
        help="write narratives that get no times as they were; default: leave them out")  # fmt: skip
    add("--workers", type=int, metavar="N", help="processes (all cores)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="set one choice, such as max_unclaimed=0.4; may be repeated")  # fmt: skip
    add("--show-config", action="store_true", help="print every choice and stop")
    fetching = parser.add_argument_group("with --localized-narratives")
    add = fetching.add_argument
    add(
        "--cache",
        type=local_path,
        metavar="DIR",
        help="folder of downloads ($ALPS_CACHE, else ~/.cache/alps)",
    )
    add("--recordings-url", metavar="URL", help="folder of a mirror of the recordings")
    add("--base-url", default=BASE_URL, metavar="URL", help="folder of a mirror of the splits")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    from alp_builder.voice.config import load_voice_config
    from alp_builder.voice.run import AlignOptions, align_files

    config = load_voice_config([*args.overrides, f"offset={args.offset!r}"])
    if args.show_config:
        say(f"{name} = {value!r}" for name, value in msgspec.structs.asdict(config).items())
        return 0
    if args.out is None:
        raise UsageError("--out FILE is missing: where the narratives with forced times go")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers {args.workers}: expected 1 or more")
    check_installed()
    recordings, origin = _recordings(args)
    sources = _sources(args)
    options = AlignOptions(
        config=config, keep=args.keep, workers=args.workers or _cores(), progress=not args.json
    )
    summary = align_files(sources, recordings, origin, args.out, options)
    if args.json:
        print_json(figures(summary))
    else:
        say(summary_lines(summary))
    return 0 if summary.counts["words_aligned"] or not summary.counts["narratives"] else 1


def check_installed() -> None:
    """Says at once what is missing, before anything is fetched or hashed.

    Raises:
        UsageError: If the extra `record` is not installed.
    """
    from importlib.util import find_spec

    missing = [name for name in ("av", "pocketsphinx") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} missing: pip install alp-toolkit[record] (or make record-env)"
        )


def _recordings(args: argparse.Namespace) -> tuple[Recordings, str]:
    """Where recordings come from, and what identifies that place."""
    from alp_builder.voice.recordings import RECORDINGS_URL, FetchedRecordings, LocalRecordings

    if args.recordings is not None:
        if args.localized_narratives:
            raise UsageError(
                "--recordings and --localized-narratives: give one, the folder or the public recordings"
            )
        return LocalRecordings(args.recordings), str(args.recordings.resolve())
    if not args.localized_narratives:
        raise UsageError(
            "no recordings: give --recordings DIR, or --localized-narratives for the public ones"
        )
    url = check_url(args.recordings_url or RECORDINGS_URL)
    cache = args.cache or default_cache()
    return FetchedRecordings(cache, url), url


def _sources(args: argparse.Namespace) -> list[NarrativeSource]:
    """The inputs; names of official splits are fetched."""
    if not args.inputs:
        raise UsageError("no input: name files, folders, globs or URLs of narratives")
    locations: list[str] = []
    for item in args.inputs:
        if args.localized_narratives and _is_split(item):
            cache = args.cache or default_cache()
            fetched = fetch_split(
                find_split(item), cache, base_url=args.base_url, progress=not args.json
            )
            locations += [str(file.path) for file in fetched]
        else:
            locations += [source.location for source in find_sources([item], "train")]
    return [
        NarrativeSource(location=location, split="train") for location in dict.fromkeys(locations)
    ]


def _is_split(item: str) -> bool:
    """Whether an input is meant as the name of an official split, misspelt or not."""
    return not Path(item).exists() and not is_url(item) and re.fullmatch(r"\w+", item) is not None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def figures(summary: AlignSummary) -> dict[str, object]:
    """The figures of `--json`; `vs_published` is there where the input has times of its own."""
    counts, versus = summary.counts, summary.versus
    told: dict[str, object] = {
        "narratives": counts["narratives"],
        "words": counts["words"],
        "aligned_fraction": counts["words_aligned"] / counts["words"] if counts["words"] else 0.0,
    }
    if versus is not None:
        told["vs_published"] = {
            "offset_s": versus.offset_s,
            "median_abs_s": versus.median_abs_s,
            "p90_abs_s": versus.p90_abs_s,
        }
    speed = summary.sound_seconds / summary.work_seconds if summary.work_seconds else 0.0
    return told | {"times_real_time": round(speed, 1), "set_aside": summary.rejected}


def summary_lines(summary: AlignSummary) -> list[str]:
    """The end of a run in words."""
    from alp_builder.reasons import RECORD_REASONS
    from alp_builder.voice.reasons import VOICE_REASONS

    counts, versus = summary.counts, summary.versus
    bad = sum(summary.rejected.values())
    lines = [
        "",
        f"narratives read    {counts['narratives']:>10,}",
        f"records set aside  {bad:>10,}",
    ]
    for reason, number in sorted(summary.rejected.items()):
        meaning = VOICE_REASONS.get(reason) or RECORD_REASONS.get(reason, reason)
        lines.append(f"  {number:>10,}  {reason}: {meaning}")
    if counts["kept"]:
        lines.append(f"  {counts['kept']:>10,}  of them written as they were (--keep)")
    aligned = counts["words_aligned"]
    lines.append(f"words              {counts['words']:>10,}")
    lines.append(f"  {aligned:>10,}  have forced times ({percent(aligned, counts['words'])})")
    lines.append(f"  {summary.low_words:>10,}  of them with a confidence under 0.5")
    if versus is not None:
        lines.append(
            f"published starts   {versus.offset_s:+10.3f} s from the forced ones; beyond that, median"
            f" {versus.median_abs_s:.3f} s, 90 % within {versus.p90_abs_s:.3f} s ({versus.words:,} words)"
        )
    if summary.work_seconds:
        speed = summary.sound_seconds / summary.work_seconds
        lines.append(f"times real time    {speed:>10.0f}  for each core")
    if summary.reused:
        lines.append(f"went on from a stopped run: {summary.reused} chunks were done")
    lines += ["", f"narratives: {summary.out}", f"confidence: {summary.side / 'confidence.jsonl'}"]
    if bad:
        lines.append(f"set aside: {summary.side / 'quarantine.jsonl'}")
    return lines
