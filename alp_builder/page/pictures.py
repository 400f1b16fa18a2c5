"""Image files into bounded JPEG, or links to them; files that are not what they should be are refused.

A file says its size before anything is decoded, and one of too many pixels is not decoded at all. The others are
turned as their EXIF says (as the trainer does it), shrunk and encoded anew, so that no byte of a foreign file gets
into a page; sizes go down until an image fits its share of the page.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from PIL import Image, ImageOps

from alp_builder.page.config import PageConfig

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_SMALLER = 0.75
_THREADS = 4
_BATCH = 16
_EXIF_ORIENTATION = 0x0112
_QUARTER_TURNS = range(5, 9)


@dataclass(frozen=True)
class Picture:
    """An image as a page shows it.

    Attributes:
        width: Pixels of the file as it is shown.
        height: Pixels of the file as it is shown.
        data: JPEG in base64; empty where there is none.
        side: Longer side of the JPEG, pixels.
        problem: Why there is no image, in words.
        link: Address of the file, where it is linked.
    """

    width: int = 4
    height: int = 3
    data: str = ""
    side: int = 0
    problem: str = ""
    link: str = ""


class RefusedImageError(Exception):
    """A file that is shown as missing; the message says why."""


def _open(file: Path, config: PageConfig) -> Image.Image:
    """An image that is not decoded yet."""
    image = Image.open(file, formats=_FORMATS)
    if image.width * image.height > config.max_pixels:
        size = f"{image.width} x {image.height}"
        raise RefusedImageError(f"refused: {size} pixels, at most {config.max_pixels:,} are shown")
    return image


def _problem(error: Exception, config: PageConfig) -> str:
    """Why an image is not shown, in words."""
    if isinstance(error, RefusedImageError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"refused: more than {config.max_pixels:,} pixels"
    return "not a readable image"


def encode(file: Path, budget: int, config: PageConfig) -> Picture:
    """An image as JPEG of at most `budget` bytes of base64."""
    try:
        with _open(file, config) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION) in _QUARTER_TURNS
            width, height = image.size[::-1] if turned else image.size
            image.draft("RGB", (config.image_side, config.image_side))
            pixels = ImageOps.exif_transpose(image).convert("RGB")
        side = min(config.image_side, max(width, height))
        while True:
            pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
            target = BytesIO()
            pixels.save(target, "JPEG", quality=config.jpeg_quality, optimize=True)
            data = b64encode(target.getvalue()).decode("ascii")
            if len(data) <= budget:
                return Picture(width, height, data, max(pixels.size))
            side = int(side * _SMALLER)
            if side < config.least_side:
                return Picture(width, height, problem="left out: the page would grow too large")
    except Exception as error:  # noqa: BLE001 - decoders raise whatever broken files make them meet
        return Picture(problem=_problem(error, config))


def link(file: Path, page: Path, config: PageConfig) -> Picture:
    """An image that the page refers to."""
    try:
        with _open(file, config) as image:
            image.verify()
            width, height = image.size
    except Exception as error:  # noqa: BLE001 - as above
        return Picture(problem=_problem(error, config))
    relative = os.path.relpath(file, os.path.realpath(page.parent))
    return Picture(width, height, link=quote(relative.replace(os.sep, "/")))


def encode_all(files: list[Path], budget: int, config: PageConfig) -> Iterator[Picture]:
    """`encode` of many files, in order, a few at a time."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(files), _BATCH):  # so that few wait encoded in memory
            some = files[first : first + _BATCH]
            yield from pool.map(lambda file: encode(file, budget, config), some)
