"""`alps align` as a user calls it, on a real recording, from a folder and from a server."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from alp_builder.cli.main import main
from tests.alp_builder.file_server import FileServer, serve

pytest.importorskip("av")
pytest.importorskip("pocketsphinx")


@pytest.fixture(scope="module")
def tigers(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three key frames of one real narrative, as a file."""
    lines = (shared_data / "vidln/ovis_in_ln_format.jsonl").read_bytes().splitlines()
    path = tmp_path_factory.mktemp("tigers") / "tigers.jsonl"
    path.write_bytes(b"\n".join(line for line in lines if b"/1_1.webm" in line) + b"\n")
    return path


def test_json_gives_the_figures_that_were_asked_for(
    tigers: Path, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "forced.jsonl"
    flags = ["--recordings", str(shared_data / "vidln/recordings"), "--out", str(out)]
    assert main(["align", str(tigers), *flags, "--json"]) == 0
    text, progress = capsys.readouterr()
    figures = json.loads(text)
    assert figures == figures | {"narratives": 3, "words": 36, "aligned_fraction": 1.0}
    assert set(figures["vs_published"]) == {"offset_s", "median_abs_s", "p90_abs_s"}
    assert figures["vs_published"]["offset_s"] == pytest.approx(0.15, abs=0.03)
    assert figures["vs_published"]["median_abs_s"] < 0.05
    assert figures["times_real_time"] > 1
    assert figures["set_aside"] == {}
    assert progress == ""
    records = [json.loads(line) for line in out.read_bytes().splitlines()]
    before = [json.loads(line) for line in tigers.read_bytes().splitlines()]
    for record, was in zip(records, before, strict=True):
        assert set(record) == set(was)
        assert record["traces"] == was["traces"]
        assert len(record["timed_caption"]) == 12
    alps = tmp_path / "alps"
    assert main(["build", str(out), "--out", str(alps), "--workers", "1"]) == 0
    assert "ALPs written" in capsys.readouterr().out


def test_the_summary_says_what_became_of_every_record(
    tigers: Path, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in tigers.read_bytes().splitlines()]
    lines[1]["caption"] = "A shirt \x1b[31m and 2 cups on a table in the kitchen of the house."
    lines[2]["voice_recording"] = "../secret.webm"
    source = tmp_path / "mixed.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    flags = [
        "--recordings",
        str(shared_data / "vidln/recordings"),
        "--out",
        str(tmp_path / "o.jsonl"),
    ]
    assert main(["align", str(source), *flags, "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "records set aside           2" in text
    assert "misfit: the caption does not fit the recording" in text
    assert "unsafe_name" in text
    assert "published starts" in text
    assert str(tmp_path / "_align/o.jsonl/quarantine.jsonl") in text
    assert "\x1b" not in text


def test_public_recordings_are_fetched_into_the_cache(
    tigers: Path, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = (shared_data / "vidln/recordings/1_1.webm").read_bytes()
    flags = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "o.jsonl"), "--json"]
    with serve(FileServer(voice)) as server:
        url = server.url.rpartition("/")[0]
        command = ["align", "--localized-narratives", str(tigers), *flags, "--recordings-url", url]
        assert main(command) == 0
        assert len(server.asked) == 1  # three records, one recording
    figures = json.loads(capsys.readouterr().out)
    assert (figures["narratives"], figures["aligned_fraction"]) == (3, 1.0)
    [kept] = (tmp_path / "cache").rglob("1_1.webm")
    assert kept.read_bytes() == voice
    assert main(command) == 0  # from the cache: the server is gone


def test_official_splits_go_by_name(
    tigers: Path, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--cache", str(tmp_path), "--out", str(tmp_path / "o.jsonl"), "--json"]
    with serve(FileServer(tigers.read_bytes())) as server:
        base = ["--base-url", server.url.rpartition("/")[0]]
        voices = ["--recordings-url", "http://127.0.0.1:9/voices/"]
        assert main(["align", "--localized-narratives", "coco_val", *flags, *base, *voices]) == 1
        assert len(server.asked) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("alps align: no connection to 127.0.0.1")
    assert not (tmp_path / "o.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--out FILE is missing"),
        (["--out", "o.jsonl"], "no recordings: give --recordings DIR"),
        (["--out", "o.jsonl", "--recordings", "none"], "--recordings none: no such folder"),
        (["--out", "o.jsonl", "--recordings", "."], "no input: name files"),
        (["none.jsonl", "--out", "o.jsonl", "--recordings", "."], "none.jsonl: no such file"),
        (["--out", "o.jsonl", "--localized-narratives", "--recordings", "."], "give one"),
        (["coco_vall", "--out", "o.jsonl", "--localized-narratives"], "did you mean coco_val"),
        (["--out", "o", "--workers", "0"], "--workers 0: expected 1 or more"),
        (["--set", "beam=2"], "beam"),
        (["--set", "wrong=2"], "unknown field `wrong`"),
        (["--set", "beam"], "expected KEY=VALUE"),
        (["--offset", "nan"], "offset"),
        (["x", "--out", "o", "--localized-narratives", "--recordings-url", "file:///x"], "no http"),
    ],
)
def test_a_users_mistake_costs_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["align", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_what_is_not_installed_is_said_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found: Any = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pocketsphinx" else found(name)
    )
    assert main(["align", "x.jsonl", "--recordings", ".", "--out", "o.jsonl"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "alps align: pocketsphinx missing: pip install alp-toolkit[record] (or make record-env)"
    )


def test_every_choice_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["align", "--show-config", "--set", "max_unclaimed=0.4", "--offset", "0.15"]) == 0
    text = capsys.readouterr().out
    assert "max_unclaimed = 0.4" in text
    assert "offset = 0.15" in text
