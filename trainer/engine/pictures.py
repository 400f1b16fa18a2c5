"""Pictures of detections: masks, boxes, names and scores drawn over the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import Instances
from detectron2.utils.visualizer import ColorMode, Visualizer
from numpy.typing import NDArray
from PIL import Image

from trainer.files import whole

MIN_SIDE = 640
"""Shorter side of a picture in pixels; smaller images are drawn larger, so that names can be read."""


def draw(
    pixels: NDArray[np.uint8], found: Instances, names: Sequence[str], threshold: float
) -> NDArray[np.uint8]:
    """An image with its detections.

    Args:
        pixels: RGB, `(H, W, 3)`.
        found: Detections at this size, on the CPU.
        names: Of the classes.
        threshold: Least score to draw.

    Returns:
        RGB, of the image's size or larger.
    """
    # Metadata of its own, for detectron2's catalogue is global. A dollar would start a formula.
    metadata = Metadata(thing_classes=[name.replace("$", r"\$") for name in names])
    scale = max(1.0, MIN_SIDE / min(pixels.shape[:2]))
    canvas = Visualizer(pixels, metadata, scale=scale, instance_mode=ColorMode.IMAGE)
    shown = found[found.scores >= threshold]
    drawn: NDArray[np.uint8] = canvas.draw_instance_predictions(shown).get_image()
    return drawn


def save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture to a file that appears whole or not at all."""
    with whole(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")
