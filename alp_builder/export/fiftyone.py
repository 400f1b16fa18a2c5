"""A folder that FiftyOne opens as `FiftyOneImageDetectionDataset`: `labels.json` and a manifest of the images.

    fiftyone.Dataset.from_dir(dataset_dir=OUT, dataset_type=fiftyone.types.FiftyOneImageDetectionDataset,
                              data_path="data.json")

Images are not copied: `data.json` names them where they lie. FiftyOne leaves the ending off a name in the
manifest and expects the labels under the rest, so `7.jpg` there is `7` here.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from alp_builder.errors import UsageError
from alp_builder.export.pictures import Pictures
from alp_builder.export.rows import Labels, by_image, label_of, relative_box
from alp_builder.export.selection import BOXES, Selection
from alp_builder.files import write_atomic
from alp_builder.reader import AlpDataset

ATTRIBUTES = (
    "alp_id",
    "narrative_id",
    "dataset_id",
    "phrase",
    "head_lemma",
    "is_plural",
    "num_points",
    "num_components",
    "dwell_fraction",
)
"""Columns that a detection carries beside label, box and confidence (the score)."""


def write_fiftyone(
    dataset: AlpDataset, out: Path, selection: Selection, pictures: Pictures, labels: Labels
) -> Counter[str]:
    """Writes the folder's files.

    Args:
        dataset: A finished data set.
        out: The folder, which exists.
        selection: What is exported.
        pictures: Images; they need a folder.
        labels: What labels are: nouns, phrases, or one label with the phrase as an attribute.

    Returns:
        Counts: `alps`, `images`, `images_missing`, `alps_without_image`.

    Raises:
        UsageError: If two data sets of the selection would share an image.
    """
    counts: Counter[str] = Counter(alps=0, images=0, images_missing=0, alps_without_image=0)
    found: dict[str, list[dict[str, Any]]] = {}
    files: dict[str, str] = {}
    for shard, table in selection.shards(dataset):
        for dataset_id, image_id, rows in by_image(table):
            picture = pictures.find(dataset_id, image_id)
            if picture is None or picture.path is None:
                counts.update(images_missing=1, alps_without_image=len(rows))
                continue
            name = PurePosixPath(picture.file_name).with_suffix("").as_posix()
            if name in found:
                raise UsageError(
                    f"{picture.file_name}: two images of the selection lead to it; select one data set"
                    " with --dataset or --split"
                )
            files[picture.file_name] = str(picture.path.resolve())
            found[name] = [
                {
                    "label": label_of(row, labels),
                    "bounding_box": relative_box(row, BOXES[selection.box]),
                    "confidence": round(row["score"], 6),
                    "attributes": {"split": shard.split, **{key: row[key] for key in ATTRIBUTES}},
                }
                for row in rows
            ]
            counts.update(images=1, alps=len(rows))
    write_atomic(out / "labels.json", msgspec.json.encode({"labels": found}))
    write_atomic(out / "data.json", msgspec.json.encode(files))
    return counts
