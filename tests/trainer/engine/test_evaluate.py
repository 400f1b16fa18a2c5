"""Evaluation of a model: what becomes of its detections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from omegaconf import OmegaConf
from torch import nn

from tests.trainer.evaluation.helpers import CLASSES, seen, thing, truth_of
from trainer.engine.evaluate import Evaluator
from trainer.evaluation.splits import split_of_all


def evaluated(folder: Path, rows: list[Any], monkeypatch: pytest.MonkeyPatch, **test: Any) -> Any:
    """Metrics of a model that finds the rows given, as written, after three steps."""
    common = {"loader": {"images": {"_target_": "builtins.dict"}}, "pictures": 0}
    cfg = OmegaConf.create({"data": {"test": {**common, "hierarchy": None, **test}}})
    evaluator = Evaluator(cfg, nn.Identity(), split_of_all(CLASSES), folder)
    monkeypatch.setattr(evaluator, "predict", lambda *_: rows)
    evaluator(3)
    return json.loads((folder / "evaluation_0000003" / "metrics.json").read_text())


@pytest.mark.parametrize("protocol", ["coco", "open_images"])
def test_masks_and_boxes_follow_the_same_rules(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = truth_of(thing("dog", 0, 0, 20, 20, group=True), thing("dog", 30, 30, 40, 40), images=2)
    path = tmp_path / "truth.json"
    path.write_bytes(msgspec.json.encode(truth))
    rows = [
        *(seen("dog", 0.9, x, y, x + 5, y + 5) for x in (0, 10) for y in (0, 10)),
        seen("dog", 0.8, 0, 0, 10, 10, image=2),  # nobody has looked for dogs there
        seen("dog", 0.5, 30, 30, 40, 40),
    ]
    found = evaluated(tmp_path, rows, monkeypatch, annotations=str(path), protocol=protocol)
    assert found["step"] == 3
    for name, kind in (("masks", "segm"), ("boxes", "bbox")):
        metrics = found[name]
        assert (metrics["protocol"], metrics["iou_type"]) == (protocol, kind)
        # COCO knows neither group-of nor verified labels: five wrong ones before one of two truths.
        expected = {"coco": 51 / 101 / 6, "open_images": 1}[protocol]
        assert metrics["AP50"]["all"] == pytest.approx(expected)
