"""Which ALPs are exported, and under which label and box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from alp_builder.errors import UsageError
from alp_builder.reader import AlpDataset
from alp_builder.schema import BOX, CALIBRATED_BOX, TIGHT_BOX
from alp_builder.shards import ShardInfo

BoxName: TypeAlias = Literal["raw", "tight", "calibrated"]

BOXES: dict[str, tuple[str, ...]] = {
    "raw": BOX,
    "tight": TIGHT_BOX,
    "calibrated": CALIBRATED_BOX,
}
"""Columns of each box, normalised xyxy."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What of a data set is exported.

    Attributes:
        split: Only this split.
        min_score: Only ALPs of at least this score.
        nouns: Only these head lemmas, letter case ignored; empty for all.
        datasets: Only these data sets (`dataset_id`); empty for all.
        singular: No plural phrases.
        main: Of each phrase the main component alone.
        box: Which of the boxes.
    """

    split: str | None = None
    min_score: float = 0.0
    nouns: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    singular: bool = False
    main: bool = False
    box: BoxName = "raw"

    def keep(self, table: pa.Table) -> pa.Table:
        """The rows of a table that are selected, in their order."""
        kept = pc.greater_equal(table["score"], pa.scalar(self.min_score, pa.float32()))
        if self.nouns:
            wanted = pa.array([noun.lower() for noun in self.nouns])
            kept = pc.and_(kept, pc.is_in(pc.utf8_lower(table["head_lemma"]), value_set=wanted))
        if self.datasets:
            kept = pc.and_(kept, pc.is_in(table["dataset_id"], value_set=pa.array(self.datasets)))
        if self.singular:
            kept = pc.and_(kept, pc.invert(table["is_plural"]))
        if self.main:
            kept = pc.and_(kept, pc.equal(table["component_index"], 0))
        return table.filter(kept)

    def shards(self, dataset: AlpDataset) -> Iterator[tuple[ShardInfo, pa.Table]]:
        """Yields each shard and the selected rows of it; an image's rows are in one of them.

        Raises:
            UsageError: If there is no such split, or the shards lack the box.
        """
        infos = dataset.infos(self.split)
        if self.box == "calibrated" and "calibrated" not in dataset.manifest.groups:
            raise UsageError(
                f"{dataset.name}: no calibrated boxes; build with `--boxes calibrated=FILE`"
            )
        for shard, table in zip(infos, dataset.shards(self.split), strict=True):
            yield shard, self.keep(table)
