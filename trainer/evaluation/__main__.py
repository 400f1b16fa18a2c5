r"""Evaluate a file of predictions.

python -m trainer.evaluation predictions.json --truth instances_val2017.json --split coco_48_17
python -m trainer.evaluation predictions.json --truth open_images_test.json \
        --split open_images_60_240 --protocol open_images --hierarchy label300-hierarchy.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from alp_builder.errors import AlpError
from trainer.data.cocofile import read_coco
from trainer.evaluation.evaluator import evaluate, table
from trainer.evaluation.predictions import read_predictions, write_json
from trainer.evaluation.splits import load_split, split_of_all


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of the module's text; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainer.evaluation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("predictions", type=Path, help="COCO results file")
    parser.add_argument("--truth", type=Path, required=True, help="COCO-format instances file")
    parser.add_argument("--split", help="named split or JSON file; all classes if not given")
    parser.add_argument("--protocol", choices=("coco", "open_images"), default="coco")
    parser.add_argument("--iou-type", choices=("segm", "bbox"), default="segm")
    parser.add_argument("--hierarchy", type=Path, help="Open Images hierarchy file")
    parser.add_argument("--out", type=Path, help="metrics file to write")
    given = parser.parse_args(arguments)
    try:
        names = [category.name for category in read_coco(given.truth).categories]
        split = load_split(given.split) if given.split else split_of_all(names)
        metrics = evaluate(
            given.truth,
            read_predictions(given.predictions),
            split,
            protocol=given.protocol,
            iou_type=given.iou_type,
            hierarchy=given.hierarchy,
        )
        if given.out is not None:
            write_json(given.out, metrics)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(table(metrics) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
