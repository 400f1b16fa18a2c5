"""`alps audit --coco`, `alps audit --sweep`, `alps calibrate` and `alps build --boxes`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alp_builder.cli import main
from alp_builder.simulate import (
    SceneConfig,
    find_profile,
    simulate_narratives,
    simulate_scenes,
    truth_path,
)
from tests.alp_builder.conftest import Builder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, build_here: Builder) -> Path:
    """A simulated world, its narratives and ALPs."""
    folder = tmp_path_factory.mktemp("truth")
    config = SceneConfig(seed=8, train=40, val=0, test=0, image_size=96)
    simulate_scenes(config, folder / "world", progress=False)
    coco = folder / "world" / "instances_train.json"
    simulate_narratives(coco, find_profile("vidln"), folder / "n.jsonl", progress=False)
    build_here(folder / "n.jsonl", folder / "alps")
    return folder


def _run(*words: object) -> int:
    return main.main([str(word) for word in words])


def _audit(data: Path, *words: object) -> int:
    coco = data / "world" / "instances_train.json"
    return _run("audit", data / "alps", "--coco", coco, *words)


def test_an_audit_against_masks(data: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    truth = truth_path(data / "n.jsonl")
    assert _audit(data, "--truth", truth, "--classes", data / "world" / "split.json") == 0
    shown = capsysbinary.readouterr().out.decode()
    for words in ("mask coverage", "  novel", "by class", "narrated instances", "precision 1.000"):
        assert words in shown
    assert _audit(data, "--truth", truth, "--json") == 0
    figures = json.loads(capsysbinary.readouterr().out)
    assert figures["truth"] == "phrases"
    assert 0.9 < figures["rules"]["default"]["recall"] <= 1
    assert _audit(data, "--json") == 0
    figures = json.loads(capsysbinary.readouterr().out)
    assert figures["truth"] == "names"
    assert figures["rules"]["default"]["recall"] is None
    assert figures["phrases"]["precision"] == 1.0


def test_a_calibration_is_fitted_and_used(
    data: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "calibration.json"
    coco, split = data / "world" / "instances_train.json", data / "world" / "split.json"
    words = ["calibrate", data / "alps", "--coco", coco, "--classes", split, "--out", out]
    assert _run(*words, "--truth", truth_path(data / "n.jsonl")) == 0
    assert "held out" in capsysbinary.readouterr().out.decode()
    fitted = json.loads(out.read_text())
    assert fitted["fitted_on"]["simulated"] is True
    assert fitted["fitted_on"]["base"]["phrases"] > 50
    alps = tmp_path / "alps"
    build = ["build", data / "n.jsonl", "--out", alps, "--workers", 1, "--json"]
    assert _run(*build, "--boxes", f"calibrated={out}") == 0
    assert _run("validate", alps) == 0
    capsysbinary.readouterr()
    assert _run("audit", alps, "--coco", coco, "--json") == 0
    rules = json.loads(capsysbinary.readouterr().out)["rules"]
    assert list(rules) == ["default", "calibrated", "tight"]
    assert _run(*build, "--boxes", f"calibrated={out}", "--set", "boxes.margin=0.01") == 2
    assert b"boxes.margin" in capsysbinary.readouterr().err
    first = out.read_bytes()
    assert _run(*words, "--truth", truth_path(data / "n.jsonl"), "--json") == 0
    assert out.read_bytes() == first


def test_a_sweep_is_printed_and_drawn(
    data: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    coco = data / "world" / "instances_train.json"
    words = ["audit", "--sweep", "--coco", coco, "--limit", 8, "--profile", "clean"]
    knobs = ["--knob", "boxes.margin=0,0.06", "--knob", "window.end=next_word,utterance"]
    plot = tmp_path / "sweep.png"
    assert _run(*words, *knobs, "--plot", plot) == 0
    shown = capsysbinary.readouterr().out.decode()
    assert "| boxes.margin | 0.06 * |" in shown
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert _run(*words, *knobs, "--json") == 0
    assert len(json.loads(capsysbinary.readouterr().out)["settings"]) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit"], "DIR is missing"),
        (["audit", "x"], "--gold CSV or --coco JSON"),
        (["audit", "--sweep"], "needs --coco"),
        (["audit", "--sweep", "--coco", "x", "--gold", "y"], "go together"),
        (["audit", "--sweep", "--coco", "x", "--limit", "0"], "--limit"),
        (["audit", "--sweep", "--coco", "x", "--knob", "window.lag"], "KEY=V"),
        (["audit", "x", "--coco", "missing.json"], "cannot be read"),
        (["calibrate", "a", "b", "--coco", "c", "--classes", "d", "--out", "e", "--truth", "f"], "as many"),
        (["build", "x", "--out", "y", "--boxes", "loose"], "--boxes loose"),
    ],
)  # fmt: skip
def test_wrong_calls_are_one_line(
    words: list[str], message: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert _run(*words) == 2
    error = capsysbinary.readouterr().err.decode()
    assert message in error
    assert error.count("\n") == 1


def test_the_wrong_coco_file_is_told(
    data: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    assert _run("audit", data / "alps", "--coco", other) == 2
    assert b"no phrase" in capsysbinary.readouterr().err
