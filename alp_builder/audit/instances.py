"""How boxes fare against the instances their phrases mean: the measures of the audit against masks.

For each noun its main box is compared with that of its instances which it overlaps best (by IoU of the boxes).
Beside the nouns stand the **narrated instances**: every instance that a narrative means, once for each
narrative, with the largest share of its mask under any ALP of a phrase that means it; 0 where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from alp_builder.arrays import Bools, Floats, Ints
from alp_builder.audit.coco import CocoTruth
from alp_builder.audit.matching import Matches
from alp_builder.audit.overlap import box_overlap
from alp_builder.schema import BOX

MEASURES = ("mask_coverage", "iou", "coverage", "area_ratio", "centre_inside", "centre_on_mask")
"""Fields of `InstanceScores` that are averaged."""


def box_rows(table: pa.Table, names: tuple[str, ...] = BOX) -> Floats:
    """The boxes of a table's R rows, float64 (R, 4), normalised xyxy."""
    return np.stack([table[name].to_numpy().astype(np.float64) for name in names], 1)


@dataclass(frozen=True)
class InstanceScores:
    """How M nouns fared under one rule; measures are NaN for nouns not found.

    Attributes:
        found: bool (M,).
        instance: int64 (M,), the instance the main box was compared with; the first meant where not
            found.
        mask_coverage: float64 (M,), share of the mask's pixels under the box.
        iou: float64 (M,), of the box and the instance's box.
        coverage: float64 (M,), share of the instance's box under the box.
        area_ratio: float64 (M,), the box's area over that of the instance's box.
        centre_inside: float64 (M,), 1 where the box's centre lies in the box of an instance meant.
        centre_on_mask: float64 (M,), 1 where it lies on the mask of one.
    """

    found: Bools
    instance: Ints
    mask_coverage: Floats
    iou: Floats
    coverage: Floats
    area_ratio: Floats
    centre_inside: Floats
    centre_on_mask: Floats


def score_instances(
    matches: Matches, boxes: Floats, coco: CocoTruth, masks: bool = True
) -> InstanceScores:
    """Compares each noun's main box with the instances it means.

    Args:
        matches: M nouns.
        boxes: float64 (R, 4), normalised xyxy, the boxes of all rows under the rule to be judged.
        coco: The instances.
        masks: Whether to measure on masks; without, those measures are NaN (and it is much faster).

    Returns:
        The scores.
    """
    count = len(matches.instances)
    instance = np.array([things[0] for things in matches.instances], np.int64)
    values = np.full((6, count), np.nan)
    owner = np.repeat(np.arange(count), [len(things) for things in matches.instances])
    things = np.concatenate([*matches.instances, np.zeros(0, np.int64)])
    known = matches.row[owner] >= 0
    owner, things = owner[known], things[known]
    if len(owner):
        overlap = box_overlap(boxes[matches.row[owner]], coco.boxes[things])
        # Within a noun the best overlap comes first; then the order of the truth.
        order = np.lexsort((np.arange(len(owner)), -overlap.iou, owner))
        first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
        nouns = owner[first]
        instance[nouns] = things[first]
        for place, measure in ((1, overlap.iou), (2, overlap.coverage), (3, overlap.area_ratio)):
            values[place, nouns] = measure[first]
        inside = np.zeros(count)
        np.maximum.at(inside, owner, overlap.centre_inside.astype(np.float64))
        values[4, nouns] = inside[nouns]
        if masks:
            for noun in nouns.tolist():
                box = boxes[matches.row[noun]]
                values[0, noun] = coco.mask(int(instance[noun])).coverage(box[None])[0]
                centre = (box[None, :2] + box[None, 2:]) / 2
                values[5, noun] = any(
                    coco.mask(int(thing)).holds(centre)[0] for thing in matches.instances[noun]
                )
    return InstanceScores(matches.row >= 0, instance, *values)


def narrated_coverage(matches: Matches, boxes: Floats, coco: CocoTruth) -> Floats:
    """For each narrated instance the largest share of its mask under an ALP that means it.

    Args:
        matches: M nouns.
        boxes: float64 (R, 4), normalised xyxy.
        coco: The instances.

    Returns:
        float64 (narrated instances,), 0 where no ALP means the instance.
    """
    best: dict[tuple[int, int], float] = {}
    for noun, things in enumerate(matches.instances):
        rows = matches.rows[noun]
        narrative = int(matches.narrative[noun])
        for thing in things.tolist():
            covered = float(coco.mask(thing).coverage(boxes[rows]).max()) if len(rows) else 0.0
            key = (narrative, thing)
            best[key] = max(best.get(key, 0.0), covered)
    return np.array(list(best.values()), np.float64)
