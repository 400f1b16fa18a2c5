"""Worlds of emoji: classes, glyphs, how things are bent, and that masks stay exact."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

from alp_builder.cli.main import main
from alp_builder.errors import BadDataError, UsageError
from alp_builder.simulate import EmojiConfig, SceneConfig, glyphs, simulate_scenes
from alp_builder.simulate.config import ID_STRIDE
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.emoji_classes import emoji_classes, emoji_synonyms
from alp_builder.simulate.emoji_things import EmojiThings, emoji_things
from alp_builder.simulate.glyphs import find_font, read_glyph, thumbnail
from alp_builder.simulate.nouns import article
from alp_builder.simulate.scenes import draw_scene
from tests.alp_builder.simulate.emoji_font import disc, write_font

STILL = EmojiConfig(
    turn=0, mirror=0, stretch=0, shear=0, perspective=0, hue=0, saturation=0, brightness=0,
    contrast=0, blur=0, cover=0, grain=0, shadow=0,
)  # fmt: skip
SMALL = EmojiConfig(seed=2, train=12, val=2, test=2, image_size=64)


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [kind.shape for kind in emoji_classes()]
    path = tmp_path_factory.mktemp("font") / "emoji.ttf"
    return write_font(path, texts, [disc(i) for i in range(len(texts))])


@pytest.fixture(scope="module")
def world(font: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("emoji") / "world"
    simulate_scenes(SMALL, out, progress=False, emoji_font=str(font))
    return out


# ------------------------------------------------------------------ classes


def test_sixty_base_and_240_novel_classes_with_plain_names() -> None:
    classes = emoji_classes()
    names = [kind.name for kind in classes]
    assert [kind.is_novel for kind in classes] == [False] * 60 + [True] * 240
    assert [kind.category_id for kind in classes] == list(range(1, 301))
    assert len(set(names)) == len({kind.shape for kind in classes}) == 300
    assert all(re.fullmatch("[a-z]+( [a-z]+)?", name) for name in names)
    assert {"dog", "automobile", "teddy bear"} <= set(names[:60])


def test_every_class_has_a_synonym_that_no_class_has_as_its_name() -> None:
    names, others = [kind.name for kind in emoji_classes()], emoji_synonyms()
    assert list(others) == names
    assert len(set(others.values()) | set(names)) == 600


def test_names_in_english() -> None:
    many = {kind.name: kind.many for kind in emoji_classes()}
    assert many["goose"] == "geese"
    assert many["computer mouse"] == "computer mice"
    assert many["snowman"] == "snowmen"
    assert many["jellyfish"] == "jellyfish"
    said = ["ewe", "unicorn", "umbrella", "otter", "hourglass", "jeans", "luggage"]
    assert [article(name) for name in said] == ["a", "a", "an", "an", "an", "", ""]


# ------------------------------------------------------------------ glyphs


def test_a_glyph_is_the_picture_of_the_font_and_its_halves(font: Path) -> None:
    glyph = read_glyph(font, emoji_classes()[3].shape)
    truth = disc(3)
    cropped = truth.crop(truth.getchannel("A").getbbox())
    assert np.array_equal(np.asarray(glyph.levels[0].convert("RGBA")), np.asarray(cropped))
    assert [max(level.size) for level in glyph.levels] == [120, 60, 30, 15]
    assert glyph.at(16).size == (30, 25)
    assert glyph.at(500) is glyph.levels[0]
    small = thumbnail(glyph, 24)
    assert small.shape == (24, 24, 4)
    assert small[0, 0, 3] == 0
    assert small[12, 2, 3] == 255


def test_fonts_that_cannot_be_used(font: Path, tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="no colour glyph"):
        read_glyph(font, "\U0001f600")
    text = tmp_path / "text.ttf"
    text.write_text("no font")
    with pytest.raises(UsageError, match="no font with colour bitmaps"):
        read_glyph(text, "a")
    with pytest.raises(UsageError, match="no such font file"):
        find_font(str(tmp_path / "none.ttf"))


def test_a_font_is_found_or_one_line_says_how_to_get_it(
    font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(glyphs, "FONT_FILES", (str(tmp_path / "none.ttf"),))
    monkeypatch.delenv(glyphs.FONT_VARIABLE, raising=False)
    arguments = ["simulate", "scenes", "--shapes", "emoji", "--out", str(tmp_path / "w")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "apt install fonts-noto-color-emoji" in error
    assert "--emoji-font FILE" in error
    assert error.count("\n") == 1
    monkeypatch.setenv(glyphs.FONT_VARIABLE, str(font))
    assert find_font() == font


# ------------------------------------------------------------------ things


def test_an_unbent_thing_is_its_picture(font: Path) -> None:
    things = EmojiThings(STILL, str(font))
    for index, side in ((0, 120.0), (7, 60.0)):
        kind = emoji_classes()[index]
        thing = things.draw(kind, "", side, 0.0, Dice(generator("test", index)))
        truth = disc(index)
        area = np.asarray(truth)[:, :, 3].astype(bool).sum() * (side / 120) ** 2
        assert thing.mask.sum() == pytest.approx(area, rel=0.02)
        rows, columns = np.nonzero(thing.mask)
        assert np.ptp(columns) + 1 == pytest.approx(side, abs=1)
        assert np.ptp(rows) + 1 == pytest.approx(side * 100 / 120, abs=1)


def test_things_of_one_class_differ_and_repeat_by_seed(font: Path) -> None:
    things, kind = EmojiThings(EmojiConfig(), str(font)), emoji_classes()[5]
    drawn = [things.draw(kind, "", 60.0, 0.5, Dice(generator("test", i))) for i in (1, 2, 1)]
    assert drawn[0].mask.shape != drawn[1].mask.shape
    assert np.array_equal(drawn[0].pixels, drawn[2].pixels)
    for thing in drawn:
        assert not (thing.mask & ~thing.solid).any()
        assert thing.coverage.max() <= 1.0 + 1e-6
        assert max(thing.mask.shape) <= 60 + 10


def test_a_bar_is_nobody_s_and_hides_what_is_behind(font: Path) -> None:
    covered = msgspec.structs.replace(STILL, cover=1.0)
    kind = emoji_classes()[0]
    bare = EmojiThings(STILL, str(font)).draw(kind, "", 100.0, 0.0, Dice(generator("bar")))
    thing = EmojiThings(covered, str(font)).draw(kind, "", 100.0, 0.0, Dice(generator("bar")))
    hidden = bare.mask & ~thing.mask
    assert hidden.sum() > 100
    assert thing.solid[hidden].all(), "the bar"
    assert (thing.solid & ~bare.mask).any(), "and goes on beside the thing"
    assert (thing.coverage[thing.solid] >= 0.5).all()


# ------------------------------------------------------------------ worlds


def test_masks_are_what_is_seen(font: Path, world: Path) -> None:
    data = json.loads((world / "instances_train.json").read_text())
    config, things = emoji_things(EmojiConfig(**data["info"]["settings"]), str(font))
    assert config == things.config
    for record in data["images"][:5]:
        scene = draw_scene(config, "train", record["id"] % ID_STRIDE, things)
        mine = [a for a in data["annotations"] if a["image_id"] == record["id"]]
        for thing, annotation in enumerate(mine):
            mask = mask_utils.decode(annotation["segmentation"]).astype(bool)
            assert np.array_equal(mask, scene.owner == thing)
            assert mask.sum() >= 24


def test_colours_of_a_mask_are_those_of_the_glyph(font: Path) -> None:
    """Truth from outside: no disc has the colours of the background in its mask when nothing is changed."""
    plain = msgspec.structs.replace(STILL, image_size=160, clutter=0, repeat_rate=0.0, max_things=4)
    _, things = emoji_things(plain, str(font))
    checked = 0
    for index in range(4):
        scene = draw_scene(plain, "train", index, things)
        for number, kind in enumerate(scene.kinds):
            inside = scene.image[scene.owner == number].astype(float)
            picture = np.asarray(disc(kind.category_id - 1)).astype(float)
            color = picture[picture[:, :, 3] == 255][0, :3]
            # Light changes levels, not their ratios.
            own, seen = color / color.sum(), inside / inside.sum(axis=1, keepdims=True)
            assert np.median(np.abs(seen - own).max(axis=1)) < 0.04
            checked += 1
    assert checked > 8


def test_the_files_say_what_the_world_is(font: Path, world: Path) -> None:
    split = json.loads((world / "split.json").read_text())
    assert (len(split["base"]), len(split["novel"])) == (60, 240)
    assert set(json.loads((world / "synonyms.json").read_text())) == set(
        split["base"] + split["novel"]
    )
    data = json.loads((world / "instances_val.json").read_text())
    settings = data["info"]["settings"]
    assert settings["shapes"] == "emoji"
    assert settings["font_sha256"] == hashlib.sha256(font.read_bytes()).hexdigest()
    assert str(font) not in (world / "instances_val.json").read_text()
    assert "licence" in data["licenses"][0]["name"]
    assert len(data["categories"]) == 300
    assert data["info"]["simulated"] is True


def test_same_bytes_for_any_workers_and_any_place_of_the_font(
    font: Path, world: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere.ttf"
    other.write_bytes(font.read_bytes())
    simulate_scenes(SMALL, tmp_path / "two", 2, progress=False, emoji_font=str(other))
    for path in sorted(world.rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(world)).read_bytes()


def test_worlds_of_other_shapes_or_fonts_are_told_apart(font: Path, world: Path) -> None:
    common = {name: getattr(SMALL, name) for name in SceneConfig.__struct_fields__}
    with pytest.raises(UsageError, match=r"shapes = emoji \(asked: vector\)"):
        simulate_scenes(SceneConfig(**common), world, progress=False)
    assert simulate_scenes(SMALL, world, progress=False, emoji_font=str(font)).resumed_scenes == 16
    odd = msgspec.structs.replace(SMALL, font_sha256="0" * 64)
    with pytest.raises(UsageError, match="is not the font of these settings"):
        simulate_scenes(odd, world, progress=False, emoji_font=str(font))


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"turn": 200.0}, "turn"), ({"cover": 2.0}, "cover"), ({"perspective": 0.5}, "perspective"),
     ({"blur": -1.0}, "blur"), ({"hue": float("nan")}, "hue"), ({"image_size": 1}, "image_size")],
)  # fmt: skip
def test_settings_out_of_range(change: dict[str, float], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        msgspec.structs.replace(EmojiConfig(), **change).check()


def test_settings_of_emoji_need_emoji(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "scenes", "--out", str(tmp_path / "w"), "--turn", "3"]) == 2
    assert "--turn: only with --shapes emoji" in capsys.readouterr().err


def test_the_command_draws_and_the_narrator_speaks(font: Path, tmp_path: Path) -> None:
    out, said = tmp_path / "world", tmp_path / "n.jsonl"
    shapes = ["--shapes", "emoji", "--emoji-font", str(font), "--cover", "0"]
    counts = ["--train", "12", "--val", "0", "--test", "0", "--image-size", "64", "--json"]
    assert main(["simulate", "scenes", "--out", str(out), *shapes, *counts]) == 0
    coco = out / "instances_train.json"
    assert main(["simulate", "narratives", "--coco", str(coco), "--out", str(said), "--json"]) == 0
    captions = " ".join(json.loads(line)["caption"] for line in said.read_text().splitlines())
    data = json.loads(coco.read_text())
    shown = {a["category_id"] for a in data["annotations"] if max(a["bbox"][2:]) > 12}
    names = {c["id"]: (c["name"], c["plural"]) for c in data["categories"]}
    heard = [any(name in captions for name in names[i]) for i in shown]
    assert sum(heard) / len(heard) > 0.6
    with Image.open(out / "train" / "000000000.jpg") as picture:
        assert picture.size == (64, 64)
