"""Settings of a world: of vector shapes (`SceneConfig`), or of emoji (`EmojiConfig`)."""

from __future__ import annotations

import hashlib

import msgspec

from alp_builder.errors import UsageError

WORLD_VERSION = 1
"""Raised whenever the same settings would draw another world."""

SPLITS = ("train", "val", "test")
"""Splits of a world; image ids of a split start at its index times `ID_STRIDE`."""

ID_STRIDE = 10_000_000
"""Distance of the splits' first image ids: an image id names one image of the whole world."""


class SceneConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a world. A scene depends on them, its split and its index, and on nothing else.

    Attributes:
        seed: Seed of the world.
        train: Scenes of the train split.
        val: Scenes of the val split.
        test: Scenes of the test split.
        image_size: Side of the square images in pixels.
        min_things: Fewest things a scene tries to place.
        max_things: Most things.
        min_scale: Least longer side of a thing, in image sides.
        max_scale: Greatest longer side of a thing, in image sides.
        repeat_rate: Probability that a thing is followed by another of its class.
        min_visible: Least share of a thing that stays visible behind others and inside the image.
        clutter: Most pieces of clutter.
        shadow: Darkness of the shadows, 0 for none.
        grain: Amplitude of the pixel noise in grey levels, 0 for none.
        jpeg_quality: Quality of the image files.
    """

    seed: int = 0
    train: int = 2000
    val: int = 300
    test: int = 300
    image_size: int = 256
    min_things: int = 3
    max_things: int = 9
    min_scale: float = 0.08
    max_scale: float = 0.6
    repeat_rate: float = 0.3
    min_visible: float = 0.35
    clutter: int = 36
    shadow: float = 0.3
    grain: int = 14
    jpeg_quality: int = 90

    def check(self) -> None:
        """Raise `UsageError` where a setting is out of range."""
        rules = (
            (min(self.train, self.val, self.test) >= 0, "counts must not be negative"),
            (self.train + self.val + self.test > 0, "at least one split must have scenes"),
            (
                max(self.train, self.val, self.test) <= ID_STRIDE,
                f"at most {ID_STRIDE} scenes a split",
            ),
            (32 <= self.image_size <= 4096, "image_size must be 32 to 4096"),
            (
                1 <= self.min_things <= self.max_things <= 200,
                "1 <= min_things <= max_things <= 200",
            ),
            (0 < self.min_scale <= self.max_scale <= 1, "0 < min_scale <= max_scale <= 1"),
            (0 < self.min_visible <= 1, "min_visible must be over 0 and at most 1"),
            (0 <= self.repeat_rate < 1, "repeat_rate must be at least 0 and under 1"),
            (0 <= self.shadow <= 1, "shadow must be 0 to 1"),
            (
                0 <= self.grain <= 127 and self.clutter >= 0,
                "grain must be 0 to 127, clutter at least 0",
            ),
            (1 <= self.jpeg_quality <= 100, "jpeg_quality must be 1 to 100"),
        )
        for holds, rule in rules:
            if not holds:
                raise UsageError(f"world settings: {rule}; got {self}")

    def count(self, split: str) -> int:
        """Scenes of a split."""
        return int(getattr(self, split))

    @property
    def total(self) -> int:
        """Scenes of all splits."""
        return sum(map(self.count, SPLITS))

    def fingerprint(self) -> str:
        """Hash of the settings and the world's version, 16 hex digits."""
        text = msgspec.json.encode([WORLD_VERSION, self])
        return hashlib.sha256(text).hexdigest()[:16]


class EmojiConfig(SceneConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a world of emoji: 300 classes, and things bent far from the one picture each has.

    The glyphs come from a font, of which the settings hold the hash only: the same settings give the
    same bytes wherever the font lies. `open_font` finds it.

    Attributes:
        shapes: What is drawn; says in a file of settings that it is a world of emoji.
        font_sha256: Hash of the font.
        turn: Greatest turn to each side in degrees.
        mirror: Probability that a thing is mirrored.
        stretch: Greatest change of width against height, as a share.
        shear: Greatest shear.
        perspective: By how much of its box a corner is moved at most.
        hue: Greatest turn of the colours in degrees.
        saturation: Greatest change of saturation, as a share.
        brightness: Greatest change of brightness, as a share.
        contrast: Greatest change of contrast, as a share.
        blur: Greatest radius of blur, in sides of the thing.
        cover: Probability that a bar of the background's kind lies over a thing.
    """

    shapes: str = "emoji"
    font_sha256: str = ""
    turn: float = 60.0
    mirror: float = 0.5
    stretch: float = 0.2
    shear: float = 0.2
    perspective: float = 0.12
    hue: float = 25.0
    saturation: float = 0.35
    brightness: float = 0.25
    contrast: float = 0.25
    blur: float = 0.02
    cover: float = 0.25

    def check(self) -> None:
        """Raise `UsageError` where a setting is out of range."""
        SceneConfig.check(self)
        rules = (
            (self.shapes == "emoji", "shapes must be emoji"),
            (0 <= self.turn <= 180 and 0 <= self.hue <= 180, "turn and hue must be 0 to 180"),
            (0 <= self.mirror <= 1 and 0 <= self.cover <= 1, "mirror and cover must be 0 to 1"),
            (0 <= self.perspective <= 0.3, "perspective must be 0 to 0.3"),
            (
                all(0 <= value < 1 for value in (self.stretch, self.shear, self.blur)),
                "stretch, shear and blur must be at least 0 and under 1",
            ),
            (
                all(0 <= v <= 1 for v in (self.saturation, self.brightness, self.contrast)),
                "saturation, brightness and contrast must be 0 to 1",
            ),
        )
        for holds, rule in rules:
            if not holds:
                raise UsageError(f"world settings: {rule}; got {self}")
