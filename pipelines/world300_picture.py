"""Picture of the 300-class world for the docs: scenes, and below each the masks of its things.

python -m pipelines.world300_picture [--emoji-font FILE] --out docs/images/world300.png
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from alp_builder.errors import AlpError
from alp_builder.files import write_atomic
from alp_builder.simulate import EmojiConfig
from alp_builder.simulate.dice import generator
from alp_builder.simulate.emoji_things import emoji_things
from alp_builder.simulate.scenes import Scene, draw_scene

SCENES = 6
"""Scenes of the picture, the first of the train split."""

SIDE = 200
"""Side of a scene in pixels."""

GAP = 4
"""Pixels between scenes."""


def picture(font: str = "") -> bytes:
    """The picture as PNG.

    Raises:
        UsageError: If there is no font.
    """
    config, things = emoji_things(EmojiConfig(image_size=SIDE, min_things=5), font)
    step = SIDE + GAP
    canvas = Image.new("RGB", (SCENES * step - GAP, 2 * step - GAP), "white")
    for index in range(SCENES):
        scene = draw_scene(config, "train", index, things)
        canvas.paste(Image.fromarray(scene.image), (index * step, 0))
        canvas.paste(masks(scene), (index * step, step))
    buffer = io.BytesIO()
    # A palette is enough for a page, and a third of the bytes.
    canvas.quantize(192, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def masks(scene: Scene) -> Image.Image:
    """The masks of a scene's things, each in a colour of its own; background black."""
    colors = generator("mask colours").integers(80, 256, (len(scene.kinds) + 1, 3))
    colors[-1] = 0
    return Image.fromarray(colors[scene.owner].astype(np.uint8))


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emoji-font", default="", help="by default the one installed")
    parser.add_argument("--out", type=Path, default=Path("docs/images/world300.png"))
    args = parser.parse_args(arguments)
    try:
        write_atomic(args.out, picture(args.emoji_font))
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
