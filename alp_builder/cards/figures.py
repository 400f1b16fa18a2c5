"""Every number of a data card, gathered shard by shard.

Nothing here depends on the machine, the time or where the data set lies: what a build of the same inputs and
choices gives again is in, the rest is out (the manifest's `code` hash changes with every edit of the builder
and its fingerprint with it; folders of inputs are the builder's own). Measured values are rounded to
`SIGNIFICANT` digits, so that the last bits of a processor's arithmetic do not show.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alp_builder.cards.classes import ClassCounter
from alp_builder.cards.origins import origins_of
from alp_builder.reader import AlpDataset
from alp_builder.reasons import dropped_phrases
from alp_builder.schema import BOX
from alp_builder.shards import ShardInfo
from alp_builder.statistics import collect

SIGNIFICANT = 4
"""Digits of measured values that a card keeps."""

TOP_NOUNS = 40
"""Nouns that a card lists."""

MAP_CELLS = 32
"""Cells on a side of the map of box positions."""

SIDE_BINS = 25
"""Bins of box sides and of quality, from 0 to 1."""

MANY_PHRASES = 25
"""Narratives of this many phrases or more share the last bin."""


class CardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What shards cannot say of themselves; kept in the card.

    Attributes:
        name: Short name of the data set, such as "alps-coco-val".
        location: Where the shards are, as prefix of their paths: a URL, or a path relative to the card.
        license: SPDX identifier; empty for the one that follows from the data sets narrated.
        url: Home page.
        published: Date of publication, `YYYY-MM-DD`, or empty.
        simulated: Whether the narratives are simulated though their data set is not.
    """

    name: str
    location: str
    license: str = ""
    url: str = ""
    published: str = ""
    simulated: bool = False


class CardInput(msgspec.Struct, frozen=True, kw_only=True):
    """An input as a card names it: file name without folder, split, bytes, hash, lines."""

    file: str
    split: str
    size: int
    sha256: str
    lines: int


class CardColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column: what the schema says of it, and the 5 %, 50 % and 95 % quantiles of numbers."""

    name: str
    type: str
    doc: str
    unit: str
    low: str
    high: str
    quantiles: list[float]


class Distributions(msgspec.Struct, frozen=True, kw_only=True):
    """What the pictures show, as counts.

    Attributes:
        phrases_per_narrative: Narratives with 1, 2, ... phrases; the last bin is `MANY_PHRASES` and more.
        width: Boxes by width in `SIDE_BINS` bins from 0 to 1 of the image.
        height: Boxes by height, likewise.
        score: ALPs by score, likewise.
        position: Boxes that cover each cell of a `MAP_CELLS` x `MAP_CELLS` grid, rows from the top.
        components: Phrases with 1, 2, ... ALPs, the last bin is 8 and more.
    """

    phrases_per_narrative: list[int]
    width: list[int]
    height: list[int]
    score: list[int]
    position: list[list[int]]
    components: list[int]


class CardFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All of a card, as `figures.json`.

    Attributes:
        settings: What the shards cannot say.
        simulated: Whether any narrative is simulated.
        families: Known data sets narrated, see `origins`.
        schema_version: Version of the columns.
        groups: Column groups.
        alps: ALPs.
        phrases: Phrases with an ALP.
        narratives: Narratives with an ALP.
        images: Images with an ALP.
        splits: ALPs by split.
        datasets: ALPs by `dataset_id`.
        arrow_bytes: Bytes in memory by split, as `datasets` counts them.
        plural_share: Share of phrases that are plural.
        counts: Narratives, phrases and ALPs by what became of them.
        columns: Every column.
        top_nouns: Head lemmas and their ALPs.
        distinct_nouns: Number of head lemmas.
        classes: Class, phrases and images; empty where no vocabulary was given.
        distributions: What the pictures show.
        example: The ALP of median score, as a row.
        config: Every choice of the build that decides what is written.
        versions: Of what made it.
        inputs: What it was made of.
        shards: The files.
    """

    settings: CardSettings
    simulated: bool
    families: list[str]
    schema_version: int
    groups: list[str]
    alps: int
    phrases: int
    narratives: int
    images: int
    splits: dict[str, int]
    datasets: dict[str, int]
    arrow_bytes: dict[str, int]
    plural_share: float
    counts: dict[str, int]
    columns: list[CardColumn]
    top_nouns: list[tuple[str, int]]
    distinct_nouns: int
    classes: list[tuple[str, int, int]]
    distributions: Distributions
    example: dict[str, Any]
    config: dict[str, Any]
    versions: dict[str, str]
    inputs: list[CardInput]
    shards: list[ShardInfo]

    @property
    def dropped(self) -> list[tuple[str, int]]:
        """Phrases without ALP by reason, the most frequent first."""
        return dropped_phrases(self.counts)

    @property
    def classes_named(self) -> int:
        """Classes of the vocabulary that a phrase names."""
        return sum(1 for _, phrases, _ in self.classes if phrases)


def gather_figures(
    dataset: AlpDataset, settings: CardSettings, classes: tuple[str, ...] = ()
) -> CardFigures:
    """Gathers a card's figures.

    Args:
        dataset: A finished data set.
        settings: What it cannot say of itself.
        classes: Names of a vocabulary to count, such as the 300 classes of Open Images with masks.

    Returns:
        The figures.
    """
    manifest = dataset.manifest
    statistics = collect(dataset, top=1_000_000)
    sums = _Sums(classes)
    arrow_bytes: Counter[str] = Counter()
    example: dict[str, Any] = {}
    for shard, table in zip(manifest.shards, dataset.shards(), strict=True):
        sums.add(table)
        arrow_bytes[shard.split] += table.nbytes
        example = example or _example(table)
    families = origins_of(statistics.datasets)
    return CardFigures(
        settings=settings,
        simulated=settings.simulated or any(origin.simulated for origin in families),
        families=[origin.family for origin in families],
        schema_version=manifest.schema_version,
        groups=manifest.groups,
        alps=statistics.rows,
        phrases=sums.phrases,
        narratives=statistics.narratives,
        images=statistics.images,
        splits=dict(sorted(statistics.splits.items())),
        datasets=dict(sorted(statistics.datasets.items())),
        arrow_bytes=dict(sorted(arrow_bytes.items())),
        plural_share=rounded(sums.plural / sums.phrases if sums.phrases else 0.0),
        counts=dict(sorted(manifest.counts.items())),
        columns=[
            CardColumn(
                name=column.name,
                type=column.type,
                doc=column.doc,
                unit=column.unit,
                low=column.low,
                high=column.high,
                quantiles=[rounded(value) for value in column.quantiles],
            )
            for column in statistics.columns
        ],
        top_nouns=statistics.top_nouns[:TOP_NOUNS],
        distinct_nouns=len(statistics.top_nouns),
        classes=sums.counter.rows(),
        distributions=sums.distributions(),
        example=example,
        config=manifest.config,
        versions={name: v for name, v in sorted(manifest.versions.items()) if name != "code"},
        inputs=[
            CardInput(
                file=PurePosixPath(urlsplit(entry.location).path).name,
                split=entry.split,
                size=entry.size,
                sha256=entry.sha256,
                lines=entry.lines,
            )
            for entry in manifest.inputs
        ],
        shards=manifest.shards,
    )


def rounded(value: float) -> float:
    """The value to `SIGNIFICANT` digits."""
    return float(f"{value:.{SIGNIFICANT}g}")


class _Sums:
    """Running counts over shards; a narrative and a phrase lie in one shard whole."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.counter = ClassCounter(classes)
        self.phrases = self.plural = 0
        self._per_narrative: Counter[int] = Counter()
        self._components: Counter[int] = Counter()
        self._sides = {name: np.zeros(SIDE_BINS, np.int64) for name in ("width", "height", "score")}
        # Corners of boxes on the grid; their double cumulative sum counts the boxes over each cell.
        self._corners = np.zeros((MAP_CELLS + 1, MAP_CELLS + 1), np.int64)

    def add(self, table: pa.Table) -> None:
        """Counts the rows of a shard."""
        if not table.num_rows:
            return
        self.counter.add(table)
        phrases = table.group_by(["narrative_id", "phrase_index"]).aggregate([("alp_id", "count")])
        self.phrases += phrases.num_rows
        mains = pc.equal(table["component_index"], 0)
        self.plural += pc.sum(table["is_plural"].filter(mains)).as_py() or 0
        self._components.update(phrases["alp_id_count"].to_pylist())
        found = pc.value_counts(phrases["narrative_id"]).field("counts")
        self._per_narrative.update(found.to_pylist())
        x0, y0, x1, y1 = (table[name].to_numpy() for name in BOX)
        for name, values in (
            ("width", x1 - x0),
            ("height", y1 - y0),
            ("score", table["score"].to_numpy()),
        ):
            self._sides[name] += np.histogram(values, SIDE_BINS, (0, 1))[0]
        left, top = (np.floor(v * MAP_CELLS).astype(int).clip(0, MAP_CELLS - 1) for v in (x0, y0))
        right, low = (np.ceil(v * MAP_CELLS).astype(int).clip(1, MAP_CELLS) for v in (x1, y1))
        for rows, columns, sign in (
            (top, left, 1),
            (top, right, -1),
            (low, left, -1),
            (low, right, 1),
        ):
            np.add.at(self._corners, (rows, columns), sign)

    def distributions(self) -> Distributions:
        """The counts as the card keeps them."""
        position = self._corners.cumsum(0).cumsum(1)[:MAP_CELLS, :MAP_CELLS]
        return Distributions(
            phrases_per_narrative=_bins(self._per_narrative, MANY_PHRASES),
            width=self._sides["width"].tolist(),
            height=self._sides["height"].tolist(),
            score=self._sides["score"].tolist(),
            position=position.tolist(),
            components=_bins(self._components, 8),
        )


def _bins(counts: Counter[int], last: int) -> list[int]:
    """How often 1, 2, ... `last` or more were counted."""
    bins = [0] * last
    for value, number in counts.items():
        bins[min(value, last) - 1] += number
    return bins


def _example(table: pa.Table) -> dict[str, Any]:
    """A typical row, that of median score; nothing where there are no rows."""
    if not table.num_rows:
        return {}
    scores: npt.NDArray[np.float64] = table["score"].to_numpy()
    row = int(np.argsort(scores, kind="stable")[len(scores) // 2])
    found: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
    return {
        name: rounded(value) if isinstance(value, float) else value
        for name, value in found.items()
        if not isinstance(value, list)
    }
