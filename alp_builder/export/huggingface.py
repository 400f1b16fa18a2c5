"""A folder that `datasets.load_dataset(OUT)` opens: Parquet with a row an image, and a README with its features.

`objects` is a list of structs, one an ALP, as object detection data sets on the Hub have it. `box` is
normalised xyxy. Where there is a folder of images they are embedded as they are (`image`), with their size.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alp_builder.cards.origins import UNKNOWN_LICENSE, license_of, origins_of
from alp_builder.export.pictures import Pictures
from alp_builder.export.rows import Labels, by_image, label_of
from alp_builder.export.selection import BOXES, Selection
from alp_builder.files import atomic_file, write_atomic
from alp_builder.reader import AlpDataset

OBJECT = pa.struct(
    [
        ("alp_id", pa.string()),
        ("narrative_id", pa.string()),
        ("label", pa.string()),
        ("phrase", pa.string()),
        ("is_plural", pa.bool_()),
        ("score", pa.float32()),
        ("box", pa.list_(pa.float32())),
    ]
)
"""One ALP; `box` is x0, y0, x1, y1 as fractions of the image."""

_IMAGE = [
    ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ("width", pa.int32()),
    ("height", pa.int32()),
]
_CORE = [
    ("dataset_id", pa.string()),
    ("image_id", pa.string()),
    ("captions", pa.list_(pa.string())),
    ("objects", pa.list_(OBJECT)),
]
ROWS_PER_GROUP = 100
"""Images of a row group: readers hold one at a time."""


def write_huggingface(
    dataset: AlpDataset, out: Path, selection: Selection, pictures: Pictures | None, labels: Labels
) -> Counter[str]:
    """Writes the folder's files.

    Args:
        dataset: A finished data set.
        out: The folder, which exists.
        selection: What is exported.
        pictures: A folder of images to embed, or nothing.
        labels: What labels are: nouns, phrases, or one label.

    Returns:
        Counts: `alps`, `images`, `images_missing`, `alps_without_image`.
    """
    counts: Counter[str] = Counter(alps=0, images=0, images_missing=0, alps_without_image=0)
    schema = pa.schema([*(_IMAGE if pictures else []), *_CORE])
    files: Counter[str] = Counter()
    origins: set[str] = set()
    for shard, table in selection.shards(dataset):
        path = out / "data" / f"{shard.split}-{files[shard.split]:05d}.parquet"
        with (
            atomic_file(path) as stream,
            pq.ParquetWriter(stream, schema, compression="zstd") as writer,
        ):
            rows: list[dict[str, Any]] = []
            for dataset_id, image_id, alps in by_image(table):
                row = _row(dataset_id, image_id, alps, selection, labels)
                if pictures and not _embed(row, pictures):
                    counts.update(images_missing=1, alps_without_image=len(alps))
                    continue
                origins.add(dataset_id)
                counts.update(images=1, alps=len(alps))
                rows.append(row)
                if len(rows) == ROWS_PER_GROUP:
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    rows = []
            writer.write_table(pa.Table.from_pylist(rows, schema))
        files[shard.split] += 1
    write_atomic(out / "README.md", _readme(files, origins, schema).encode())
    return counts


def _row(
    dataset_id: str,
    image_id: str,
    alps: list[dict[str, Any]],
    selection: Selection,
    labels: Labels,
) -> dict[str, Any]:
    box = BOXES[selection.box]
    return {
        "dataset_id": dataset_id,
        "image_id": image_id,
        "captions": list(dict.fromkeys(alp["caption"] for alp in alps)),
        "objects": [
            {
                **{name: alp[name] for name in ("alp_id", "narrative_id", "phrase", "is_plural")},
                "label": label_of(alp, labels),
                "score": alp["score"],
                "box": [alp[name] for name in box],
            }
            for alp in alps
        ],
    }


def _embed(row: dict[str, Any], pictures: Pictures) -> bool:
    """Puts the image into its row; returns whether there is one."""
    picture = pictures.find(row["dataset_id"], row["image_id"])
    if picture is None or picture.path is None:
        return False
    data = picture.path.read_bytes()
    row |= {
        "image": {"bytes": data, "path": picture.path.name},
        "width": picture.width,
        "height": picture.height,
    }
    return True


def _readme(files: Counter[str], origins: set[str], schema: pa.Schema) -> str:
    """Front matter that names files and features, and what the data are."""
    known = origins_of(origins)
    license_id = license_of(known)
    lines = ["---", f"license: {license_id if license_id != UNKNOWN_LICENSE else 'other'}"]
    lines += ["task_categories:", "- object-detection", "configs:", "- config_name: default"]
    lines.append("  data_files:")
    for split in files:
        lines += [f"  - split: {split}", f'    path: "data/{split}-*.parquet"']
    lines += ["dataset_info:", "  features:", *_features(schema), "---", ""]
    simulated = any(origin.simulated for origin in known)
    return "\n".join(
        [
            *lines,
            "# Approximately localized phrases, a row an image",
            "",
            *(["**Simulated data.**", ""] if simulated else []),
            "`objects` lists the phrases of an image; `box` is x0, y0, x1, y1 as fractions of its sides. Boxes",
            "mark where a pointer was while a phrase was spoken: they are no ground truth.",
            "",
        ]
    )


def _features(schema: pa.Schema) -> list[str]:
    """The features as the Hub's YAML writes them."""
    lines = []
    for field in schema:
        lines.append(f"  - name: {field.name}")
        if field.name == "image":
            lines.append("    dtype: image")
        elif field.name == "objects":
            lines.append("    list:")
            for part in OBJECT:
                kind = "list: float32" if part.name == "box" else f"dtype: {_dtype(part.type)}"
                lines += [f"    - name: {part.name}", f"      {kind}"]
        elif field.name == "captions":
            lines.append("    list: string")
        else:
            lines.append(f"    dtype: {_dtype(field.type)}")
    return lines


def _dtype(kind: pa.DataType) -> str:
    return "float32" if pa.types.is_float32(kind) else str(kind)
