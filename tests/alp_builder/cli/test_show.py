"""`alps show`: what a user types, what comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alp_builder.cli.main import main
from tests.alp_builder.page.conftest import sample_rows, write_image, write_rows


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_rows(tmp_path / "alps", sample_rows())
    write_image(tmp_path / "photos" / "a.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "alps", "--images", "photos", "--out", "new/p.html"]) == 0
    out = capsys.readouterr().out
    assert (place / "new/p.html").stat().st_size > 10_000
    assert "narratives           4" in out
    assert "images               1, at most 80 pixels wide or high" in out
    assert "        2  no file found" in out
    assert "traces       points of boxes, from the shards" in out
    assert f"open: {(place / 'new/p.html').as_uri()}" in out


def test_a_choice_and_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["show", "alps", "--where", "score>=0.6", "--sample", "2", "--seed", "3", "--json"]
    assert main(words) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["path"] == "page.html"
    assert figures["narratives"] == 2
    assert "3 fit score>=0.6; a random sample, seed 3" in figures["about"][0]


def test_a_name_that_a_terminal_would_obey_is_made_visible(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "alps").rename(place / "a\x1b[31m")
    assert main(["show", "a\x1b[31m"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "nothing to show"),
        (["alps", "--images", "none"], 2, "no such folder"),
        (["alps", "--images", "alps"], 2, "image root wrong? none of 3 images"),
        (["alps", "--sample", "-1"], 2, "expected 0 or more"),
        (["alps", "--max-mb", "0"], 2, "expected more than 0"),
        (["alps", "--image-side", "9"], 2, "expected 96 to 4096"),
        (["alps", "--max-mb", "0.01"], 2, "do not fit"),
        (["alps", "--where", "x"], 2, "expected COLUMN OP VALUE"),
        (["alps", "--narratives", "none.jsonl"], 2, "no such file"),
        (["photos"], 1, "no ALP data set"),
    ],
)
def test_mistakes(
    words: list[str], code: int, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", *words]) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("alps show: ")
    assert message in said[0]
    assert not (place / "page.html").exists()
