from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from alp_builder.cli import simulate
from alp_builder.errors import UsageError


def call(*words: str) -> int:
    parser = argparse.ArgumentParser("alps")
    simulate.add_parser(parser.add_subparsers())
    args = parser.parse_args(["simulate", *words])
    code: int = args.run(args)
    return code


def test_a_world_and_its_narratives_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = tmp_path / "world"
    sizes = ["--train", "3", "--val", "1", "--test", "1", "--image-size", "64", "--seed", "9"]
    assert call("scenes", "--out", str(world), *sizes, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["simulated"] is True
    assert made["scenes"] == {"train": 3, "val": 1, "test": 1}
    coco, out = world / "instances_train.json", world / "n.jsonl"
    assert call("narratives", "--coco", str(coco), "--out", str(out), "--profile", "clean") == 0
    printed = capsys.readouterr().out
    assert "simulated: yes" in printed
    assert len(out.read_text().splitlines()) == 3
    assert (world / "n.truth.jsonl").exists()


@pytest.mark.parametrize("what", ["scenes", "narratives"])
def test_help_shows_an_example(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        call(what, "--help")
    assert end.value.code == 0
    assert f"alps simulate {what} --" in capsys.readouterr().out


def test_wrong_calls_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'perfect' is unknown"):
        call("narratives", "--coco", "x.json", "--out", "y.jsonl", "--profile", "perfect")
    with pytest.raises(UsageError, match="cannot be read"):
        call("narratives", "--coco", str(tmp_path / "x.json"), "--out", "y.jsonl")
    with pytest.raises(UsageError, match="workers"):
        call("scenes", "--out", str(tmp_path / "w"), "--workers", "0")
    assert not list(tmp_path.iterdir())
