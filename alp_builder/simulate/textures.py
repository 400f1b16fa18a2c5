"""Patterns, light and noise that are put on things and backgrounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alp_builder.simulate.dice import Dice
from alp_builder.simulate.vocabulary import CHECKED, DOTTED, STRIPED


def pattern_mask(pattern: str, shape: tuple[int, ...], dice: Dice) -> NDArray[np.bool_] | None:
    """Where a pattern puts its second colour.

    Args:
        pattern: `STRIPED`, `DOTTED`, `CHECKED` or empty.
        shape: Height and width of the raster.
        dice: Where direction, period and phase come from.

    Returns:
        `(height, width)`, or `None` for no pattern.
    """
    if not pattern:
        return None
    height, width = shape
    side = max(shape)
    periods = dice.between(3.0, 6.0)
    turn = dice.between(-0.4, 0.4) + (np.pi / 2 if dice.chance(0.5) else 0.0)
    x = np.arange(width, dtype=np.float32)[None, :] * np.float32(periods / side)
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(periods / side)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = c * x + s * y + np.float32(dice.uniform())
    if pattern == STRIPED:
        return (u % 1) < 0.45
    v = c * y - s * x + np.float32(dice.uniform())
    if pattern == CHECKED:
        return ((u % 1) < 0.5) ^ ((v % 1) < 0.5)
    if pattern == DOTTED:
        return ((u % 1) - 0.5) ** 2 + ((v % 1) - 0.5) ** 2 < 0.085
    raise ValueError(f"pattern {pattern!r} is unknown")


def shade(shape: tuple[int, ...], light: float, dice: Dice) -> NDArray[np.float32]:
    """Light on a thing: brighter towards the light, and uneven; `(height, width)`, about 1."""
    height, width = shape
    strength = dice.between(0.05, 0.28)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(np.cos(light))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(np.sin(light))
    return 1 + np.float32(strength) * (x + y) + smooth_noise(shape, 5, dice) * np.float32(0.12)


def smooth_noise(shape: tuple[int, ...], cells: int, dice: Dice) -> NDArray[np.float32]:
    """Value noise: random values on a coarse grid, interpolated; `(height, width)` in [-1, 1]."""
    height, width = shape
    coarse = (dice.rng.random((cells, cells), dtype=np.float32) * 2 - 1).astype(np.float32)
    fine = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(fine)
