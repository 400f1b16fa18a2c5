"""`make picture`: draws what the README shows, a simulated narrative before and after.

Left, the scene with the pointer's trace coloured by time; right, the same scene with the ALPs that the builder
made of it. Everything shown is simulated.
"""

from __future__ import annotations

import argparse
import colorsys
import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import msgspec
from PIL import Image, ImageDraw, ImageFont

from alp_builder.config import BuildConfig
from alp_builder.extraction import AlpExtractor
from alp_builder.files import write_atomic
from alp_builder.narratives import NarrativeBatch
from alp_builder.records import NarrativeRecord

SIDE = 560
GAP = 16
TEXT_HEIGHT = 92
FONT_SIZE = 15


def main() -> int:
    """Draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("narratives", type=Path, help="simulated narratives")
    parser.add_argument("images", type=Path, help="folder of their images")
    parser.add_argument("--index", type=int, default=0, help="which narrative")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    args = parser.parse_args()
    line = args.narratives.read_bytes().splitlines()[args.index]
    record = msgspec.json.decode(line, type=NarrativeRecord)
    write_atomic(args.out, draw(record, args.images))
    return 0


def draw(record: NarrativeRecord, images: Path) -> bytes:
    """The picture of one narrative as PNG bytes."""
    file = images / f"{record.image_id:0>9}.jpg"
    scene = Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (2 * SIDE + GAP, SIDE + TEXT_HEIGHT), "white")
    canvas.paste(scene, (0, 0))
    canvas.paste(scene, (SIDE + GAP, 0))
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(FONT_SIZE)
    _draw_trace(pen, record)
    table = AlpExtractor(BuildConfig()).extract(NarrativeBatch.from_records([record])).rows
    for number, row in enumerate(table.to_pylist()):
        color = _hue(number / max(table.num_rows, 1))
        box = [row[name] * SIDE for name in ("x0", "y0", "x1", "y1")]
        box[0], box[2] = box[0] + SIDE + GAP, box[2] + SIDE + GAP
        pen.rectangle(box, outline=color, width=3)
        place = (box[0] + 4, min(box[1] + 2, SIDE - FONT_SIZE - 6))
        pen.rectangle(pen.textbbox(place, row["phrase_text"], font), fill=color)
        pen.text(place, row["phrase_text"], "white", font)
    text = "simulated narrative: " + record.caption
    for number, part in enumerate(_wrap(text, pen, font)):
        pen.text((4, SIDE + 8 + number * (FONT_SIZE + 5)), part, "black", font)
    target = BytesIO()
    canvas.save(target, "PNG", optimize=True)
    return bytes(target.getvalue())


def _draw_trace(pen: ImageDraw.ImageDraw, record: NarrativeRecord) -> None:
    """The trace on the left scene, from blue (first) to red (last)."""
    end = max(point.t for segment in record.traces or [] for point in segment) or 1.0
    for segment in record.traces or []:
        for a, b in pairwise(segment):
            ends = [(p.x * SIDE, p.y * SIDE) for p in (a, b)]
            if all(0 <= x < SIDE and 0 <= y < SIDE for x, y in ends):
                pen.line(ends, fill=_hue(0.66 * (1 - b.t / end)), width=3)


def _hue(value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(value, 0.85, 0.75)
    return int(255 * red), int(255 * green), int(255 * blue)


def _wrap(
    text: str, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> list[str]:
    """The text in lines that fit the canvas."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) > 2 * SIDE:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


if __name__ == "__main__":
    sys.exit(main())
