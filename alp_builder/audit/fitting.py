"""Fits a calibration where masks and narratives are known, on base classes only.

The coefficients are those of the highest mean IoU between calibrated boxes and the boxes of the instances meant,
less a ridge penalty on all but the constant. IoU is bounded: a phrase whose trace lies elsewhere, as a third of
them do in noisy narratives, gives 0 whatever the coefficients and so cannot drag the fit, which squared or
absolute errors of sides would let it. The objective is smooth almost everywhere and has a handful of parameters:
Adam (Kingma and Ba, ICLR 2015) on central differences finds its top in seconds, the same every time.

Classes outside `base` take no part in the fit. They are what it is judged by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from alp_builder.arrays import Bools, Floats
from alp_builder.audit.coco import CocoTruth
from alp_builder.audit.instances import score_instances
from alp_builder.audit.matching import Matches
from alp_builder.audit.overlap import bootstrap_interval, box_overlap
from alp_builder.calibration import (
    INPUTS,
    SHIFT_FEATURES,
    SIDE_FEATURES,
    Calibration,
    calibrated_boxes,
    predict,
    raw_sides_and_centres,
    shift_features,
    side_features,
)
from alp_builder.errors import UsageError
from alp_builder.schema import BOX

LEAST_PHRASES = 50
"""Fewest phrases of base classes to fit on."""

_STEP = 1e-3  # of the central differences


@dataclass(frozen=True)
class FitConfig:
    """How coefficients are found.

    Attributes:
        ridge: Weight of the penalty, IoU per squared coefficient.
        steps: Steps of the ascent.
        rate: Length of the first step; it falls to 0 linearly.
        max_log: See `Calibration`.
        min_side: See `Calibration`.
    """

    ridge: float = 1e-3
    steps: int = 200
    rate: float = 0.03
    max_log: float = 1.5
    min_side: float = 0.02


@dataclass(frozen=True)
class Pairs:
    """B phrases, their main ALPs and the instance each is compared with.

    Attributes:
        columns: The columns `INPUTS` of the ALPs.
        truth: float64 (B, 4), the boxes of the instances.
        is_base: bool (B,), whether the instance is of a base class.
    """

    columns: Mapping[str, Floats]
    truth: Floats
    is_base: Bools

    def take(self, chosen: Bools) -> Pairs:
        """The pairs where `chosen`, bool (B,), is set."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Pairs(columns, self.truth[chosen], self.is_base[chosen])


def make_pairs(table: pa.Table, matches: Matches, coco: CocoTruth, base: set[int]) -> Pairs:
    """Pairs each noun's main ALP with the instance meant that it overlaps best.

    Args:
        table: Rows of ALPs.
        matches: Their nouns.
        coco: The instances.
        base: Category ids of the base classes.

    Returns:
        The pairs of the nouns found.
    """
    boxes = np.stack([table[name].to_numpy().astype(np.float64) for name in BOX], 1)
    scores = score_instances(matches, boxes, coco, masks=False)
    rows = matches.row[scores.found]
    instances = scores.instance[scores.found]
    columns = {
        name: table[name].to_numpy(zero_copy_only=False).astype(np.float64)[rows] for name in INPUTS
    }
    is_base = np.isin(coco.category[instances], np.array(sorted(base), np.int64))
    return Pairs(columns, coco.boxes[instances], is_base)


def join_pairs(parts: Sequence[Pairs]) -> Pairs:
    """The pairs of several data sets as one."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in INPUTS}
    truth = np.concatenate([part.truth for part in parts])
    return Pairs(columns, truth, np.concatenate([part.is_base for part in parts]))


def fit_calibration(
    pairs: Pairs,
    config: FitConfig,
    made_with: Mapping[str, Any],
    fitted_on: Mapping[str, Any],
    progress: bool = True,
) -> Calibration:
    """Finds the coefficients on the pairs of base classes.

    Args:
        pairs: Pairs of any classes; only base ones are looked at.
        config: How.
        made_with: Choices the boxes were made with.
        fitted_on: What is told of the data; figures are added.
        progress: Whether to show a progress bar.

    Returns:
        The calibration.

    Raises:
        UsageError: If there are too few pairs.
    """
    base = pairs.take(pairs.is_base)
    if len(base.truth) < LEAST_PHRASES:
        raise UsageError(
            f"{len(base.truth)} phrases of base classes have a box and an instance;"
            f" at least {LEAST_PHRASES} are needed to fit on"
        )
    inputs = side_features(base.columns), shift_features(base.columns)
    sides, centres = raw_sides_and_centres(base.columns)
    cut = len(SIDE_FEATURES)

    def objective(weights: Floats) -> float:
        boxes = predict(
            weights[:cut], weights[cut:], *inputs, sides, centres, config.max_log, config.min_side
        )
        iou = box_overlap(boxes, base.truth).iou.mean()
        return float(iou - config.ridge * (weights[1:] ** 2).sum())

    weights = np.zeros(cut + len(SHIFT_FEATURES))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    nudges = np.eye(len(weights)) * _STEP
    for step in tqdm(range(1, config.steps + 1), desc="fitting", disable=not progress):
        slope = np.array(
            [(objective(weights + e) - objective(weights - e)) / (2 * _STEP) for e in nudges]
        )
        mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
        rate = config.rate * (1 - step / config.steps)
        move = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        weights = weights + rate * move
    values = [round(float(value), 6) for value in weights]  # reads well, changes nothing
    calibration = Calibration(
        side=dict(zip(SIDE_FEATURES, values[:cut], strict=True)),
        shift=dict(zip(SHIFT_FEATURES, values[cut:], strict=True)),
        max_log=config.max_log,
        min_side=config.min_side,
        made_with=dict(made_with),
    )
    figures = {"base": gain(calibration, base)}
    return msgspec.structs.replace(calibration, fitted_on=dict(fitted_on) | figures)


def gain(calibration: Calibration, pairs: Pairs) -> dict[str, Any]:
    """Mean IoU of raw and calibrated boxes, and of their paired difference, with 95 % intervals.

    Args:
        calibration: The coefficients.
        pairs: What to judge on, all of it.

    Returns:
        `phrases`, `iou_raw`, `iou_calibrated`, `gain`, each figure with `_ci95`; coverage likewise.
    """
    raw = np.stack([pairs.columns[name] for name in BOX], 1)
    before = box_overlap(raw, pairs.truth)
    after = box_overlap(calibrated_boxes(calibration, pairs.columns), pairs.truth)
    figures: dict[str, Any] = {"phrases": len(pairs.truth)}
    for name, values in (
        ("iou_raw", before.iou),
        ("iou_calibrated", after.iou),
        ("gain", after.iou - before.iou),
        ("coverage_raw", before.coverage),
        ("coverage_calibrated", after.coverage),
    ):
        figures[name] = float(values.mean()) if len(values) else None
        figures[f"{name}_ci95"] = bootstrap_interval(values) if len(values) else None
    return figures
