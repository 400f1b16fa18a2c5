"""Backgrounds: two kinds of stuff with texture, and clutter that is nothing in particular."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from alp_builder.simulate.dice import Dice
from alp_builder.simulate.textures import smooth_noise
from alp_builder.simulate.vocabulary import LOWER_STUFF, UPPER_STUFF


@dataclass(frozen=True, slots=True)
class Background:
    """A painted background.

    Attributes:
        pixels: `(size, size, 3)`, float32 grey levels.
        names: Names of the upper and the lower stuff.
        horizon: Where the lower stuff starts, in image heights.
    """

    pixels: NDArray[np.float32]
    names: list[str]
    horizon: float


def paint_background(size: int, clutter: int, dice: Dice) -> Background:
    """Paint a background.

    Args:
        size: Side of the image in pixels.
        clutter: Most pieces of clutter.
        dice: Where everything comes from.
    """
    upper, lower = dice.choice(tuple(UPPER_STUFF)), dice.choice(tuple(LOWER_STUFF))
    horizon = dice.between(0.3, 0.7)
    colors = [
        tuple(int(np.clip(c + dice.between(-28, 28), 0, 255)) for c in rgb)
        for rgb in (UPPER_STUFF[upper], LOWER_STUFF[lower])
    ]
    image = Image.new("RGB", (size, size), colors[0])
    draw = ImageDraw.Draw(image)
    steps = 6
    edge = [
        (size * i / steps, size * (horizon + dice.between(-0.03, 0.03))) for i in range(steps + 1)
    ]
    draw.polygon([(0, size), *edge, (size, size)], fill=colors[1])
    for _ in range(dice.below(clutter + 1)):
        _clutter(draw, size, colors[dice.chance(0.6)], dice)
    pixels = np.asarray(image).astype(np.float32)
    rough, fine = dice.between(6, 26), dice.between(2, 16)
    noise = smooth_noise((size, size), 4 + dice.below(6), dice) * np.float32(rough)
    noise = noise + smooth_noise((size, size), size // 6 + 1, dice) * np.float32(fine)
    pixels += noise[:, :, None]
    return Background(pixels, [upper, lower], round(horizon, 4))


def _clutter(draw: ImageDraw.ImageDraw, size: int, color: tuple[int, ...], dice: Dice) -> None:
    """A piece of clutter: a blob, a shard or a line in nearly the background's or any colour."""
    amount = 90.0 if dice.chance(0.35) else 34.0
    ink = tuple(int(np.clip(c + dice.between(-amount, amount), 0, 255)) for c in color)
    x, y = dice.between(0, size), dice.between(0, size)
    w, h = (dice.between(0.01, 0.14) * size for _ in range(2))
    kind = dice.below(4)
    if kind == 0:
        draw.ellipse((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=ink)
    elif kind == 1:
        corners = [(x + w * dice.between(-1, 1), y + h * dice.between(-1, 1)) for _ in range(4)]
        draw.polygon(corners, fill=ink)
    elif kind == 2:
        draw.rectangle((x, y, x + w, y + h / 3), fill=ink)
    else:
        end = (x + 3 * w * dice.between(-1, 1), y + 3 * h * dice.between(-1, 1))
        draw.line([(x, y), end], fill=ink, width=1 + dice.below(4))
