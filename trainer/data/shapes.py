"""Which images are higher than wide, read once from the files' headers and kept.

Batches of one shape need less padding, and with several processes the slowest one sets the pace.
COCO files say the size of every image; narratives do not, so the headers of half a million images
are read once (a minute or two) and the result is cached under the hash of the paths.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from trainer.data.arraystore import ArrayStore, StringTable, is_published, publish

_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""
_BLOCK = 4096


def is_portrait(path: str) -> bool:
    """Whether an image is higher than wide as it is seen; no, if it cannot be read."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _QUARTER_TURNS
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError):
        return False
    return width > height if turned else height > width


def portraits(files: StringTable, cache: Path, *, threads: int = 16) -> NDArray[np.bool_]:
    """`is_portrait` of each file, made on first use.

    Args:
        files: Absolute paths; an empty one is no portrait.
        cache: Folder of caches.
        threads: Files opened at once.

    Returns:
        Bool of shape `(len(files),)`.
    """
    digest = hashlib.sha256(files.blob.tobytes() + files.offsets.tobytes()).hexdigest()[:20]
    target = cache / f"shapes-{digest}"
    if is_published(target):
        return np.asarray(ArrayStore(target)["portrait"])
    found = np.zeros(len(files), np.bool_)
    with ThreadPoolExecutor(threads) as pool:
        blocks = range(0, len(files), _BLOCK)
        for start in tqdm(blocks, unit="block", desc="image shapes", disable=None):
            block = range(start, min(start + _BLOCK, len(files)))
            paths = (files[index] for index in block)
            found[block.start : block.stop] = list(pool.map(_known_portrait, paths))
    return np.asarray(publish(target, {"portrait": found}, {})["portrait"])


def _known_portrait(path: str) -> bool:
    return bool(path) and is_portrait(path)
