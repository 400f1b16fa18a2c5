"""Runs an export: a file or a folder that appears whole, and what went into it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alp_builder.errors import UsageError
from alp_builder.export.coco import write_coco
from alp_builder.export.fiftyone import write_fiftyone
from alp_builder.export.huggingface import write_huggingface
from alp_builder.export.pictures import Pictures
from alp_builder.export.rows import Labels, refuse_nothing
from alp_builder.export.selection import Selection
from alp_builder.export.subset import write_subset
from alp_builder.files import flush_folder
from alp_builder.reader import AlpDataset

FORMATS = ("coco", "fiftyone", "hf", "shards")
"""What ALPs can be written as."""


@dataclass(frozen=True)
class ExportSummary:
    """What an export wrote.

    Attributes:
        out: File or folder.
        format: One of `FORMATS`.
        counts: `alps`, `images`; `images_missing` and `alps_without_image` where images are looked for.
    """

    out: Path
    format: str
    counts: Counter[str]


def export(
    dataset: AlpDataset,
    out: Path,
    to: str,
    selection: Selection,
    pictures: Pictures | None = None,
    labels: Labels = "noun",
) -> ExportSummary:
    """Writes a selection of a data set in a format of other tools.

    Args:
        dataset: A finished data set.
        out: File (`coco`) or folder (others); must not exist.
        to: One of `FORMATS`.
        selection: What is exported.
        pictures: Where images are; needed by `coco` and `fiftyone`, embedded by `hf`.
        labels: What names a box.

    Returns:
        What was written.

    Raises:
        UsageError: If `out` exists, the format is unknown or needs images, or nothing was selected.
    """
    if to not in FORMATS:
        raise UsageError(f"--to {to}: expected one of {', '.join(FORMATS)}")
    if out.exists():
        raise UsageError(f"{out}: exists; remove it or name another")
    if to == "coco":
        counts = write_coco(dataset, out, selection, _needed(pictures), labels)
        return ExportSummary(out, to, counts)
    with _whole_folder(out) as folder:
        if to == "shards":
            counts = write_subset(dataset, folder, selection)
        elif to == "hf":
            counts = write_huggingface(dataset, folder, selection, pictures, labels)
        else:
            counts = write_fiftyone(dataset, folder, selection, _needed(pictures), labels)
        refuse_nothing(counts)
    return ExportSummary(out, to, counts)


def _needed(pictures: Pictures | None) -> Pictures:
    return pictures if pictures is not None else Pictures()  # which says what is missing


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when the block ends without error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    work.mkdir()
    try:
        yield work
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    flush_folder(out.parent)
