"""The YAML block of a Hugging Face dataset card: licence, size, splits, features.

Written line by line: every value that comes from data or from a user is a JSON string, which is a YAML string
too.
"""

from __future__ import annotations

import json

from alp_builder.cards.figures import CardFigures
from alp_builder.cards.words import card_license, title
from alp_builder.schema import Column

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)
_HUB_LICENSES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"}
_DTYPES = {"float": "float32"}  # datasets' names where they differ from Arrow's


def front_matter(figures: CardFigures, columns: tuple[Column, ...]) -> list[str]:
    """The lines of the block, fences included.

    Args:
        figures: The card's figures.
        columns: The columns of the shards.

    Returns:
        Lines without line ends.
    """
    license_id = card_license(figures)
    lines = ["---", f"pretty_name: {json.dumps(title(figures))}"]
    if license_id in _HUB_LICENSES:
        lines += [f"license: {license_id}"]
    else:
        lines += ["license: other", f"license_name: {json.dumps(license_id)}"]
    lines += ["language:", "- en", "annotations_creators:", "- machine-generated"]
    lines += ["task_categories:", "- object-detection", "- zero-shot-object-detection"]
    lines += ["- image-segmentation", "size_categories:", f"- {size_category(figures.alps)}"]
    lines += ["tags:", "- localized-narratives", "- phrase-grounding", "- weak-supervision"]
    lines += ["- simulated"] if figures.simulated else []
    lines += ["configs:", "- config_name: default", "  data_files:"]
    for split in figures.splits:
        lines += [f"  - split: {split}", f"    path: {json.dumps(f'split={split}/*.parquet')}"]
    lines += ["dataset_info:", "  features:"]
    for column in columns:
        lines.append(f"  - name: {column.name}")
        kind = str(getattr(column.type, "value_type", column.type))
        dtype = _DTYPES.get(kind, kind)
        is_list = hasattr(column.type, "value_type")
        lines.append(f"    list: {dtype}" if is_list else f"    dtype: {dtype}")
    lines.append("  splits:")
    for split, rows in figures.splits.items():
        size = figures.arrow_bytes[split]
        lines += [f"  - name: {split}", f"    num_bytes: {size}", f"    num_examples: {rows}"]
    lines.append(f"  download_size: {sum(shard.size for shard in figures.shards)}")
    return [*lines, "---", ""]


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows.

    >>> size_category(999), size_category(1000), size_category(10**9)
    ('n<1K', '1K<n<10K', '100M<n<1B')
    """
    return next((name for limit, name in _SIZES if rows < limit), "100M<n<1B")
