"""Things of an emoji world: a font's glyphs, turned, bent, recoloured, blurred and partly covered.

There is one picture of a class, so a model would know it by heart; each thing is therefore seen anew. The
picture's corners go by a matrix (turn, mirror, shear, stretch) and each a little further by itself, which is
a perspective; the picture is drawn at twice the size through that homography and 2 x 2 subpixels averaged.
Colours are premultiplied, so a linear change of colours is a matrix on them, and contrast needs the coverage:
c -> k c + (1 - k) 128 a. The mask is where at least half a pixel is covered, after all of this; a bar that lies
over the thing hides it and what is behind it, and is nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from alp_builder.errors import UsageError
from alp_builder.simulate.config import EmojiConfig
from alp_builder.simulate.dice import Dice
from alp_builder.simulate.emoji_classes import emoji_classes
from alp_builder.simulate.glyphs import find_font, font_sha256, read_glyph
from alp_builder.simulate.scenes import Sprite
from alp_builder.simulate.textures import shade
from alp_builder.simulate.vocabulary import LOWER_STUFF, UPPER_STUFF, WorldClass

MARGIN = 2
"""Pixels round a thing, which its blur may need."""

MIDDLE = 128.0
"""Grey level that contrast leaves as it is."""

BAR_WIDTH = (0.06, 0.2)
"""Width of a bar over a thing, in its longer sides."""

BAR_COLORS = (*UPPER_STUFF.values(), *LOWER_STUFF.values())

TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""RGB to luma and two chroma axes (NTSC), in which hue is an angle and saturation a length."""


@dataclass(frozen=True, slots=True)
class EmojiThings:
    """What draws the things of an emoji world; see `alp_builder.simulate.scenes.Things`.

    Attributes:
        config: How far a thing goes from its picture.
        font: The font's file.
    """

    config: EmojiConfig
    font: str

    @property
    def classes(self) -> tuple[WorldClass, ...]:
        """The classes, base first."""
        return emoji_classes()

    def pick(self, dice: Dice) -> tuple[WorldClass, str]:
        """A class; what colour a thing will have is not known, so there is no word for it."""
        return dice.choice(self.classes), ""

    def draw(self, kind: WorldClass, color: str, side: float, light: float, dice: Dice) -> Sprite:
        """A thing of a class, its longer side about `side` pixels."""
        picture = self._bent(kind.shape, side, dice)
        if self.config.blur:
            radius = dice.between(0.0, self.config.blur) * side
            picture = picture.filter(ImageFilter.GaussianBlur(radius))
        values = np.asarray(picture, dtype=np.float32)
        coverage = np.ascontiguousarray(values[:, :, 3]) / np.float32(255)
        pixels = self._recolored(values[:, :, :3], coverage, dice)
        pixels *= shade(coverage.shape, light, dice)[:, :, None]
        solid = mask = coverage >= 0.5
        if dice.chance(self.config.cover):
            bar, ink = _bar(coverage.shape, dice)
            pixels = pixels * (1 - bar[:, :, None]) + ink * bar[:, :, None]
            coverage = coverage + bar - coverage * bar
            mask, solid = mask & (bar < 0.5), coverage >= 0.5
        return Sprite(kind, color, pixels, coverage, mask, solid)

    def _bent(self, text: str, side: float, dice: Dice) -> Image.Image:
        """The glyph through a homography, mode `RGBa`, cropped to what is seen and a margin."""
        source = read_glyph(self.font, text).at(2 * side)
        w, h = source.size
        rectangle = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
        corners = (rectangle - [w / 2, h / 2]) @ self._matrix(dice).T
        reach = self.config.perspective * np.abs(corners).max()
        corners += [[dice.between(-reach, reach) for _ in range(2)] for _ in range(4)]
        low, high = corners.min(axis=0), corners.max(axis=0)
        corners = (corners - low) * (2 * side / float((high - low).max()))
        width, height = np.ceil(corners.max(axis=0) / 2).astype(int).tolist()
        canvas = (2 * (width + 2 * MARGIN), 2 * (height + 2 * MARGIN))
        numbers = _homography(corners + 2 * MARGIN, rectangle)
        drawn = source.transform(
            canvas, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR
        ).reduce(2)
        x0, y0, x1, y1 = drawn.getbbox(alpha_only=False) or (0, 0, 1, 1)
        return drawn.crop((x0 - MARGIN, y0 - MARGIN, x1 + MARGIN, y1 + MARGIN))

    def _matrix(self, dice: Dice) -> NDArray[np.float64]:
        c = self.config
        turn = np.radians(c.turn) * dice.between(-1, 1)
        stretch = dice.between(-c.stretch, c.stretch)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        bend = np.array([[1 + stretch, dice.between(-c.shear, c.shear)], [0.0, 1 - stretch]])
        matrix: NDArray[np.float64] = rotation @ bend
        if dice.chance(c.mirror):
            matrix[:, 0] *= -1
        return matrix

    def _recolored(
        self, pixels: NDArray[np.float32], coverage: NDArray[np.float32], dice: Dice
    ) -> NDArray[np.float32]:
        """Premultiplied colours `(h, w, 3)` after a change of hue, saturation, light and contrast."""
        c = self.config
        hue = np.radians(c.hue) * dice.between(-1, 1)
        strength = 1 + dice.between(-c.saturation, c.saturation)
        turned = strength * np.array([[np.cos(hue), -np.sin(hue)], [np.sin(hue), np.cos(hue)]])
        chroma = np.eye(3)
        chroma[1:, 1:] = turned
        contrast = 1 + dice.between(-c.contrast, c.contrast)
        gain = contrast * (1 + dice.between(-c.brightness, c.brightness))
        matrix = (gain * np.linalg.inv(TO_YIQ) @ chroma @ TO_YIQ).astype(np.float32)
        result: NDArray[np.float32] = pixels @ matrix.T
        result += np.float32((1 - contrast) * MIDDLE) * coverage[:, :, None]
        return np.clip(result, 0, 255 * coverage[:, :, None], out=result)


def emoji_things(config: EmojiConfig, font: str = "") -> tuple[EmojiConfig, EmojiThings]:
    """The settings with the hash of the font that is there, and what draws with it.

    Args:
        config: Settings; without a hash they take the font's.
        font: Font file; by default the one installed.

    Raises:
        UsageError: If there is no font, or it is not the one the settings name.
    """
    path = find_font(font)
    sha256 = font_sha256(path)
    if config.font_sha256 not in ("", sha256):
        raise UsageError(
            f"{path} is not the font of these settings (sha256 {sha256[:12]}, "
            f"expected {config.font_sha256[:12]}); give --emoji-font FILE"
        )
    found = EmojiConfig(
        **{name: getattr(config, name) for name in config.__struct_fields__}
        | {"font_sha256": sha256}
    )
    things = EmojiThings(found, str(path))
    read_glyph(path, things.classes[0].shape)
    return found, things


def _homography(target: NDArray[np.float64], source: NDArray[np.float64]) -> list[float]:
    """The eight numbers that take target points `(4, 2)` to source points, as Pillow wants them."""
    rows = []
    for (x, y), (u, v) in zip(target.tolist(), source.tolist(), strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    numbers: list[float] = np.linalg.solve(np.array(rows), source.ravel()).tolist()
    return numbers


def _bar(shape: tuple[int, ...], dice: Dice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A bar across a box: coverage `(h, w)`, and its colour."""
    h, w = shape
    long = max(shape)
    x, y = (length * dice.between(0.25, 0.75) for length in (w, h))
    turn = dice.between(0, np.pi)
    half = dice.between(*BAR_WIDTH) * long / 2
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    ends = [along * long * s + across * half * t for s, t in ((-1, -1), (-1, 1), (1, 1), (1, -1))]
    picture = Image.new("L", (2 * w, 2 * h))
    middle = np.array([x, y])
    corners = [tuple((2 * (end + middle)).tolist()) for end in ends]
    ImageDraw.Draw(picture).polygon(corners, fill=255)
    bar = np.asarray(picture.reduce(2), dtype=np.float32) / np.float32(255)
    color = [c + dice.between(-40, 40) for c in dice.choice(BAR_COLORS)]
    return bar, np.clip(np.array(color, dtype=np.float32), 0, 255)
