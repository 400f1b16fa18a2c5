"""Figures of a data set, gathered shard by shard so that any size fits memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alp_builder.reader import AlpDataset

BAR_BINS = 20
"""Bins of a column's histogram."""

_SAMPLE = 2_000_000  # most values of a column kept for its quantiles; more add nothing that shows


@dataclass
class ColumnStatistics:
    """A column: what the schema says of it and how its values lie.

    Attributes:
        name: Column name.
        type: Arrow type.
        doc: What a value means.
        unit: Unit, may be empty.
        low: Smallest allowed value as text, may be empty.
        high: Largest allowed value as text, may be empty.
        quantiles: 5 %, 50 %, 95 % of a numeric column, else empty.
        histogram: Counts in `BAR_BINS` equal bins from the smallest value to the 99 % quantile.
    """

    name: str
    type: str
    doc: str
    unit: str
    low: str
    high: str
    quantiles: tuple[float, ...]
    histogram: list[int]


@dataclass
class Statistics:
    """Figures of a data set.

    Attributes:
        rows: ALPs.
        images: Images with an ALP.
        narratives: Narratives with an ALP.
        splits: ALPs by split.
        datasets: ALPs by data set.
        top_nouns: The most frequent head lemmas and their counts.
        columns: Every column.
    """

    rows: int
    images: int
    narratives: int
    splits: dict[str, int]
    datasets: dict[str, int]
    top_nouns: list[tuple[str, int]]
    columns: list[ColumnStatistics]


def collect(dataset: AlpDataset, top: int = 20) -> Statistics:
    """Gathers the figures of a data set.

    Args:
        dataset: A finished data set.
        top: How many nouns to list.

    Returns:
        The figures.
    """
    nouns: Counter[str] = Counter()
    datasets: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    images = narratives = 0
    samples: dict[str, list[npt.NDArray[np.float64]]] = {}
    schema: pa.Schema | None = None
    # Every so many rows: the first ones of a shard would be those of its first data set and images.
    chosen = slice(None, None, -(-dataset.num_rows // _SAMPLE) or 1)
    for shard, table in zip(dataset.manifest.shards, dataset.shards(), strict=True):
        schema = table.schema
        nouns.update(_counts(table["head_lemma"]))
        datasets.update(_counts(table["dataset_id"]))
        splits[shard.split] += table.num_rows
        # An image lies in one shard of a split, and so does a narrative.
        images += table.group_by(["dataset_id", "image_id"]).aggregate([]).num_rows
        narratives += pc.count_distinct(table["narrative_id"]).as_py()
        for field in table.schema:
            if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
                samples.setdefault(field.name, []).append(table[field.name].to_numpy()[chosen])
    columns = [_column(field, samples.get(field.name)) for field in schema or []]
    return Statistics(
        rows=dataset.num_rows,
        images=images,
        narratives=narratives,
        splits=dict(splits),
        datasets=dict(datasets.most_common()),
        top_nouns=sorted(nouns.items(), key=lambda item: (-item[1], item[0]))[:top],
        columns=columns,
    )


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    found = pc.value_counts(column)
    names, numbers = found.field("values").to_pylist(), found.field("counts").to_pylist()
    return dict(zip(names, numbers, strict=True))


def _column(field: pa.Field, parts: list[npt.NDArray[np.float64]] | None) -> ColumnStatistics:
    metadata = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
    quantiles: tuple[float, ...] = ()
    histogram: list[int] = []
    if parts:
        values = np.concatenate(parts)
        if len(values):
            low, q05, q50, q95, q99 = np.percentile(values, [0, 5, 50, 95, 99]).tolist()
            quantiles = (q05, q50, q95)
            edge = q99 if q99 > low else low + 1
            histogram = np.histogram(values, BAR_BINS, (low, edge))[0].tolist()
    return ColumnStatistics(
        name=field.name,
        type=str(field.type),
        doc=metadata.get("doc", ""),
        unit=metadata.get("unit", ""),
        low=metadata.get("min", ""),
        high=metadata.get("max", ""),
        quantiles=quantiles,
        histogram=histogram,
    )
