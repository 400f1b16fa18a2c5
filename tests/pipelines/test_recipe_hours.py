"""Hours of the recipes from ratios of steps, with the timing replaced: what is timed is tested elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from pipelines import recipe_hours
from pipelines.bench_steps import CONFIGS, StepConfig

RATIOS = {
    "fcosmo, masks": 2.0, "fcosmo, no masks": 1.0, "maskrcnn, masks": 1.5, "maskrcnn, no masks": 1.2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "mean_ratio"),
    [
        ("fcosmo_r50_coco_48_17", 1.5),
        ("maskrcnn_alp_r50_coco_openimages", 1.35),
        ("maskrcnn_ov_r50_coco_48_17", 1.5),
    ],
)
def test_hours_are_steps_times_seconds(recipe: str, mean_ratio: float) -> None:
    found = recipe_hours.hours(CONFIGS / f"{recipe}.py", RATIOS, 0.2)
    assert found == pytest.approx(90_000 * 0.2 * mean_ratio / 3600)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[StepConfig] = []

    def measure(config: StepConfig) -> tuple[dict[str, Any], float]:
        asked.append(config)
        return RATIOS, 7.0

    monkeypatch.setattr(recipe_hours, "measure", measure)
    out = tmp_path / "hours.json"
    assert recipe_hours.main(["--reference", "0.1", "--rounds", "2", "--json", str(out)]) == 0
    assert (asked[0].rounds, asked[0].device) == (2, "cpu")
    record = json.loads(out.read_text())
    assert record["reference_seconds"] == 0.1
    assert record["ratios"] == RATIOS
    assert set(record["hours"]) == {path.stem for path in CONFIGS.glob("*_r50_*.py")}
    assert "fcosmo_r50_coco_48_17" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--reference", "0"], "--reference"),
        (["--short-side", "3"], "--short-side must be 64 to 1600"),
        (["--device", "cuda"], "torch sees no GPU"),
    ],
)
def test_mistakes(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipe_hours.torch.cuda, "is_available", lambda: False)
    assert recipe_hours.main(words) == 2
    assert says in capsys.readouterr().err
