"""`alps fetch` as a user calls it: what it prints where, and its errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alp_builder.cli.main import main
from alp_builder.sources import OFFICIAL_SPLITS
from tests.alp_builder.file_server import Faults, FileServer, serve


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve(FileServer(b'{"caption": "simulated"}\n')) as state:
        yield state


def test_paths_on_the_output_and_the_summary_beside(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--cache", str(tmp_path), "--base-url", server.url.rpartition("/")[0]]
    assert main(["fetch", "coco_val", "coco_train", "coco_val", *flags]) == 0
    out, err = capsys.readouterr()
    paths = [Path(line) for line in out.splitlines()]
    assert len(paths) == 5
    assert all(path.read_bytes() == server.body for path in paths)
    assert "5 files, 125 bytes" in err
    assert main(["fetch", "coco_val", *flags]) == 0
    assert "1 at hand" in capsys.readouterr().err
    assert len(server.asked) == 5


def test_json_holds_the_figures(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            ["fetch", "ade20k_train", "--json", "--cache", str(tmp_path), "--base-url", server.url]
        )
        == 0
    )
    figures = json.loads(capsys.readouterr().out)
    assert figures["bytes"] == figures["bytes_received"] == len(server.body)
    [file] = figures["files"]
    assert (file["name"], file["split"], file["resumed_at"]) == ("ade20k_train", "train", 0)
    assert Path(file["path"]).read_bytes() == server.body


def test_the_list_shows_every_split_and_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for split in OFFICIAL_SPLITS for name in (split.name, *split.files))
    assert "507,444" in text
    assert main(["fetch", "--list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == [
        split.name for split in OFFICIAL_SPLITS
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no split is named"),
        (["coco_vall"], "did you mean coco_val"),
        (["coco_val", "--base-url", "file:///tmp"], "no http or https address"),
    ],
)
def test_misuse_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_refusal_exits_with_1(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = [Faults(status=404)]
    flags = ["--cache", str(tmp_path), "--base-url", server.url]
    assert main(["fetch", "coco_val", *flags]) == 1
    assert "answered 404" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fetch", "--help"])
    assert "alps fetch coco_val" in capsys.readouterr().out
