"""Learning by heart: the machinery on a few steps, and the claim itself as a slow test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("detectron2", reason="training needs what trains")

from alp_builder.errors import UsageError
from pipelines.bench_loader import simulated_images
from pipelines.overfit import KINDS, OverfitConfig, main, overfit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def test_a_curve_of_a_few_steps(tmp_path: Path) -> None:
    images, annotations = simulated_images(tmp_path / "scenes", scenes=2)
    config = OverfitConfig(images=2, short_side=64, batch=2, steps=6, points=2)
    found = overfit("fcosmo", annotations, images, tmp_path / "run", config)
    assert [point["step"] for point in found["curve"]] == [3, 6]
    first, last = found["curve"]
    assert last["loss"] < first["loss"]
    assert first["loss"] == pytest.approx(
        sum(value for name, value in first.items() if name.startswith("loss_")), rel=1e-4
    )
    classes = {
        c["id"]: c["name"]
        for c in json.loads(annotations.read_text(encoding="utf-8"))["categories"]
    }
    assert set(found["per_class"]) <= set(classes.values())
    again = overfit("fcosmo", annotations, images, tmp_path / "again", config)
    assert again["curve"] == found["curve"]


def test_an_unknown_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="yolo: expected one of fcosmo"):
        overfit("yolo", tmp_path, tmp_path, tmp_path, OverfitConfig())
    given = ["--annotations", "x", "--images", "y", "--out", str(tmp_path / "o"), "yolo"]
    assert main(given) == 2
    assert capsys.readouterr().err.startswith("error: yolo")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_eight_real_images_are_learned_by_heart(
    kind: str, shared_data: Path, tmp_path: Path
) -> None:
    """All masks of 8 COCO images, the tiny model: mask AP50 above 0.9 on them, in minutes."""
    coco = shared_data / "coco_tiny"
    annotations = coco / "annotations" / "instances_train2017.json"
    found = overfit(kind, annotations, coco / "train2017", tmp_path, OverfitConfig())
    assert found["curve"][-1]["masks"] > 0.9, found["per_class"]
