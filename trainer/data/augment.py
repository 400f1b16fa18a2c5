"""Geometric augmentation: flip, and either resizing or large-scale jitter; phrases follow a flip.

Parameters are drawn from a generator given by the caller, never from global state, so an item is a
function of (seed, step, position). The transforms themselves are detectron2's (fvcore's), which
know images, boxes, polygons and bitmaps; only resizing is our own subclass, because OpenCV resizes
several times faster than Pillow, and when an image shrinks its area interpolation does not alias.

* **resize** (detectron2's standard recipe): the shorter side becomes a size drawn from a list, the
  longer one stays below a limit.
* **jitter** (large-scale jitter, Ghiasi et al., CVPR 2021): the image is scaled to a random
  multiple of a target size, then cut, or padded at the bottom and the right, to that size.

A flip turns left into right: "the man on the left" in a mirrored image is on the right. The words
are swapped in the phrase, so that its text stays true.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import cv2
import msgspec
import numpy as np
from detectron2.data import transforms as T  # noqa: N812 - detectron2's own name for it
from numpy.typing import NDArray

from alp_builder.errors import UsageError


class AugmentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to an image and its boxes and masks.

    Attributes:
        mode: `resize` or `jitter`, see the module.
        short_sides: Lengths the shorter side is drawn from, in pixels (`resize`).
        max_long_side: Longest the longer side may become, in pixels (`resize`).
        jitter_size: Height and width of the result, in pixels (`jitter`).
        jitter_scale: Smallest and largest scale relative to `jitter_size` (`jitter`).
        flip: Probability of a horizontal flip.
        pad_value: Grey level of padding (`jitter`).
    """

    mode: Literal["resize", "jitter"] = "resize"
    short_sides: tuple[int, ...] = (640, 672, 704, 736, 768, 800)
    max_long_side: int = 1333
    jitter_size: tuple[int, int] = (1024, 1024)
    jitter_scale: tuple[float, float] = (0.1, 2.0)
    flip: float = 0.5
    pad_value: int = 128

    def __post_init__(self) -> None:
        if self.mode not in ("resize", "jitter"):
            raise UsageError(f"augmentation mode {self.mode!r}: expected 'resize' or 'jitter'")
        if not self.short_sides or min(self.short_sides) < 1 or self.max_long_side < 1:
            raise UsageError("short_sides and max_long_side: expected lengths of 1 pixel or more")
        if not 0 < self.jitter_scale[0] <= self.jitter_scale[1] or not 0 <= self.flip <= 1:
            raise UsageError("jitter_scale: expected 0 < smallest <= largest; flip: 0 to 1")


class Resize(T.ResizeTransform):  # type: ignore[misc]
    """`ResizeTransform` by OpenCV: area interpolation where the image shrinks, else bilinear."""

    def __init__(self, h: int, w: int, new_h: int, new_w: int) -> None:
        super().__init__(h, w, new_h, new_w)

    def apply_image(self, img: NDArray[Any], interp: int | None = None) -> NDArray[Any]:
        """Resize an image of shape `(H, W)` or `(H, W, C)`; a given `interp` means nearest."""
        if (self.new_h, self.new_w) == img.shape[:2]:
            return img
        shrinks = self.new_h < self.h and self.new_w < self.w
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        # OpenCV's INTER_NEAREST takes the first pixel of several, and so moves what shrinks.
        how = cv2.INTER_NEAREST_EXACT if interp is not None else how
        return np.asarray(cv2.resize(img, (self.new_w, self.new_h), interpolation=how))


def draw_transforms(
    height: int, width: int, config: AugmentConfig, rng: np.random.Generator
) -> tuple[T.TransformList, bool]:
    """Draw the transforms of one image.

    Args:
        height: Image height in pixels.
        width: Image width in pixels.
        config: What may be drawn.
        rng: Source of the draws.

    Returns:
        The transforms, and whether they mirror the image.
    """
    flipped = bool(rng.random() < config.flip)
    if config.mode == "resize":
        side = int(config.short_sides[rng.integers(len(config.short_sides))])
        new_h, new_w = resized(height, width, side, config.max_long_side)
        steps: list[Any] = [Resize(height, width, new_h, new_w)]
    else:
        steps = _jitter(height, width, config, rng)
        new_w = config.jitter_size[1]
    if flipped:
        steps.append(T.HFlipTransform(new_w))
    return T.TransformList(steps), flipped


def resized(height: int, width: int, short_side: int, max_long_side: int) -> tuple[int, int]:
    """Height and width after the shorter side is `short_side`, unless the longer gets too long."""
    scale = min(short_side / min(height, width), max_long_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _jitter(height: int, width: int, config: AugmentConfig, rng: np.random.Generator) -> list[Any]:
    """Scale, then cut and pad to `config.jitter_size`."""
    out_h, out_w = config.jitter_size
    scale = rng.uniform(*config.jitter_scale)
    fit = min(out_h * scale / height, out_w * scale / width)
    new_h, new_w = max(1, round(height * fit)), max(1, round(width * fit))
    y0 = int(rng.integers(max(0, new_h - out_h), endpoint=True))
    x0 = int(rng.integers(max(0, new_w - out_w), endpoint=True))
    crop_h, crop_w = min(new_h, out_h), min(new_w, out_w)
    steps: list[Any] = [Resize(height, width, new_h, new_w)]
    if (crop_h, crop_w) != (new_h, new_w):
        steps.append(T.CropTransform(x0, y0, crop_w, crop_h, new_w, new_h))
    if (crop_h, crop_w) != (out_h, out_w):
        pad_y, pad_x = out_h - crop_h, out_w - crop_w
        pad = T.PadTransform(0, 0, pad_x, pad_y, crop_w, crop_h, config.pad_value)
        steps.append(pad)
    return steps


_SIDE = re.compile(
    r"(?<![A-Za-z])(left|right)(?=(?:most|hand|ward|wards)?(?![A-Za-z]))", re.IGNORECASE
)


def mirrored_text(text: str) -> str:
    """The phrase as it reads in the mirrored image: "left" and "right" swapped.

    Whole words only, and their forms in -most, -hand and -ward(s); "bright", "leftover" and
    "copyright" stay. Capitals are kept.

    >>> mirrored_text("leftmost man with bright hat on the right-hand side")
    'rightmost man with bright hat on the left-hand side'
    """

    def other(match: re.Match[str]) -> str:
        word = match.group(1)
        swapped = "right" if word.lower() == "left" else "left"
        return (
            swapped.upper() if word.isupper() else swapped.title() if word[0].isupper() else swapped
        )

    return _SIDE.sub(other, text)
