"""`alps build`: narratives in, shards out."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.build import BuildSummary, build
from alp_builder.calibration import check_fits, read_calibration
from alp_builder.cli.parsing import (
    Verbs,
    add_json,
    add_verb,
    data_set,
    local_path,
    percent,
    print_json,
    say,
)
from alp_builder.config import BuildConfig, config_dict, load_config, turned
from alp_builder.errors import UsageError
from alp_builder.inputs import find_sources
from alp_builder.manifest import META_FOLDER, QUARANTINE
from alp_builder.parts import Part, PartSummary, build_part
from alp_builder.ray_executor import RayExecutor
from alp_builder.reasons import PHRASE_REASONS, RECORD_REASONS, dropped_phrases
from alp_builder.remote import is_http

DEFAULT_MAX_BAD_FRACTION = 0.01
_PART_OPTIONS = "--num-shards and --shard-index"

_EXAMPLE = r"""
alps build narratives/*.jsonl --out data/alps/mine --workers 4
alps build coco_val_localized_narratives.jsonl --split val --out data/alps/coco --set window.lag=-0.3
# on a Ray cluster, from and to object storage:
alps build s3://bucket/in/ --out s3://bucket/alps --executor ray --address auto
# on SLURM, 16 jobs, then one that merges; all of them see both folders:
id=$(sbatch --parsable --array=0-15 --wrap \
     'alps build in/ --out out --num-shards 16 --shard-index $SLURM_ARRAY_TASK_ID')
sbatch --dependency=afterok:$id --wrap 'alps build in/ --out out'
# with xargs, 8 processes of one worker each:
seq 0 7 | xargs -P 8 -I% alps build in/ --out out --workers 1 --num-shards 8 --shard-index % \
    && alps build in/ --out out
"""


def add_parser(verbs: Verbs) -> None:
    """Adds the verb to `alps`."""
    parser = add_verb(verbs, "build", "build ALP shards from narratives", _EXAMPLE, run)
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="files (.jsonl, .gz, .zst), folders, globs, URLs"
    )
    parser.add_argument(
        "--out",
        type=data_set,
        metavar="DIR",
        help="folder of the data set, or a URL such as s3://bucket/alps",
    )
    parser.add_argument("--split", default="train", metavar="NAME", help="their split (train)")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes (all cores, with Ray all of the cluster)",
    )
    parser.add_argument(
        "--boxes", metavar="RULE",
        help="components (the default), tight, or calibrated=FILE: calibrated boxes beside the raw ones",
    )  # fmt: skip
    parser.add_argument("--with-traces", action="store_true", help="keep each ALP's trace points")
    parser.add_argument("--config", type=local_path, metavar="FILE", help="TOML file of choices")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="set one choice, such as window.lag=-0.3; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--max-bad-fraction", type=float, default=DEFAULT_MAX_BAD_FRACTION, metavar="X",
        help="exit with 1 after the build if more of the records were set aside (0.01)",
    )  # fmt: skip
    parser.add_argument("--show-config", action="store_true", help="print every choice and stop")
    add_json(parser)
    _add_machines(parser)


def _add_machines(parser: argparse.ArgumentParser) -> None:
    """Adds what spreads a build over machines."""
    group = parser.add_argument_group("many machines")
    group.add_argument(
        "--executor", choices=("local", "ray"), default="local",
        help="what runs the work: processes of this machine, or a Ray cluster (extra `ray`)",
    )  # fmt: skip
    group.add_argument(
        "--address", metavar="HOST:PORT",
        help="of the Ray cluster; auto: the one this machine belongs to (default: RAY_ADDRESS, else a"
        " cluster of this machine alone)",
    )  # fmt: skip
    group.add_argument(
        "--num-shards", type=int, metavar="N",
        help="do one of N shares of the work, for SLURM or xargs; a call without it, when all have"
        " ended, merges and publishes",
    )  # fmt: skip
    group.add_argument("--shard-index", type=int, metavar="I", help="which share: 0 to N-1")
    group.add_argument(
        "--work", type=local_path, metavar="DIR",
        help="folder to work in where --out is a URL (default: one below the cache); with --num-shards"
        " one that all processes see",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Carries the verb out."""
    config = with_boxes(load_config(args.config, args.overrides), args.boxes)
    if args.with_traces:
        config = msgspec.structs.replace(config, with_traces=True)
    if args.show_config:
        say(_config_lines(config))
        return 0
    if args.out is None:
        raise UsageError("--out DIR is missing: the folder the shards go to")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers {args.workers}: expected 1 or more")
    if not 0 <= args.max_bad_fraction <= 1:
        raise UsageError(f"--max-bad-fraction {args.max_bad_fraction}: expected between 0 and 1")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", args.split):
        raise UsageError(f"--split {args.split}: expected letters, digits, '-' and '_'")
    part = _part(args)
    executor = _ray_executor(args)
    options: dict[str, Any] = {"executor": executor} if executor else {}
    options |= {"workers": args.workers or _cores(), "progress": not args.json, "work": args.work}
    sources = find_sources(args.inputs, args.split)
    out = _writable(args.out)
    if part is not None:
        return _run_part(part, build_part(sources, out, config, part, **options), args)
    summary = build(sources, out, config, **options)
    if executor is not None:
        summary.notes += executor.notes()
    if args.json:
        print_json(_figures(summary))
    else:
        say(summary_lines(summary))
    if summary.bad_fraction > args.max_bad_fraction:
        share = percent(summary.bad_fraction, 1)
        message = (
            f"alps build: too many bad records: {share} set aside, --max-bad-fraction allows less"
        )
        sys.stderr.write(message + "\n")
        return 1
    return 0


def _part(args: argparse.Namespace) -> Part | None:
    """The share of the work that is asked for, if one is.

    Raises:
        UsageError: If only one of the two options is there, or they do not fit.
    """
    if args.num_shards is None and args.shard_index is None:
        return None
    if args.num_shards is None or args.shard_index is None:
        raise UsageError(f"{_PART_OPTIONS} go together")
    return Part(args.shard_index, args.num_shards)


def _run_part(part: Part, summary: PartSummary, args: argparse.Namespace) -> int:
    if args.json:
        print_json({"out": str(args.out), **dataclasses.asdict(summary)})
    else:
        say(part_lines(part, summary))
    return 0


def _ray_executor(args: argparse.Namespace) -> RayExecutor | None:
    """The executor for `--executor ray`, else nothing: the build's own.

    Raises:
        UsageError: If `--address` is given without it.
    """
    if args.executor == "ray":
        return RayExecutor(args.address, args.workers, progress=not args.json)
    if args.address is not None:
        raise UsageError("--address is for --executor ray")
    return None


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _writable(out: Path | str) -> Path | str:
    """`--out`, unless it is of the web."""
    if isinstance(out, str) and is_http(out):
        raise UsageError(
            f"--out {out}: nothing can be written to the web; a folder, s3:// or gs://"
        )
    return out


def with_boxes(config: BuildConfig, rule: str | None) -> BuildConfig:
    """A configuration with what `--boxes` asks for.

    Args:
        config: The configuration.
        rule: `components`, `tight`, `calibrated=FILE`, or nothing.

    Raises:
        UsageError: If it is none of these, or the file is no calibration for such boxes.
    """
    if rule is None:
        return config
    name, equals, file = rule.partition("=")
    if name == "calibrated" and file:
        calibration = read_calibration(Path(file))
        check_fits(calibration, config)
        return msgspec.structs.replace(config, calibration=calibration)
    if equals or name not in ("components", "tight"):
        raise UsageError(f"--boxes {rule}: expected components, tight or calibrated=FILE")
    return turned(config, {"boxes.rule": name})


def summary_lines(summary: BuildSummary) -> list[str]:
    """The end of a build in words: what went in, what came out, what became of the rest."""
    counts = summary.counts
    bad = sum(summary.rejected.values())
    lines = [f"note: {note}" for note in summary.notes]
    if not counts["lines"]:
        lines.append("note: the inputs are empty: there is no record in them")
    if summary.already_built:
        lines.append("nothing to do: the data set is there, built from the same inputs and choices")
    lines.append("")
    lines.append(f"narratives read    {counts['narratives']:>10,}")
    lacking = ("no_traces", "empty_caption", "no_timed_words")
    lines += [
        f"  {counts[name]:>10,}  {RECORD_REASONS[name]}" for name in lacking if counts.get(name)
    ]
    lines.append(f"records set aside  {bad:>10,}")
    for reason, number in sorted(summary.rejected.items()):
        lines.append(f"  {number:>10,}  {reason}: {RECORD_REASONS.get(reason, reason)}")
    lines.append(f"phrases found      {counts['phrases']:>10,}")
    dropped = dropped_phrases(counts)
    lines.append(f"  dropped          {sum(number for _, number in dropped):>10,}")
    lines += [
        f"  {n:>10,}  {reason}: {PHRASE_REASONS.get(reason, reason)}" for reason, n in dropped
    ]
    if "phrases_with_alps" in counts:
        lines.append(f"  gave ALPs        {counts['phrases_with_alps']:>10,}")
    lines.append(f"ALPs written       {counts['alps_written']:>10,}")
    if counts.get("duplicate_alps"):
        narratives = counts["duplicate_narratives"]
        lines.append(
            f"  {counts['duplicate_alps']:>10,}  left out, of {narratives:,} narratives read twice"
        )
    if summary.built:
        lines.append(f"narratives/s       {summary.built / summary.seconds:>10,.0f}")
    if summary.reused_chunks:
        lines.append(f"went on from an interrupted build: {summary.reused_chunks} chunks were done")
    lines += [
        "",
        f"shards: {summary.folder} ({len(summary.shards)} files, {sum(s.size for s in summary.shards):,} bytes)",
    ]
    if bad:
        lines.append(f"set aside: {summary.folder}/{META_FOLDER}/{QUARANTINE}")
    lines.append(f"open:   {_opening_command(str(summary.folder))}")
    return lines


def part_lines(part: Part, summary: PartSummary) -> list[str]:
    """The end of a share of the work in words."""
    lines = [f"note: {note}" for note in summary.notes]
    if summary.already_built:
        return [
            *lines,
            "nothing to do: the data set is there, built from the same inputs and choices",
        ]
    lines += [
        f"share {part.index} of {part.count}",
        f"chunks done        {summary.chunks:>10,}",
        f"  {summary.reused_chunks:>10,}  by an earlier run",
        f"narratives read    {summary.narratives:>10,}",
        f"narratives/s       {summary.narratives / summary.seconds:>10,.0f}",
        "",
    ]
    if summary.remaining:
        return [*lines, f"{summary.remaining:,} chunks of other shares are not done yet"]
    return [*lines, f"all shares are done; to merge and publish: the same without {_PART_OPTIONS}"]


def _opening_command(folder: str) -> str:
    """The command that opens the data set in pandas with the Python that runs now."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    code = f"import pandas as pd; print(pd.read_parquet({folder!r}))"
    plain = re.fullmatch(r"[\w./=-]+", folder)  # then double quotes serve, and read better
    return f'{python} -c "{code}"' if plain else f"{python} -c {shlex.quote(code)}"


def _figures(summary: BuildSummary) -> dict[str, object]:
    return {
        "out": str(summary.folder),
        "counts": summary.counts,
        "rejected": summary.rejected,
        "bad_fraction": summary.bad_fraction,
        "seconds": summary.seconds,
        "narratives_per_s": summary.built / summary.seconds if summary.seconds else None,
        "already_built": summary.already_built,
        "reused_chunks": summary.reused_chunks,
        "notes": summary.notes,
        "shards": summary.shards,
    }


def _config_lines(config: BuildConfig) -> list[str]:
    """The configuration as TOML, ready for `--config`; calibrations have files of their own."""
    tree = config_dict(config)
    lines = [_toml(name, value) for name, value in tree.items() if isinstance(value, bool)]
    for section, fields in tree.items():
        if isinstance(fields, dict) and section != "calibration":
            lines += ["", f"[{section}]", *(_toml(name, value) for name, value in fields.items())]
    return lines


def _toml(name: str, value: object) -> str:
    return f"{name} = {msgspec.json.encode(value).decode()}"
