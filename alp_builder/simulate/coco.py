"""COCO instance files for the narrator: typed reading, image ids, where to point at a thing.

Only what the narrator needs is read. Segmentations come in the three forms COCO knows, polygons,
uncompressed and compressed RLE, and are reduced to a **cell cloud**: some tens of places spread
evenly over the mask. A pointer is far less exact than that, and a cloud is cheap enough to narrate
thousands of images a second.

Image ids are written as Localized Narratives write them: COCO's "000000381639.jpg" is image
"381639", any other file is its name without folder and suffix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from alp_builder.errors import BadDataError, UsageError
from alp_builder.simulate.rle import spread_pixels

GRID = 24
"""Cells on the longer side of the grid that polygons are drawn on."""

CLOUD = 64
"""Most places of a mask given as RLE."""


class CocoImage(msgspec.Struct, frozen=True):
    """An image of a COCO file; `backdrop` names its stuff from top to bottom where it is known."""

    id: int
    file_name: str
    width: int
    height: int
    backdrop: list[str] = []
    horizon: float = 0.5


class CocoAnnotation(msgspec.Struct, frozen=True):
    """A thing of a COCO file; `color` is the world's, absent elsewhere."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    segmentation: Any = None
    area: float = 0.0
    iscrowd: int = 0
    color: str = ""


class CocoCategory(msgspec.Struct, frozen=True):
    """A category of a COCO file; `plural` is the world's, absent elsewhere."""

    id: int
    name: str
    plural: str = ""


class _CocoFile(msgspec.Struct):
    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    info: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class CocoInstances:
    """A COCO instance file in memory.

    Attributes:
        images: The images, by rising id.
        by_image: Annotations of an image id, in the order of the file.
        categories: Category of a category id.
        info: The file's `info` block.
    """

    images: list[CocoImage]
    by_image: dict[int, list[CocoAnnotation]] = field(repr=False)
    categories: dict[int, CocoCategory]
    info: dict[str, Any]


def read_coco(path: Path) -> CocoInstances:
    """Read a COCO instance file.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it is no COCO instance file or speaks of images or categories it lacks.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_CocoFile)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a COCO JSON") from error
    except msgspec.DecodeError as error:
        raise BadDataError(
            f"{path}: not a COCO instance file ({error}); expected images, annotations, categories"
        ) from error
    categories = {category.id: category for category in file.categories}
    known = {image.id for image in file.images}
    by_image: dict[int, list[CocoAnnotation]] = defaultdict(list)
    for annotation in file.annotations:
        if annotation.image_id not in known or annotation.category_id not in categories:
            raise BadDataError(
                f"{path}: annotation {annotation.id} is of image {annotation.image_id} and "
                f"category {annotation.category_id}, one of which the file lacks; mend or drop it"
            )
        if len(annotation.bbox) != 4:
            raise BadDataError(f"{path}: annotation {annotation.id} has no bbox [x, y, w, h]")
        by_image[annotation.image_id].append(annotation)
    images = sorted(file.images, key=lambda image: image.id)
    return CocoInstances(images, dict(by_image), categories, file.info)


def narrative_image_id(file_name: str) -> str:
    """Image id as Localized Narratives write it.

    Example:
        >>> narrative_image_id("val2017/000000381639.jpg"), narrative_image_id("0a1b2c.jpg")
        ('381639', '0a1b2c')
    """
    stem = PurePosixPath(file_name).stem
    return str(int(stem)) if stem.isascii() and stem.isdigit() else stem


def cell_clouds(
    annotations: list[CocoAnnotation], images: list[CocoImage]
) -> list[NDArray[np.float64]]:
    """Where things can be pointed at.

    Args:
        annotations: Things with polygons, RLE, or neither (then their boxes count).
        images: The image of each.

    Returns:
        For each thing places on its mask, shape `(n, 2)`, n at least 1, xy in image sides.

    Raises:
        BadDataError: If an RLE is damaged.
    """
    runs = [a.segmentation for a in annotations if isinstance(a.segmentation, dict)]
    spread = iter(spread_pixels(runs, CLOUD))
    clouds = []
    for annotation, image in zip(annotations, images, strict=True):
        if isinstance(annotation.segmentation, dict):
            pixels = next(spread)
            if len(pixels):
                clouds.append((pixels[:, ::-1] + 0.5) / (image.width, image.height))
                continue
        clouds.append(_grid_cloud(annotation, image))
    return clouds


def _grid_cloud(annotation: CocoAnnotation, image: CocoImage) -> NDArray[np.float64]:
    """Centres of the cells of a grid over the box that lie on the polygons, or all of them."""
    x, y, w, h = annotation.bbox
    segmentation = annotation.segmentation
    side = max(w, h, 1e-6)
    columns, rows = max(1, round(GRID * w / side)), max(1, round(GRID * h / side))
    if isinstance(segmentation, list) and segmentation:
        row, column = np.nonzero(_draw_polygons(segmentation, (x, y, w, h), columns, rows))
    else:
        row, column = np.divmod(np.arange(rows * columns), columns)
    if not len(row):
        row, column = np.array([rows // 2]), np.array([columns // 2])
    xs = (x + (column + 0.5) * (w / columns)) / image.width
    ys = (y + (row + 0.5) * (h / rows)) / image.height
    return np.stack([xs, ys], axis=1)


def _draw_polygons(
    polygons: list[list[float]], box: tuple[float, float, float, float], columns: int, rows: int
) -> NDArray[np.bool_]:
    x, y, w, h = box
    canvas = Image.new("1", (columns, rows))
    draw = ImageDraw.Draw(canvas)
    scale = np.array([columns / max(w, 1e-6), rows / max(h, 1e-6)])
    for polygon in polygons:
        points = (np.asarray(polygon, dtype=float).reshape(-1, 2) - (x, y)) * scale - 0.5
        if len(points) >= 2:
            draw.polygon(points.ravel().tolist(), fill=1)
    return np.asarray(canvas)


def things_of(coco: CocoInstances, image: CocoImage, min_side: float) -> Iterator[CocoAnnotation]:
    """The things of an image that a narrator can name: those wide and high enough to see.

    Args:
        coco: The file.
        image: One of its images.
        min_side: Least longer side of a thing's box, in image sides.
    """
    for annotation in coco.by_image.get(image.id, []):
        _, _, w, h = annotation.bbox
        if w > 0 and h > 0 and max(w / image.width, h / image.height) >= min_side:
            yield annotation
