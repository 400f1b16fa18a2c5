from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alp_builder.simulate import PROFILES, SceneConfig, simulate_scenes
from pipelines import calibrate_noise


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO file of a small simulated world."""
    out = tmp_path_factory.mktemp("world") / "world"
    config = SceneConfig(seed=2, train=60, val=0, test=0, image_size=64)
    simulate_scenes(config, out, progress=False)
    return out / "instances_train.json"


def test_the_table_says_what_was_reached(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(coco), "--profile", "clean", "--narratives", "60"]
    assert calibrate_noise.main(words) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("| clean | world/instances_train, simulated narratives |")
    precision = float(last.split("|")[3])
    assert precision == pytest.approx(100, abs=0.5)
    assert len(json.loads(coco.read_text())["images"]) == 60


def test_a_profile_that_is_off_fails(coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = type(PROFILES["clean"])(name="wrong", target_precision=0.1)
    monkeypatch.setitem(calibrate_noise.PROFILES, "wrong", wrong)
    words = [str(coco), "--profile", "wrong", "--narratives", "60"]
    assert calibrate_noise.main(words) == 1


def test_the_fit_finds_a_rate_that_reaches_the_target(coco: Path) -> None:
    start = type(PROFILES["coco"])(name="x", target_precision=0.4, miss_rate=0.0)
    fitted = calibrate_noise.fit([coco], start, narratives=120, seed=0)
    reached = calibrate_noise.measure(coco, fitted, 120, 0).precision
    assert fitted.miss_rate > 0.3
    assert reached == pytest.approx(0.4, abs=0.03)


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate_noise.main([str(tmp_path / "no.json")]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"error: .*no\.json.*\n", error)
