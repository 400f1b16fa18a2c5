"""A colour-emoji font made on the spot, in the format of Noto Color Emoji: bitmaps of 109 pixels an em."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import newTable
from fontTools.ttLib.tables.BitmapGlyphMetrics import SmallGlyphMetrics
from fontTools.ttLib.tables.C_B_D_T_ import cbdt_bitmap_format_17
from fontTools.ttLib.tables.E_B_L_C_ import (
    BitmapSizeTable,
    SbitLineMetrics,
    Strike,
    eblc_index_sub_table_1,
)
from PIL import Image, ImageDraw

WIDTH, HEIGHT, EM = 136, 128, 2048
PIXELS = 109


def disc(index: int) -> Image.Image:
    """A picture that no other index has: a disc of a colour, with a hole; 120 x 100 pixels of it painted."""
    picture = Image.new("RGBA", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(picture)
    color = (40 + index * 37 % 200, 40 + index * 91 % 200, 40 + index * 53 % 200, 255)
    pen.ellipse((8, 14, 127, 113), fill=color)
    x = 30 + index * 29 % 60
    pen.ellipse((x, 40, x + 24, 64), fill=(0, 0, 0, 0))
    return picture


def write_font(path: Path, texts: Sequence[str], pictures: Sequence[Image.Image]) -> Path:
    """Write a font that has the pictures for the characters, and nothing for any other."""
    names = [f"g{i}" for i in range(len(texts))]
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap({ord(t[0]): n for t, n in zip(texts, names, strict=True)})
    builder.setupGlyf({})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", *names), (2550, 0)))
    builder.setupHorizontalHeader(ascent=1900, descent=-500)
    builder.setupNameTable({"familyName": "Test Emoji", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    font = builder.font
    data = {}
    for name, picture in zip(names, pictures, strict=True):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        glyph = cbdt_bitmap_format_17(b"", font)
        glyph.metrics = SmallGlyphMetrics()
        glyph.metrics.height, glyph.metrics.width = HEIGHT, WIDTH
        glyph.metrics.BearingX, glyph.metrics.BearingY, glyph.metrics.Advance = 0, 101, WIDTH
        glyph.imageData = buffer.getvalue()
        data[name] = glyph
    font["CBDT"] = newTable("CBDT")
    font["CBDT"].version, font["CBDT"].strikeData = 3.0, [data]
    font["CBLC"] = newTable("CBLC")
    font["CBLC"].version, font["CBLC"].strikes = 3.0, [_strike(font, names)]
    del font["glyf"], font["loca"]
    font.save(path)
    return path


def _strike(font: object, names: list[str]) -> Strike:
    table = BitmapSizeTable()
    table.colorRef, table.flags, table.bitDepth = 0, 1, 32
    table.ppemX = table.ppemY = PIXELS
    table.startGlyphIndex, table.endGlyphIndex = 1, len(names)
    for direction in ("hori", "vert"):
        line = SbitLineMetrics()
        for field in (
            "caretSlopeNumerator", "caretSlopeDenominator", "caretOffset", "minOriginSB",
            "minAdvanceSB", "maxBeforeBL", "minAfterBL", "pad1", "pad2",
        ):  # fmt: skip
            setattr(line, field, 0)
        line.ascender, line.descender, line.widthMax = 101, -27, WIDTH
        setattr(table, direction, line)
    strike = Strike()
    strike.bitmapSizeTable = table
    index = eblc_index_sub_table_1(b"", font)
    index.indexFormat, index.imageFormat = 1, 17
    index.firstGlyphIndex, index.lastGlyphIndex = 1, len(names)
    index.names = list(names)
    strike.indexSubTables = [index]
    return strike
