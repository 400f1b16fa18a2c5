"""Glyphs of a colour-emoji font as pictures with transparency.

Noto Color Emoji holds bitmaps of one size, 109 pixels an em (its CBDT table), and FreeType gives them at
that size only. A glyph is cropped to what is painted and kept with its halves, quarters ..., so that a
small thing is drawn from a small picture; colours are multiplied by their transparency, as averaging needs.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from alp_builder.errors import BadDataError, UsageError

STRIKE = 109
"""Pixels an em of the font's bitmaps."""

MOST_TABLES = 100
"""Tables of a font that are looked through."""

SMALLEST = 12
"""A picture is halved while its longer side stays at least so long."""

FONT_VARIABLE = "ALPS_EMOJI_FONT"
"""Environment variable that names the font, where no argument does."""

FONT_FILES = (
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf",
    "/usr/share/fonts/google-noto-color-emoji-fonts/NotoColorEmoji.ttf",
    "~/.local/share/fonts/NotoColorEmoji.ttf",
    "~/.fonts/NotoColorEmoji.ttf",
    "~/Library/Fonts/NotoColorEmoji.ttf",
)
"""Where distributions put the font."""

HOW = "install one (Debian, Ubuntu: apt install fonts-noto-color-emoji) or give --emoji-font FILE"


@dataclass(frozen=True, slots=True)
class Glyph:
    """A painted glyph.

    Attributes:
        text: The character.
        levels: The picture and its halves, quarters ...: mode `RGBa`, colours times transparency.
    """

    text: str
    levels: tuple[Image.Image, ...]

    def at(self, side: float) -> Image.Image:
        """The smallest picture whose longer side is at least `side`, or the largest."""
        for level in reversed(self.levels):
            if max(level.size) >= side:
                return level
        return self.levels[0]


def find_font(given: str = "") -> Path:
    """The font to use: the file given, that of the environment, or the one installed.

    Args:
        given: A file, or empty.

    Raises:
        UsageError: If there is none.
    """
    named = given or os.environ.get(FONT_VARIABLE, "")
    if named:
        if not Path(named).is_file():
            raise UsageError(f"{named}: no such font file; {HOW}")
        return Path(named)
    for name in FONT_FILES:
        if (path := Path(name).expanduser()).is_file():
            return path
    raise UsageError(f"no colour-emoji font found: {HOW}")


def font_sha256(path: Path) -> str:
    """Hash of a font file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_glyph(font: str | Path, text: str) -> Glyph:
    """A character of a font; read once by each process.

    Args:
        font: A font with colour bitmaps of `STRIKE` pixels.
        text: The character.

    Raises:
        UsageError: If the file is no such font.
        BadDataError: If it lacks the character.
    """
    return _read_glyph(str(font), text)


@cache
def _read_glyph(font: str, text: str) -> Glyph:
    face = _open(font)
    picture = _paint(face, text)
    box = picture.getchannel("A").getbbox()
    if box is None or picture.tobytes() == _missing(font):
        raise BadDataError(f"{font}: has no colour glyph of {text!r}; {HOW}")
    levels = [picture.crop(box).convert("RGBa")]
    while max(levels[-1].size) >= 2 * SMALLEST:
        levels.append(levels[-1].reduce(2))
    return Glyph(text, tuple(levels))


@cache
def _missing(font: str) -> bytes:
    """What the font paints for a character that it lacks."""
    return _paint(_open(font), "\U0010ffff").tobytes()


@cache
def _open(font: str) -> ImageFont.FreeTypeFont:
    if b"CBDT" not in _tables(Path(font)):
        raise UsageError(f"{font}: no font with colour bitmaps (a table CBDT); {HOW}")
    try:
        return ImageFont.truetype(font, STRIKE, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise UsageError(
            f"{font}: no font with colour bitmaps of {STRIKE} pixels ({error}); {HOW}"
        ) from error


def _tables(font: Path) -> set[bytes]:
    """Tags of the tables of a TrueType or OpenType file; none of any other file."""
    with font.open("rb") as file:
        _, count = struct.unpack(">IH6x", file.read(12).ljust(12, b"\0"))
        listed = file.read(16 * min(count, MOST_TABLES))
    return {listed[at : at + 4] for at in range(0, len(listed), 16)}


def _paint(face: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    """A character on a transparent canvas that holds any glyph of the strike."""
    canvas = Image.new("RGBA", (2 * STRIKE, 2 * STRIKE))
    pen = ImageDraw.Draw(canvas)
    pen.text((STRIKE // 4, STRIKE // 4), text, font=face, embedded_color=True)
    return canvas


def thumbnail(glyph: Glyph, side: int) -> NDArray[np.float32]:
    """A glyph with its longer side scaled to `side`, centred; `(side, side, 4)`, levels 0 to 255.

    Args:
        glyph: The glyph.
        side: Side of the thumbnail in pixels.

    Returns:
        Colours times transparency, and transparency.
    """
    picture = glyph.levels[0]
    zoom = side / max(picture.size)
    w, h = (max(1, round(length * zoom)) for length in picture.size)
    result = np.zeros((side, side, 4), dtype=np.float32)
    y, x = (side - h) // 2, (side - w) // 2
    result[y : y + h, x : x + w] = np.asarray(picture.resize((w, h), Image.Resampling.BOX))
    return result
