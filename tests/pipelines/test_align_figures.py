"""The figures of forced alignment, on one real recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.align_figures import _distance, main

pytest.importorskip("av")
pytest.importorskip("pocketsphinx")


def test_starts_against_published_ones_and_the_sound(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vidln = shared_data / "vidln"
    lines = (vidln / "ovis_in_ln_format.jsonl").read_bytes().splitlines()
    tigers = tmp_path / "tigers.jsonl"
    tigers.write_bytes(b"\n".join(line for line in lines if b"/1_1.webm" in line) + b"\n")
    out = tmp_path / "figures.json"
    words = [
        str(tigers),
        "--recordings",
        str(vidln / "recordings"),
        "--only",
        "starts",
        "--json",
        str(out),
    ]
    assert main(words) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads(out.read_bytes())
    assert figures["starts"]["all"]["words"] == 12  # three lines, one narration
    assert [row["recording"] for row in figures["starts"]["by_recording"]] == ["1_1.webm"]
    assert figures["onsets"]["words"] >= 2
    # Forced starts lie where the sound begins, published ones after it.
    assert abs(figures["onsets"]["forced_later_s"]["median"]) < 0.06
    assert figures["onsets"]["published_later_s"]["median"] > 0.08
    assert figures["speed"]["times_real_time"] > 1


def test_edit_distance() -> None:
    assert _distance(["HH", "UW", "D", "IY"], ["HH", "UH", "D", "IY"]) == 1
    assert _distance([], ["A", "B"]) == 2
    assert _distance(["A", "B", "C"], ["B", "C", "D"]) == 2
