"""ALP data sets without narratives behind them: rows given or random, in the builder's own format.

For benchmarks of the loader at sizes that would take hours to build, and for tests. The manifest says that the
rows are synthetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from alp_builder.config import ShardConfig
from alp_builder.manifest import META_FOLDER, QUARANTINE, Manifest, QuarantineInfo, write_manifest
from alp_builder.schema import SCHEMA_VERSION, arrow_schema
from alp_builder.shards import ShardInfo, shard_path, write_shard

_DEFAULTS: Mapping[pa.DataType, Any] = {
    pa.string(): "",
    pa.int64(): 0,
    pa.int32(): 1,
    pa.float32(): 0.5,
    pa.bool_(): False,
}
"""Allowed values for the columns nobody gave."""

ROWS_PER_SHARD = 1_000_000
WORDS = 20_000
"""Different words random phrases are made of."""


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of the ALP schema with the columns given, and something allowed in the others."""
    schema = arrow_schema()
    columns = {f.name: [row.get(f.name, _DEFAULTS[f.type]) for row in rows] for f in schema}
    return pa.table(columns, schema=schema)


def write_data_set(
    folder: Path, tables: Iterable[pa.Table], *, count: int, split: str = "train"
) -> Path:
    """Write tables as the shards of a finished data set.

    Args:
        folder: Where; made if it is not there.
        tables: One table of the ALP schema a shard.
        count: How many tables there are.
        split: Name of the split.

    Returns:
        The folder.
    """
    shards: list[ShardInfo] = []
    (folder / f"split={split}").mkdir(parents=True, exist_ok=True)
    for index, table in enumerate(tables):
        relative = shard_path(split, index, count)
        shards.append(write_shard(table, folder / relative, relative, split, ShardConfig()))
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        groups=["core"],
        fingerprint="synthetic",
        config={"synthetic": True},
        versions={},
        inputs=[],
        shards=shards,
        quarantine=QuarantineInfo(path=f"{META_FOLDER}/{QUARANTINE}", records=0, sha256=""),
        counts={"alps": sum(shard.rows for shard in shards)},
    )
    (folder / "_alps").mkdir(exist_ok=True)
    write_manifest(folder, manifest)
    return folder


def random_tables(alps: int, *, per_image: int = 12, seed: int = 0) -> Iterator[pa.Table]:
    """Random ALPs, a million a shard: phrases of two words, ids as Open Images has them.

    Args:
        alps: How many.
        per_image: ALPs of an image; narratives of 40 words give about a dozen.
        seed: Seed of boxes and words.
    """
    schema = arrow_schema()
    for start in range(0, alps, ROWS_PER_SHARD):
        rows = np.arange(start, min(start + ROWS_PER_SHARD, alps))
        rng = np.random.default_rng([seed, start])
        low, size = rng.random((2, len(rows), 2), np.float32)
        high = np.minimum(low + size * 0.5 + 0.01, 1)
        # Words follow Zipf's law, so that some phrases are common and most are rare.
        nouns, adjectives = np.minimum(rng.zipf(1.3, (2, len(rows))), WORDS)
        heads = pa.array([f"noun{noun}" for noun in nouns])
        given: dict[str, pa.Array] = {
            "dataset_id": pa.array(["open_images_train"]).take(pa.array(np.zeros(len(rows), int))),
            "image_id": pa.array([f"{image:016x}" for image in rows // per_image]),
            "phrase_text": pa.array(
                [f"adjective{a} noun{n}" for a, n in zip(adjectives, nouns, strict=True)]
            ),
            "head_lemma": heads,
            "x0": pa.array(low[:, 0] * 0.9),
            "y0": pa.array(low[:, 1] * 0.9),
            "x1": pa.array(high[:, 0]),
            "y1": pa.array(high[:, 1]),
            "score": pa.array(rng.random(len(rows), np.float32)),
            "is_plural": pa.array(rng.random(len(rows)) < 0.2),
        }
        rest = pa.array(np.zeros(len(rows), int))
        columns = [
            given[f.name] if f.name in given else pa.array([_DEFAULTS[f.type]], f.type).take(rest)
            for f in schema
        ]
        yield pa.table(columns, schema=schema)
