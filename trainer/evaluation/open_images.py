"""The Open Images protocol: AP50 of masks or of boxes on truth that is not exhaustive.

Rules of the challenges, as the TensorFlow Object Detection API evaluates them
(`OpenImagesInstanceSegmentationChallengeEvaluator` for masks, `OpenImagesDetectionChallengeEvaluator`
for boxes); D are detections of one class in one image by falling score, G its truths:

1. *Expansion.* Instances and positive image labels are copied to all ancestors in the hierarchy,
negative labels to all descendants.
2. *Unverified classes.* A detection of a class that is neither among the image's instances nor
verified for it, positive or negative, is dropped.
3. *Matching.* Each detection has one best truth, by IoU of the masks or boxes. If that is at least 0.5 and
the truth is not taken yet, the detection is a true positive.
4. *Group-of* truth (one box for many instances) absorbs leftovers whose intersection with it is at
least half of the detection. It counts as one true positive with the best score among them, or as one
miss.
5. *Truth without a mask*, where masks are compared, is no positive. A leftover whose box has IoU 0.5 or
more with its box is ignored, one for each such truth; a group-of box without a mask absorbs any number.
Where boxes are compared, such truth is like any other.
6. All other leftovers are false positives.
7. AP of a class is the area under the monotone envelope of precision over recall; the mean is over the
classes with truth that counts.

The protocol does not copy *predictions* to ancestors: a model that says "Dog" is wrong about
"Carnivore" unless it says that too. `evaluate_open_images` reports both, as it stands and with
predictions expanded.

Truth is a COCO-format file with `is_group_of` (or `iscrowd`), annotations that may lack a
segmentation, and images with `pos_category_ids` and `neg_category_ids`. An image with neither list
is taken as exhaustively labelled. hotcoco has rules 1, 3, 4 and 7 only, and for boxes only, so all are
written out here; tests compare the two where they agree.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from trainer.data.cocofile import CocoFile, CocoImage, check_masks
from trainer.evaluation.coco import grouped
from trainer.evaluation.hierarchy import Hierarchy
from trainer.evaluation.predictions import Prediction, check_predictions
from trainer.evaluation.shapes import IouType, Shape, found_shapes, overlap, truth_shape
from trainer.evaluation.splits import ClassSplit

IOU = 0.5
"""Least overlap of a match, for masks, boxes and group-of alike."""

Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Scores of what counts, and which of them are true positives."""


@dataclass
class _Truths:
    """Truth of one class in one image, single and group-of.

    Attributes:
        single: What is compared, masks or boxes.
        groups: The like, group-of.
        bare: Boxes of truth without the mask that would be compared (rule 5).
        bare_groups: The like, group-of.
    """

    single: list[Shape] = field(default_factory=list)
    groups: list[Shape] = field(default_factory=list)
    bare: list[Shape] = field(default_factory=list)
    bare_groups: list[Shape] = field(default_factory=list)

    @property
    def positives(self) -> int:
        """How many true positives there could be."""
        return len(self.single) + len(self.groups)


def match(
    iou: NDArray[np.float64],
    group_ioa: NDArray[np.float64],
    box_iou: NDArray[np.float64],
    box_group_ioa: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> Scored:
    """Rules 3 to 6 for one class in one image.

    Args:
        iou: IoU of the masks or boxes compared, shape `(D, G)`, detections by falling score.
        group_ioa: Intersection over the detection's area with group-of truth, shape `(D, Q)`.
        box_iou: Box IoU with truth that has no mask, shape `(D, B)`; B is 0 where boxes are compared.
        box_group_ioa: The like of `group_ioa` with group-of boxes that have no mask, shape `(D,
            C)`.
        scores: Scores, shape `(D,)`.

    Returns:
        Scores of what counts and whether it is a true positive: single detections first, then
        group-of.
    """
    hit = _claim(iou, np.ones(len(scores), bool))
    absorbed = ~hit & _over(group_ioa)
    best = np.full(group_ioa.shape[1], -np.inf)
    if absorbed.any():
        np.maximum.at(best, group_ioa[absorbed].argmax(axis=1), scores[absorbed])
    ignored = _claim(box_iou, ~hit & ~absorbed)
    ignored |= ~hit & ~absorbed & ~ignored & _over(box_group_ioa)
    counts = ~absorbed & ~ignored
    groups = best[np.isfinite(best)]
    return (
        np.concatenate([scores[counts], groups]),
        np.concatenate([hit[counts], np.ones(len(groups), bool)]),
    )


def _over(overlap: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which detections overlap any truth enough, shape `(D,)`."""
    return np.asarray((overlap >= IOU).any(axis=1))


def _claim(overlap: NDArray[np.float64], free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which detections get their one best truth, the first one first; shape `(D,)`."""
    claimed = np.zeros(len(overlap), bool)
    if not overlap.size:
        return claimed
    best = overlap.argmax(axis=1)
    taken: set[int] = set()
    for row in np.flatnonzero(free & _over(overlap)).tolist():
        if best[row] not in taken:
            claimed[row] = True
            taken.add(int(best[row]))
    return claimed


def average_precision(
    scores: NDArray[np.float64], hits: NDArray[np.bool_], positives: int
) -> float:
    """Area under the monotone envelope of precision over recall (rule 7).

    Args:
        scores: Scores, shape `(D,)`, in any order.
        hits: Whether each is a true positive, shape `(D,)`.
        positives: True positives there could be.

    Returns:
        AP between 0 and 1; NaN if there are no positives.

    >>> average_precision(np.array([.9, .8, .7]), np.array([True, False, True]), 2)
    0.8333333333333333
    """
    if positives == 0:
        return math.nan
    hits = hits[np.argsort(-scores, kind="stable")]
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall grows by 1 / positives at each true positive, and only there.
    return float(envelope[hits].sum() / positives)


def evaluate_open_images(
    truth: CocoFile,
    predictions: Sequence[Prediction],
    split: ClassSplit,
    hierarchy: Hierarchy | None = None,
    *,
    iou_type: IouType = "segm",
) -> dict[str, Any]:
    """AP50 of base, novel and all classes by the Open Images protocol.

    Args:
        truth: Truth as the module says.
        predictions: COCO results, each with what is compared: an RLE of the image's size, or a box.
        split: Which classes are base and novel.
        hierarchy: Ancestors of categories; none if `None`.
        iou_type: What is compared, masks or boxes.

    Returns:
        `AP50` with `base`, `novel`, `all`; `AP50_expanded`, the same with predictions copied to
        ancestors; `per_class[name]` with `group`, `positives`, `AP50`, `AP50_expanded`; NaN where
        there is no truth.

    Raises:
        UsageError: If a class is in no category of the truth.
        BadDataError: If a prediction is malformed.
    """
    ids = split.category_ids(truth.categories)
    hierarchy = hierarchy or Hierarchy({})
    sizes = {image.id: (image.height, image.width) for image in truth.images}
    check_masks(truth, "truth")
    check_predictions(
        predictions, sizes, {c.id for c in truth.categories}, masks=iou_type == "segm"
    )
    truths = expand_truth(truth, hierarchy, iou_type)
    verified = {
        image.id: _verified(image, set(truths.get(image.id, ())), hierarchy)
        for image in truth.images
    }
    plain = _all_ap(truths, verified, predictions, ids, iou_type)
    expanded = plain
    if any(hierarchy.ancestors(category.id) for category in truth.categories):
        wider = [row for found in predictions for row in _to_ancestors(found, hierarchy)]
        expanded = _all_ap(truths, verified, wider, ids, iou_type)
    positives = {
        name: sum(classes[c].positives for classes in truths.values() if c in classes)
        for name, c in ids.items()
    }
    return {
        "protocol": "open_images",
        "iou_type": iou_type,
        "split": split.name,
        "images": len(truth.images),
        "predictions": len(predictions),
        "AP50": grouped(plain, split),
        "AP50_expanded": grouped(expanded, split),
        "per_class": {
            name: {
                "group": split.group(name),
                "positives": positives[name],
                "AP50": plain[name],
                "AP50_expanded": expanded[name],
            }
            for name in ids
        },
    }


def expand_truth(
    truth: CocoFile, hierarchy: Hierarchy, iou_type: IouType
) -> dict[int, dict[int, _Truths]]:
    """Truth by image and class, instances copied to all ancestors (rule 1)."""
    sizes = {image.id: (image.height, image.width) for image in truth.images}
    found: dict[int, dict[int, _Truths]] = defaultdict(lambda: defaultdict(_Truths))
    for annotation in truth.annotations:
        shape = truth_shape(annotation, *sizes[annotation.image_id], iou_type)
        group = bool(annotation.iscrowd or annotation.is_group_of)
        for category in {annotation.category_id, *hierarchy.ancestors(annotation.category_id)}:
            truths = found[annotation.image_id][category]
            if shape is not None:
                (truths.groups if group else truths.single).append(shape)
            elif annotation.bbox is not None:
                (truths.bare_groups if group else truths.bare).append(annotation.bbox)
    return {image: dict(classes) for image, classes in found.items()}


def _verified(image: CocoImage, present: set[int], hierarchy: Hierarchy) -> set[int] | None:
    """Classes verified for an image (rules 1 and 2); `None` means all."""
    if image.pos_category_ids is None and image.neg_category_ids is None:
        return None
    found = set(present)
    for category in image.pos_category_ids or ():
        found |= {category, *hierarchy.ancestors(category)}
    for category in image.neg_category_ids or ():
        found |= {category, *hierarchy.descendants(category)}
    return found


def _to_ancestors(prediction: Prediction, hierarchy: Hierarchy) -> list[dict[str, Any]]:
    category = prediction["category_id"]
    wanted = [category, *sorted(hierarchy.ancestors(category))]
    return [{**prediction, "category_id": c} for c in wanted]


def _all_ap(
    truths: Mapping[int, Mapping[int, _Truths]],
    verified: Mapping[int, set[int] | None],
    predictions: Sequence[Prediction],
    ids: Mapping[str, int],
    iou_type: IouType,
) -> dict[str, float]:
    """AP of every class."""
    wanted = set(ids.values())
    by_place: dict[tuple[int, int], list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        image, category = prediction["image_id"], prediction["category_id"]
        allowed = verified[image]
        if category in wanted and (allowed is None or category in allowed):
            by_place[image, category].append(prediction)
    scored: dict[int, list[Scored]] = defaultdict(list)
    nothing = _Truths()
    for (image, category), found in sorted(by_place.items(), key=lambda item: item[0]):
        there = truths.get(image, {}).get(category, nothing)
        scored[category].append(_match_place(there, found, iou_type))
    positives: dict[int, int] = defaultdict(int)
    for classes in truths.values():
        for category, truth in classes.items():
            positives[category] += truth.positives
    result = {}
    for name, category in ids.items():
        scores = np.concatenate([np.empty(0), *(s for s, _ in scored[category])])
        hits = np.concatenate([np.empty(0, bool), *(h for _, h in scored[category])])
        result[name] = average_precision(scores, hits, positives[category])
    return result


def _match_place(truth: _Truths, found: list[Prediction], iou_type: IouType) -> Scored:
    """Detections matched with truth of their class and image; empty ones are dropped."""
    shapes, filled = found_shapes(found, iou_type)
    scores = np.array([prediction["score"] for prediction in found], np.float64)
    if not (truth.positives or truth.bare or truth.bare_groups):
        return scores[filled], np.zeros(int(filled.sum()), bool)
    order = [i for i in np.argsort(-scores, kind="stable") if filled[i]]
    shapes, scores = [shapes[i] for i in order], scores[order]
    # Only masks leave truth bare, and only then boxes are wanted beside what is compared.
    boxes = mask_utils.toBbox(shapes) if truth.bare or truth.bare_groups else shapes
    return match(
        overlap(shapes, truth.single, group=False),
        overlap(shapes, truth.groups, group=True),
        overlap(boxes, truth.bare, group=False),
        overlap(boxes, truth.bare_groups, group=True),
        scores,
    )
