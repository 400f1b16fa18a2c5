"""Fits a calibration where masks and narratives are known, on base classes only.

Three kinds of phrases are paired with what they mean: those that mean **things**, with the instance that their
main ALP overlaps best; those that name things as a **group**, with the box round all of them; and, where the
truth knows its extent, those that mean **stuff** ("grass"). A third of the nouns of real narratives is of each
kind, and they reach beyond their traces very differently.

The coefficients are those of the highest mean IoU between calibrated boxes and the boxes of the instances meant,
less a ridge penalty on all but the constant. IoU is bounded: a phrase whose trace lies elsewhere, as a third of
them do in noisy narratives, gives 0 whatever the coefficients and so cannot drag the fit, which squared or
absolute errors of sides would let it. The objective is smooth almost everywhere and has a handful of parameters:
Adam (Kingma and Ba, ICLR 2015) on central differences finds its top in seconds, the same every time.

Classes outside `base` take no part in the fit. They are what it is judged by. Stuff is of no class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from alp_builder.arrays import Bools, Floats, Ints
from alp_builder.audit.coco import CocoTruth
from alp_builder.audit.instances import box_rows, score_instances
from alp_builder.audit.matching import Matches, main_rows
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
from alp_builder.lexicon import STUFF_NOUNS
from alp_builder.schema import BOX
from alp_builder.simulate.records import TruthPhrase

KINDS = ("thing", "group", "stuff")
"""Kinds of phrases, by what their box is compared with."""

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
    """B phrases, their main ALPs and what each is compared with.

    Attributes:
        columns: The columns `INPUTS` of the ALPs.
        truth: float64 (B, 4), the boxes of what is meant.
        is_base: bool (B,), whether that is of base classes (or of none).
        kind: int64 (B,), which of `KINDS`.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    truth: Floats
    is_base: Bools
    kind: Ints

    def take(self, chosen: Bools) -> Pairs:
        """The pairs where `chosen`, bool (B,), is set."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Pairs(columns, self.truth[chosen], self.is_base[chosen], self.kind[chosen])

    def of_kind(self, kind: str) -> Pairs:
        """The pairs of one of `KINDS`."""
        return self.take(self.kind == KINDS.index(kind))


def make_pairs(table: pa.Table, matches: Matches, coco: CocoTruth, base: set[int]) -> Pairs:
    """Pairs each noun's main ALP with the instance meant that it overlaps best.

    Args:
        table: Rows of ALPs.
        matches: Their nouns.
        coco: The instances.
        base: Category ids of the base classes.

    Returns:
        The pairs of the nouns found, all of them things.
    """
    boxes = box_rows(table)
    scores = score_instances(matches, boxes, coco, masks=False)
    rows = matches.row[scores.found]
    instances = scores.instance[scores.found]
    is_base = np.isin(coco.category[instances], np.array(sorted(base), np.int64))
    kind = np.zeros(len(rows), np.int64)
    return Pairs(_inputs(table, rows), coco.boxes[instances], is_base, kind)


def make_region_pairs(
    table: pa.Table, truth: Sequence[TruthPhrase], coco: CocoTruth, base: set[int]
) -> Pairs:
    """Pairs the main ALPs of groups and of stuff with the box round all that is meant.

    Args:
        table: Rows of ALPs.
        truth: What their phrases mean; things that are no group, stuff without a box, and stuff that
            `STUFF_NOUNS` does not know (and a calibration takes for a thing) are passed over.
        coco: The instances, for their images.
        base: Category ids of the base classes; a group is of base classes if all its things are.

    Returns:
        The pairs of the phrases found.
    """
    regions = [t for t in truth if t.box is not None and is_region(t)]
    rows = main_rows(table, coco, regions)
    lemmas = table["head_lemma"].to_pylist()
    known = [t.is_thing or lemmas[row] in STUFF_NOUNS for t, row in zip(regions, rows, strict=True)]
    found = np.flatnonzero((rows >= 0) & np.array(known, np.bool_))
    chosen = [regions[index] for index in found.tolist()]
    is_base = np.array([base.issuperset(phrase.category_ids) for phrase in chosen], np.bool_)
    kind = np.array([1 if phrase.is_thing else 2 for phrase in chosen], np.int64)
    boxes = np.array([phrase.box for phrase in chosen], np.float64).reshape(-1, 4)
    return Pairs(_inputs(table, rows[found]), boxes, is_base, kind)


def is_region(phrase: TruthPhrase) -> bool:
    """Whether a phrase is compared with one box round all it means: a group, or stuff."""
    return phrase.is_group or not phrase.is_thing


def _inputs(table: pa.Table, rows: Ints) -> dict[str, npt.NDArray[Any]]:
    """The columns `INPUTS` of some rows."""
    part = table.select(list(INPUTS)).take(pa.array(rows))
    columns = {name: part[name].to_numpy(zero_copy_only=False) for name in INPUTS}
    return {n: v if n == "head_lemma" else v.astype(np.float64) for n, v in columns.items()}


def join_pairs(parts: Sequence[Pairs]) -> Pairs:
    """The pairs of several data sets as one."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in INPUTS}
    truth = np.concatenate([part.truth for part in parts])
    is_base = np.concatenate([part.is_base for part in parts])
    return Pairs(columns, truth, is_base, np.concatenate([part.kind for part in parts]))


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
            f"{len(base.truth)} phrases of base classes have a box and a truth;"
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
    return msgspec.structs.replace(
        calibration, fitted_on=dict(fitted_on) | gains(calibration, pairs)
    )


def gains(calibration: Calibration, pairs: Pairs) -> dict[str, Any]:
    """What a calibration gives each kind of phrase, see `gain`.

    Args:
        calibration: The coefficients.
        pairs: Pairs of all kinds.

    Returns:
        Figures of `base` and `novel_held_out` things, of `groups` and `groups_held_out`, and of `stuff`.
    """
    things, groups = pairs.of_kind("thing"), pairs.of_kind("group")
    parts = {
        "base": things.take(things.is_base),
        "novel_held_out": things.take(~things.is_base),
        "groups": groups.take(groups.is_base),
        "groups_held_out": groups.take(~groups.is_base),
        "stuff": pairs.of_kind("stuff"),
    }
    return {name: gain(calibration, part) for name, part in parts.items()}


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
