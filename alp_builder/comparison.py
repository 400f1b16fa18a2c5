"""Two builds side by side: what changed in choices, by reason, by noun and box by box.

ALPs keep their id over builds (`alp_id`: narrative, phrase, component), so each one of the new build is either
kept, kept with another box, or new; each one of the old build that is not in the new one is gone. Phrases that
gave no ALP stand in no shard; of them the two manifests say how many there were for each reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from alp_builder.audit.overlap import box_overlap
from alp_builder.reader import AlpDataset
from alp_builder.schema import BOX

if TYPE_CHECKING:
    import pandas as pd

SAME_BOX_IOU = 0.9999
"""Boxes with at least this intersection over union count as the same box."""


@dataclass(frozen=True)
class Change:
    """A value before and after; `None` where one side lacks it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class NounChange:
    """What became of the ALPs of one head lemma.

    Attributes:
        noun: The head lemma.
        before: ALPs in the old build.
        after: ALPs in the new one.
        gone: Only in the old one.
        new: Only in the new one.
        moved: In both, with another box.
    """

    noun: str
    before: int
    after: int
    gone: int
    new: int
    moved: int

    @property
    def touched(self) -> int:
        """ALPs that are not the same in both."""
        return self.gone + self.new + self.moved


@dataclass(frozen=True)
class Comparison:
    """What differs between an old and a new build.

    Attributes:
        choices: Fields of the configuration that differ, by dotted name.
        versions: Versions that differ.
        same_inputs: Whether both read the same bytes for the same splits.
        counts: Counts of the manifests that differ, such as `dropped.no_points`.
        before: ALPs of the old build.
        after: ALPs of the new one.
        same: ALPs in both with the same box.
        moved: ALPs in both with another box.
        gone: ALPs only in the old build.
        new: ALPs only in the new one.
        moved_iou: Mean IoU of old and new box over the moved ones; NaN where there are none.
        score: Mean score before and after, over the ALPs of both; NaN where there are none.
        nouns: Nouns with a difference, most touched first.
    """

    choices: list[Change]
    versions: list[Change]
    same_inputs: bool
    counts: list[Change]
    before: int
    after: int
    same: int
    moved: int
    gone: int
    new: int
    moved_iou: float
    score: tuple[float, float]
    nouns: list[NounChange]


def compare(old: AlpDataset, new: AlpDataset) -> Comparison:
    """Compares two finished data sets.

    Args:
        old: The reference.
        new: What is compared with it.

    Returns:
        What differs. Memory: about 100 bytes an ALP of both.
    """
    joined = _frame(old).merge(_frame(new), how="outer", on="alp_id", suffixes=("_old", "_new"))
    in_old, in_new = joined["score_old"].notna(), joined["score_new"].notna()
    both = (in_old & in_new).to_numpy()
    boxes = [
        joined.loc[both, [f"{side}_{when}" for side in BOX]].to_numpy(np.float64)
        for when in ("old", "new")
    ]
    iou = box_overlap(*boxes).iou
    moved = np.zeros(len(joined), bool)
    moved[both] = iou < SAME_BOX_IOU
    joined["noun"] = joined["head_lemma_new"].fillna(joined["head_lemma_old"])
    joined = joined.assign(before=in_old, after=in_new, gone=~in_new, new=~in_old, moved=moved)
    flags = ["before", "after", "gone", "new", "moved"]
    by_noun = joined.groupby("noun")[flags].sum().astype(int)
    nouns = [NounChange(str(name), *row) for name, *row in by_noun.itertuples()]
    scores = joined.loc[both, ["score_old", "score_new"]].to_numpy(np.float64)
    means = scores.mean(axis=0).tolist() if len(scores) else [np.nan, np.nan]
    shifted = iou[iou < SAME_BOX_IOU]
    left, right = old.manifest, new.manifest
    return Comparison(
        choices=_changes(flat(left.config), flat(right.config)),
        versions=_changes(left.versions, right.versions),
        same_inputs=[(i.split, i.sha256) for i in left.inputs]
        == [(i.split, i.sha256) for i in right.inputs],
        counts=_changes(left.counts, right.counts, missing=0),
        before=int(in_old.sum()),
        after=int(in_new.sum()),
        same=int(both.sum() - moved.sum()),
        moved=int(moved.sum()),
        gone=int((~in_new).sum()),
        new=int((~in_old).sum()),
        moved_iou=float(shifted.mean()) if len(shifted) else float("nan"),
        score=(means[0], means[1]),
        nouns=sorted((n for n in nouns if n.touched), key=lambda n: (-n.touched, n.noun)),
    )


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of a nested configuration by dotted name; of a calibration its hash alone."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if name == "calibration" and isinstance(value, dict):
            found["calibration.sha256"] = value.get("sha256", "")
        elif isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _frame(dataset: AlpDataset) -> pd.DataFrame:
    """Id, noun, score and box of every ALP."""
    import pandas as pd  # slow to import, and every verb and worker imports this module

    columns = ["alp_id", "head_lemma", "score", *BOX]
    parts = [table.select(columns) for table in dataset.shards()]
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas() if parts else pd.DataFrame()
    return frame.reindex(columns=columns)


def _changes(before: dict[str, Any], after: dict[str, Any], missing: Any = None) -> list[Change]:
    """The names whose values differ, in the order of the old ones, then of the new ones."""
    found = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, missing), after.get(name, missing)
        if old != new:
            found.append(Change(name, old, new))
    return found
