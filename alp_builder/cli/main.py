"""The `alps` command: parses the call, runs a verb, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib.metadata import PackageNotFoundError, version

from alp_builder.cli import (
    align,
    audit,
    build,
    calibrate,
    card,
    export,
    fetch,
    record,
    show,
    simulate,
    stats,
    validate,
)
from alp_builder.errors import AlpError, UsageError, printable

VERBS = (
    fetch,
    simulate,
    record,
    align,
    build,
    validate,
    stats,
    show,
    audit,
    calibrate,
    card,
    export,
)
"""The verbs in the order of use; each module has `add_parser` and `run`."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of `alps` with all its verbs."""
    parser = argparse.ArgumentParser(
        prog="alps",
        description="Turn narrated images into approximately localized phrases (ALPs).",
        epilog="Exit codes: 0 good, 1 bad data, 2 bad usage. `alps VERB --help` shows an example of each.",
    )
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs `alps`.

    Args:
        arguments: Words of the command line after `alps`; default the process's own.

    Returns:
        The exit code: 0 good, 1 bad data, 2 bad usage, 130 interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without Unicode shows escapes instead
        sys.stdout.reconfigure(errors="backslashreplace")
    parsed = make_parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except AlpError as error:
        print(f"alps {parsed.verb}: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except MemoryError:
        message = (
            f"alps {parsed.verb}: out of memory; finished work is kept. Less is needed at once with"
        )
        advice = "fewer --workers, or smaller shards.chunk_bytes and shards.rows_per_shard"
        print(message, advice, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        message = f"alps {parsed.verb}: stopped; run the same command again to go on"
        print(message, file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as in `alps stats ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno is None:  # not of the system: a library's own, and a mistake of ours
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"alps {parsed.verb}: {printable(place)}{error.strerror}", file=sys.stderr)  # noqa: T201
        return UsageError.exit_code
    return code


def _version() -> str:
    try:
        return f"alp-toolkit {version('alp-toolkit')}"
    except PackageNotFoundError:
        return "alp-toolkit (not installed)"


if __name__ == "__main__":
    sys.exit(main())
