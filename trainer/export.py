"""Weights for use outside of this project: `python -m trainer.export CHECKPOINT --out model.safetensors`.

CHECKPOINT is a file or a run folder, whose last checkpoint is taken. The safetensors file has the weights by name,
and as metadata the number of steps and what the checkpoint says of itself: model, classes, text encoder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from alp_builder.errors import AlpError, UsageError
from trainer.engine.checkpoint import export_safetensors, latest_checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainer.export", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("checkpoint", type=Path, help="a checkpoint file or a run folder")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--average", action="store_true", help="take the averaged weights")
    args = parser.parse_args(arguments)
    try:
        given: Path = args.checkpoint
        path = latest_checkpoint(given) if given.is_dir() else given
        if path is None:
            raise UsageError(f"{given}: no checkpoint in this folder; train first")
        if not args.out.parent.is_dir():
            raise UsageError(f"{args.out.parent}: no such folder; make it, or give another --out")
        export_safetensors(path, args.out, average=args.average)
    except AlpError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return error.exit_code
    print(f"{path} -> {args.out} ({args.out.stat().st_size / 1e6:.1f} MB)")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
