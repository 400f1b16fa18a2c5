from __future__ import annotations

import numpy as np
import pytest

from alp_builder.audit.coco import read_truth
from alp_builder.audit.coco_report import read_parts
from alp_builder.audit.fitting import (
    FitConfig,
    Pairs,
    fit_calibration,
    gain,
    gains,
    join_pairs,
    make_pairs,
    make_region_pairs,
)
from alp_builder.audit.overlap import box_overlap
from alp_builder.calibration import calibrated_boxes
from alp_builder.errors import UsageError
from alp_builder.lexicon import STUFF_NOUNS
from alp_builder.schema import BOX
from tests.alp_builder.audit.conftest import Narrated
from tests.alp_builder.test_calibration import columns

QUICK = FitConfig(steps=60)


def pairs(count: int, factor: float) -> Pairs:
    """Boxes whose truth is `factor` times as long and wide, a third of them lying elsewhere."""
    inputs = {
        name: values if name == "head_lemma" else np.asarray(values, np.float64)
        for name, values in columns(count, 4).items()
    }
    rng = np.random.default_rng(0)
    centre, half = rng.uniform(0.35, 0.65, (2, count)), rng.uniform(0.03, 0.08, (2, count))
    inputs |= dict(zip(BOX, (*(centre - half), *(centre + half)), strict=True))
    truth = np.concatenate([centre - factor * half, centre + factor * half]).T
    truth[::3] = [0.0, 0.0, 0.05, 0.05]
    return Pairs(inputs, truth, np.arange(count) % 2 == 0, np.zeros(count, np.int64))


def test_a_known_factor_is_found_despite_misses() -> None:
    data = pairs(600, 2.0)
    made = fit_calibration(data, QUICK, {}, {}, progress=False)
    hit = np.arange(600) % 3 > 0
    boxes = calibrated_boxes(made, data.columns)[hit]
    assert box_overlap(boxes, data.truth[hit]).iou.mean() > 0.85  # raw: 0.25
    assert made.fitted_on["base"]["gain"] > 0.3


def test_only_base_classes_are_looked_at() -> None:
    data = pairs(300, 2.0)
    other = data.truth.copy()
    other[~data.is_base] = 0.5
    changed = Pairs(data.columns, other, data.is_base, data.kind)
    first, second = (fit_calibration(p, QUICK, {}, {}, progress=False) for p in (data, changed))
    assert first.side == second.side
    assert first.shift == second.shift
    assert first.fitted_on["base"] == second.fitted_on["base"]
    assert first.fitted_on["novel_held_out"] != second.fitted_on["novel_held_out"]


def test_too_little_to_fit_on_is_told() -> None:
    with pytest.raises(UsageError, match="at least"):
        fit_calibration(pairs(20, 2.0), QUICK, {}, {}, progress=False)


def test_pairs_of_a_world(noisy: Narrated) -> None:
    base = read_parts(noisy.classes, noisy.coco)["base"]
    made = make_pairs(noisy.table, noisy.matches, noisy.coco, base)
    assert len(made.truth) == (noisy.matches.row >= 0).sum()
    assert 0 < made.is_base.mean() < 1
    double = join_pairs([made, made])
    assert len(double.truth) == 2 * len(made.truth)
    calibration = fit_calibration(made, QUICK, {}, {}, progress=False)
    figures = gain(calibration, double.take(double.is_base))
    assert figures["phrases"] == 2 * made.is_base.sum()
    assert figures["gain"] == pytest.approx(figures["iou_calibrated"] - figures["iou_raw"])
    assert figures["gain"] > 0


def test_groups_and_stuff_are_paired_with_the_box_round_all_that_is_meant(noisy: Narrated) -> None:
    base = read_parts(noisy.classes, noisy.coco)["base"]
    truth = read_truth(noisy.truth_file)
    made = make_region_pairs(noisy.table, truth, noisy.coco, base)
    stuff, groups = made.of_kind("stuff"), made.of_kind("group")
    assert len(stuff.truth) > 50
    assert (stuff.truth[:, [0, 2]] == [0, 1]).all(), "the world's stuff is as wide as the image"
    assert set(stuff.columns["head_lemma"]) <= STUFF_NOUNS
    assert "curtain" not in stuff.columns["head_lemma"], "stuff for the world, a thing by its name"
    assert stuff.is_base.all()
    assert len(groups.truth) > 0
    for box in groups.truth:
        phrases = [t for t in truth if t.is_group and t.box == tuple(box)]
        assert phrases
        for phrase in phrases:
            inner = noisy.coco.boxes[noisy.coco.find(phrase.annotation_ids)]
            np.testing.assert_allclose(inner[:, :2].min(0), box[:2], atol=1e-5)
            np.testing.assert_allclose(inner[:, 2:].max(0), box[2:], atol=1e-5)


def test_stuff_grows_and_things_stay_where_the_truth_is_so() -> None:
    data = pairs(600, 1.0)
    lemmas = np.where(np.arange(600) % 2 == 0, "grass", "dog")
    boxes = np.stack([data.columns[name] for name in BOX], 1)
    truth = np.where(lemmas[:, None] == "grass", [0.0, 0.1, 1.0, 0.9], boxes)
    kind = np.where(lemmas == "grass", 2, 0)
    data = Pairs({**data.columns, "head_lemma": lemmas}, truth, np.ones(600, bool), kind)
    made = fit_calibration(data, FitConfig(steps=120, max_log=3), {}, {}, progress=False)
    figures = gains(made, data)
    assert figures["stuff"]["iou_calibrated"] > 0.6 > 0.1 > figures["stuff"]["iou_raw"]
    assert figures["base"]["iou_calibrated"] > 0.85
    assert figures["novel_held_out"]["phrases"] == figures["groups"]["phrases"] == 0
