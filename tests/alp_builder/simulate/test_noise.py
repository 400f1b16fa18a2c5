"""Profiles against their published figures, and the measurement against a case worked by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from alp_builder.errors import UsageError
from alp_builder.simulate import PROFILES, find_profile, simulate_narratives
from alp_builder.simulate.measure import (
    Noun,
    gold_pairs,
    motion_stats,
    noun_stats,
    read_narratives,
    simulated_pairs,
    window_of,
)
from alp_builder.simulate.records import Narrative, Point, TimedUtterance


def narrative() -> Narrative:
    """A cat spoken of from 1 s to 3 s: four points, three inside the box, two places."""
    words = [("a", 0.0, 1.0), ("cat", 1.0, 1.5), ("sits", 3.0, 3.5)]
    points = [(0.9, 0.9, 0.5), (0.1, 0.1, 1.1), (0.2, 0.2, 1.2), (0.4, 0.1, 2.0), (0.6, 0.1, 2.1)]
    return Narrative(
        dataset_id="d",
        image_id="1",
        annotator_id=0,
        caption="a cat sits",
        timed_caption=[TimedUtterance(*word) for word in words],
        traces=[[Point(*point) for point in points]],
        voice_recording="",
    )


def test_the_measurement_on_a_case_worked_by_hand() -> None:
    noun = Noun(2, 5, np.array([[0.0, 0.0, 0.5, 0.5]]))
    assert window_of(narrative(), 2, 5) == (1.0, 3.0)
    stats = noun_stats([(narrative(), [noun])])
    assert stats.points.tolist() == [4]
    assert stats.precision == pytest.approx(3 / 4)
    assert stats.seconds.tolist() == [2.0]
    assert stats.dwell[0] == pytest.approx(0.2)
    assert stats.parts.tolist() == [2]
    assert stats.area_ratio[0] == pytest.approx(0.5 * 0.1 / 0.25)
    assert stats.coverage[0] == pytest.approx(0.4 * 0.1 / 0.25)
    motion = motion_stats([narrative()])
    assert motion.points_per_word.tolist() == [1, 4, 0]


MULTI_PART = {"vidln": (0.3, 0.55), "coco": (0.1, 0.25), "open_images": (0.1, 0.25)}
"""Traces in several parts: seen in 15 real records for `vidln`, the published 15.8 % for the others."""


@pytest.mark.parametrize("name", [n for n, p in PROFILES.items() if p.target_precision])
def test_a_profile_reaches_its_published_precision(name: str, world: Path, tmp_path: Path) -> None:
    source, out = world / "instances_train.json", tmp_path / "out.jsonl"
    simulate_narratives(source, PROFILES[name], out, per_image=4, progress=False)
    stats = noun_stats(simulated_pairs(out, source))
    assert stats.precision == pytest.approx(PROFILES[name].target_precision, abs=0.02)
    low, high = MULTI_PART[name]
    assert low < stats.multi_part_rate < high
    assert np.median(stats.area_ratio) < 0.5, "traces cover only a part of a thing"


@pytest.mark.parametrize("name", [n for n, p in PROFILES.items() if p.target_precision])
def test_and_on_real_masks(name: str, shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "coco_tiny" / "annotations" / "instances_train2017.json"
    out = tmp_path / "out.jsonl"
    simulate_narratives(source, PROFILES[name], out, per_image=10, progress=False)
    stats = noun_stats(simulated_pairs(out, source))
    assert stats.precision == pytest.approx(PROFILES[name].target_precision, abs=0.02)


def test_the_clean_profile_is_exact_and_covers_every_thing(world: Path, tmp_path: Path) -> None:
    source, out = world / "instances_train.json", tmp_path / "out.jsonl"
    simulate_narratives(source, PROFILES["clean"], out, progress=False)
    stats = noun_stats(simulated_pairs(out, source))
    assert stats.precision > 0.995
    assert np.median(stats.coverage) > 0.9
    assert stats.area_ratio.max() < 1.01, "never beyond the box by more than a bulge of the curve"


def test_pointers_move_as_real_ones_do(shared_data: Path, world: Path, tmp_path: Path) -> None:
    path = shared_data / "vidln" / "ovis_in_ln_format.jsonl"
    real = motion_stats(read_narratives(path))
    source, out = world / "instances_train.json", tmp_path / "out.jsonl"
    simulate_narratives(source, PROFILES["vidln"], out, progress=False)
    simulated = motion_stats(read_narratives(out))
    # Within a third at the median and the upper decile of speed. Of all words real ones have more
    # points than simulated ones: people also point at what they say with a verb.
    for share in (0.5, 0.9):
        ratio = np.quantile(simulated.speed, share) / np.quantile(real.speed, share)
        assert 2 / 3 < ratio < 3 / 2
    assert 1 / 2 < simulated.points_per_word.mean() / real.points_per_word.mean() < 3 / 2
    assert np.median(simulated.interval) == pytest.approx(np.median(real.interval), abs=0.003)


def test_traces_of_nouns_are_as_long_and_as_parted_as_real_ones(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "vidln"
    with (folder / "gold_boxes.csv").open(newline="") as table:
        pairs = list(gold_pairs(folder / "ovis_in_ln_format.jsonl", csv.DictReader(table)))
    real = noun_stats(pairs).table()
    source = shared_data / "coco_tiny" / "annotations" / "instances_train2017.json"
    out = tmp_path / "out.jsonl"
    simulate_narratives(source, PROFILES["vidln"], out, per_image=8, progress=False)
    simulated = noun_stats(simulated_pairs(out, source)).table()
    assert simulated["multi_part_rate"] == pytest.approx(real["multi_part_rate"], abs=0.1)
    for figure in ("median_points", "median_window_s", "median_dwell_s"):
        assert 2 / 3 < simulated[figure] / real[figure] < 3 / 2, figure


def test_gold_boxes_give_the_figures_measured_before(shared_data: Path) -> None:
    folder = shared_data / "vidln"
    with (folder / "gold_boxes.csv").open(newline="") as table:
        pairs = list(gold_pairs(folder / "ovis_in_ln_format.jsonl", csv.DictReader(table)))
    stats = noun_stats(pairs)
    assert len(stats.points) == 47, "47 of the 50 nouns have two points or more"
    assert (stats.inside / stats.points).mean() == pytest.approx(0.91, abs=0.01)


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(UsageError, match="open_images"):
        find_profile("perfect")
