"""COCO JSON: images, annotations with boxes, categories, and an `info` block that says what they are.

Annotations are written as they come, so any number of ALPs fits memory. They carry, beside COCO's fields,
`alp_id`, `phrase` and `score`, which its readers pass over.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.cards.origins import origins_of
from alp_builder.errors import UsageError
from alp_builder.export.pictures import Picture, Pictures
from alp_builder.export.rows import Labels, by_image, label_of, pixel_box, refuse_nothing
from alp_builder.export.selection import BOXES, Selection
from alp_builder.files import atomic_file
from alp_builder.reader import AlpDataset

_encode = msgspec.json.Encoder().encode


def write_coco(
    dataset: AlpDataset, out: Path, selection: Selection, pictures: Pictures, labels: Labels
) -> Counter[str]:
    """Writes a COCO file.

    Args:
        dataset: A finished data set.
        out: The file; it appears whole or not at all.
        selection: What is exported.
        pictures: Names and sizes of images.
        labels: What categories are: nouns, phrases, or one category with captions.

    Returns:
        Counts: `alps`, `images`, `categories`, `images_missing`, `alps_without_image`.

    Raises:
        UsageError: If two data sets of the selection would share an image, or nothing is selected.
    """
    counts: Counter[str] = Counter(alps=0, images=0, images_missing=0, alps_without_image=0)
    images: dict[int, dict[str, Any]] = {}
    owners: dict[str, str] = {}
    dataset_ids: set[str] = set()
    categories: dict[str, int] = {}
    with atomic_file(out) as stream:
        stream.write(b'{"annotations":[')
        for shard, table in selection.shards(dataset):
            for dataset_id, image_id, rows in by_image(table):
                picture = pictures.find(dataset_id, image_id)
                if picture is None:
                    counts.update(images_missing=1, alps_without_image=len(rows))
                    continue
                number = picture.coco_id if picture.coco_id is not None else len(images) + 1
                _claim(owners, picture, f"{dataset_id} {image_id}")
                dataset_ids.add(dataset_id)
                images[number] = {
                    "id": number,
                    "file_name": picture.file_name,
                    "width": picture.width,
                    "height": picture.height,
                    "split": shard.split,
                }
                for row in rows:
                    category = label_of(row, labels)
                    entry = {
                        "id": counts["alps"] + 1,
                        "image_id": number,
                        "category_id": categories.setdefault(category, len(categories) + 1),
                        **_annotation(row, selection, picture, labels),
                    }
                    stream.write(b",\n" if counts["alps"] else b"\n")
                    stream.write(_encode(entry))
                    counts["alps"] += 1
        stream.write(b'],"images":' + _encode(list(images.values())))
        named = [{"id": n, "name": name, "supercategory": ""} for name, n in categories.items()]
        stream.write(b',"categories":' + _encode(named) + b',"licenses":[],"info":')
        stream.write(_encode(_info(dataset, selection, labels, dataset_ids)) + b"}\n")
        counts.update(images=len(images), categories=len(categories))
        refuse_nothing(counts)
    return counts


def _annotation(
    row: dict[str, Any], selection: Selection, picture: Picture, labels: Labels
) -> dict[str, Any]:
    x, y, width, height = pixel_box(row, BOXES[selection.box], picture)
    entry: dict[str, Any] = {
        "bbox": [x, y, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "segmentation": [],
        "alp_id": row["alp_id"],
        "phrase": row["phrase"],
        "score": round(row["score"], 6),
    }
    if labels == "caption":
        entry["caption"] = row["phrase"]
    return entry


def _claim(owners: dict[str, str], picture: Picture, owner: str) -> None:
    """Two data sets may not speak of one file: their ids mean different images."""
    before = owners.setdefault(picture.file_name, owner)
    if before != owner:
        raise UsageError(
            f"{picture.file_name}: named by {before!r} and by {owner!r}; select one with --dataset or --split"
        )


def _info(
    dataset: AlpDataset, selection: Selection, labels: Labels, dataset_ids: set[str]
) -> dict[str, Any]:
    simulated = any(origin.simulated for origin in origins_of(dataset_ids))
    return {
        "description": (
            f"{'Simulated a' if simulated else 'A'}pproximately localized phrases: boxes mark where a"
            " pointer was while a phrase was spoken. No ground truth."
        ),
        "simulated": simulated,
        "datasets": sorted(dataset_ids),
        "fingerprint": dataset.manifest.fingerprint,
        "selection": msgspec.to_builtins(selection),
        "labels": labels,
    }
