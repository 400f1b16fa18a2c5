"""What the verbs share: how a parser looks, and how figures are printed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.errors import printable
from alp_builder.inputs import LOCAL_SCHEMES
from alp_builder.remote import is_url

Verbs = Any  # argparse's action of sub-parsers, whose class is private


def add_verb(
    verbs: Verbs, name: str, summary: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Adds a verb with its one-line summary and an example.

    Args:
        verbs: Where `argparse` keeps sub-commands.
        name: The verb.
        summary: What it does.
        example: Commands, shown as they are.
        run: What carries it out and returns the exit code.

    Returns:
        Its parser, to add arguments to.
    """
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="example:\n" + "\n".join(f"  {line}" for line in example.strip().splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def data_set(text: str) -> Path | str:
    """The type of an argument that names a data set to read: a folder, or a URL such as `s3://bucket/alps`."""
    text = _without_local_scheme(text)
    return text if is_url(text) else Path(text)


def local_path(text: str) -> Path:
    """The type of an argument that names a file or folder of this machine."""
    text = _without_local_scheme(text)
    if is_url(text):
        raise argparse.ArgumentTypeError(
            f"{text}: expected a file or folder of this machine, not a URL; copy it with your storage's own tool"
        )
    return Path(text)


def _without_local_scheme(text: str) -> str:
    if not text:  # a shell variable that is not set; as a path it would mean the current folder
        raise argparse.ArgumentTypeError("empty; expected a name")
    for scheme in LOCAL_SCHEMES:
        text = text.removeprefix(scheme)
    return text


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print figures as JSON, for machines")


def print_json(value: Any) -> None:
    """Prints a value as one JSON document on standard output."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def say(lines: Iterable[str]) -> None:
    """Prints lines on standard output; what a terminal could take for a command is made visible."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")


def percent(part: float, whole: float) -> str:
    """A share as text, such as `12.3 %`; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"
