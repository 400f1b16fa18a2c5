"""The audit against masks, on a simulated world whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alp_builder import open_alps
from alp_builder.audit.coco import CocoTruth, read_truth
from alp_builder.audit.coco_report import (
    audit_rows,
    box_rules,
    coco_figures,
    coco_table,
    read_parts,
)
from alp_builder.audit.instances import narrated_coverage, score_instances
from alp_builder.audit.matching import MATCH_COLUMNS, match
from alp_builder.audit.names import CategoryNames
from alp_builder.errors import BadDataError, UsageError
from alp_builder.schema import BOX, TIGHT_BOX
from tests.alp_builder.audit.conftest import Narrated


class TestCleanNarratives:
    """What a speaker without noise circles must be found."""

    def test_every_narrated_thing_is_recovered(self, clean: Narrated) -> None:
        boxes = box_rules(clean.table)["default"]
        assert (clean.matches.row >= 0).all()
        covered = narrated_coverage(clean.matches, boxes, clean.coco)
        assert len(covered) > 250
        assert covered.min() > 0.9
        scores = score_instances(clean.matches, boxes, clean.coco)
        assert np.nanmean(scores.mask_coverage) > 0.9
        assert np.nanmean(scores.centre_inside) > 0.9

    def test_names_agree_with_the_truth(self, clean: Narrated) -> None:
        assert clean.matches.correct == clean.matches.named > 100
        coco = clean.coco
        by_name = match(clean.table, coco, CategoryNames(coco.names, coco.plurals))
        assert by_name.correct == by_name.named == clean.matches.named
        assert not by_name.knows_missed
        for noun, row in enumerate(by_name.row):
            category = set(coco.category[by_name.instances[noun]].tolist())
            assert category == {by_name.category[noun]}
            image = clean.table["image_id"][int(row)].as_py()
            assert set(by_name.instances[noun].tolist()) <= set(coco.of_image[image].tolist())


def test_an_audit_reads_the_columns_it_needs(clean: Narrated) -> None:
    dataset = open_alps(clean.folder)
    table = audit_rows(dataset, MATCH_COLUMNS)
    assert set(table.column_names) == {*MATCH_COLUMNS, *BOX, *TIGHT_BOX}
    assert "caption" in dataset.columns
    names = CategoryNames(clean.coco.names, clean.coco.plurals)
    matches = match(table, clean.coco, names, read_truth(clean.truth_file))
    np.testing.assert_array_equal(matches.row, clean.matches.row)
    for rule, boxes in box_rules(clean.table).items():
        np.testing.assert_array_equal(box_rules(table)[rule], boxes)


def test_measures_of_known_boxes(clean: Narrated) -> None:
    """Boxes of truth score 1, the whole image covers all, a box elsewhere nothing."""
    table, matches, coco = clean.table, clean.matches, clean.coco
    exact = np.tile([0.0, 0.0, 1.0, 1.0], (table.num_rows, 1))
    whole = exact.copy()
    alone = [i for i, things in enumerate(matches.instances) if len(things) == 1]
    for noun in alone:
        if matches.row[noun] >= 0:
            exact[matches.row[noun]] = coco.boxes[matches.instances[noun][0]]
    scores = score_instances(matches, exact, coco)
    mine = np.array([noun for noun in alone if matches.row[noun] >= 0])
    assert scores.iou[mine] == pytest.approx(1)
    assert scores.mask_coverage[mine] == pytest.approx(1)
    assert scores.area_ratio[mine] == pytest.approx(1)
    covered = score_instances(matches, whole, coco)
    assert np.nanmin(covered.mask_coverage) == pytest.approx(1)
    lost = ~covered.found
    assert np.isnan(covered.iou[lost]).all()
    nothing = score_instances(matches, np.tile([0, 0, 1e-6, 1e-6], (table.num_rows, 1)), coco)
    assert np.nanmax(nothing.iou) < 1e-3


def test_figures_by_size_part_and_class(noisy: Narrated) -> None:
    parts = read_parts(noisy.classes, noisy.coco)
    figures = coco_figures(noisy.matches, noisy.table, noisy.coco, "fraction", parts)
    json.dumps(figures)
    assert set(figures["rules"]) == {"default", "tight"}
    row = figures["rules"]["default"]
    for group in ("by_size", "by_part", "by_class"):
        assert sum(part["nouns"] for part in row[group].values()) == row["nouns"]
        found = sum(
            part["found"] * part["iou_mean"] for part in row[group].values() if part["found"]
        )
        assert found == pytest.approx(row["found"] * row["iou_mean"])
    low, high = row["mask_coverage_mean_ci95"]
    assert low < row["mask_coverage_mean"] < high
    assert row["iou_mean"] > figures["rules"]["tight"]["iou_mean"]
    lines = coco_table(figures)
    assert any(line.startswith("  novel") for line in lines)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    images = [
        {"id": n, "file_name": f"{folder}/7.jpg", "width": 4, "height": 4}
        for n, folder in enumerate("ab")
    ]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    with pytest.raises(BadDataError, match="two images"):
        CocoTruth(path)


def test_bad_files_are_one_line(tmp_path: Path, clean: Narrated) -> None:
    path = tmp_path / "x"
    with pytest.raises(UsageError, match="cannot be read"):
        read_truth(path)
    path.write_text('{"image_id": 1}\n')
    with pytest.raises(BadDataError, match="line 1"):
        read_truth(path)
    path.write_text('{"base": ["house"], "novel": ["unicorn"]}')
    with pytest.raises(UsageError, match="unicorn"):
        read_parts(path, clean.coco)
    path.write_text('{"base": ["house"], "novel": ["house"]}')
    with pytest.raises(UsageError, match="both base and novel"):
        read_parts(path, clean.coco)
