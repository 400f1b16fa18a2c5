"""The comparison of boxes from published and from forced times."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pipelines.align_boxes import PUBLISHED_LAG, main


def test_times_moved_by_a_constant_differ_by_the_windows_lag_alone(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vidln = shared_data / "vidln"
    published = vidln / "ovis_in_ln_format.jsonl"
    moved = tmp_path / "moved.jsonl"
    with moved.open("wb") as stream:
        for line in published.read_bytes().splitlines():
            record = msgspec.json.decode(line)
            for word in record["timed_caption"]:
                word["start_time"] = round(word["start_time"] - PUBLISHED_LAG, 3)
                word["end_time"] = round(word["end_time"] - PUBLISHED_LAG, 3)
            stream.write(msgspec.json.encode(record) + b"\n")
    words = [
        str(published),
        str(moved),
        "--gold",
        str(vidln / "gold_boxes.csv"),
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "boxes.md").read_text() == text
    rows = [line.split(" | ") for line in text.splitlines()[2:]]
    assert [(row[0], row[1]) for row in rows[:4]] == [
        ("| published", "+0.00"), ("| forced", "+0.00"), ("| published", "-0.15"), ("| forced", "+0.15"),
    ]  # fmt: skip
    assert rows[0][2:4] == ["47 of 50", "0.379 [0.308, 0.450]"]  # as `alps audit --gold` says
    assert rows[1][2:] == rows[2][2:]  # moved times are a lag
    assert rows[3][2:6] == rows[0][2:6]  # and back
    assert rows[3][6].startswith("+0.000 [+0.000, +0.000]")


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        str(tmp_path / "a"),
        str(tmp_path / "b"),
        "--gold",
        str(tmp_path / "c"),
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("align_boxes: ")
