from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alp_builder.audit.samples import SampleScores, gold_sample, read_batch, simulated_sample
from alp_builder.audit.sweep import run_sweep, sweep_table, winners
from alp_builder.config import BuildConfig, turned
from alp_builder.errors import UsageError
from alp_builder.phrases import PhraseExtractor

KNOBS = {"boxes.margin": (0.0, 0.4), "boxes.rule": ("components", "tight")}


def test_a_sweep_turns_one_knob_at_a_time(scenes: Path, phrase_extractor: PhraseExtractor) -> None:
    sample = simulated_sample(scenes / "instances_train.json", "vidln", phrase_extractor, 25, 0)
    config = BuildConfig()
    settings = run_sweep([sample], config, phrase_extractor, KNOBS, progress=False)
    assert [s.value for s in settings] == [0.0, 0.06, 0.4, "components", "tight"]
    assert [s.value for s in settings if s.is_default] == [0.06, "components"]
    figures = {s.value: s.figures for s in settings}
    assert figures[0.06] == figures["components"]
    assert figures[0.4]["coverage"] > figures[0.06]["coverage"] > figures[0.0]["coverage"]
    assert figures[0.06]["iou"] == pytest.approx(
        figures[0.06]["iou_found"] * figures[0.06]["recall"]
    )
    for _, _, best, default in winners(settings):
        assert best.figures["iou"] >= default.figures["iou"]
    table = sweep_table(settings)
    assert "vidln (simulated)" in table[0]
    assert any("0.06 *" in line for line in table)


def test_what_is_not_found_counts_nothing() -> None:
    nan = np.nan
    values = np.array([0.5, nan])
    figures = SampleScores(values, values, values, values).figures()
    assert (figures["iou"], figures["iou_found"], figures["recall"]) == (0.25, 0.5, 0.5)


def test_unknown_knobs_are_told() -> None:
    with pytest.raises(UsageError, match="no such field"):
        turned(BuildConfig(), {"boxes.size": 1})
    with pytest.raises(UsageError, match="margin"):
        turned(BuildConfig(), {"boxes.margin": 7.0})
    with pytest.raises(UsageError, match="no such field"):
        turned(BuildConfig(), {"calibration.side": 1})


def test_a_file_without_narratives_is_told(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("\n")
    with pytest.raises(UsageError, match="no narrative"):
        read_batch(path, BuildConfig().input)


def test_the_defaults_hold_on_real_gold_boxes(
    shared_data: Path, phrase_extractor: PhraseExtractor
) -> None:
    """A change of defaults that loses on real boxes is none."""
    folder = shared_data / "vidln"
    sample = gold_sample(
        folder / "ovis_in_ln_format.jsonl", folder / "gold_boxes.csv", phrase_extractor
    )
    figures = sample.score(sample.rows(BuildConfig(), phrase_extractor)).figures()
    assert figures["recall"] >= 0.94
    assert figures["iou_found"] >= 0.28
    assert figures["centre_inside"] >= 0.92
