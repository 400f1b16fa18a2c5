"""COCO instance files for the narrator: typed reading, image ids, things that can be named.

Only what the narrator needs is read. Segmentations come in the three forms COCO knows, polygons,
uncompressed and compressed RLE, and are looked into by `alp_builder.simulate.regions`.

Image ids are written as Localized Narratives write them: COCO's "000000381639.jpg" is image
"381639", any other file is its name without folder and suffix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from alp_builder.errors import BadDataError, UsageError

MAX_PIXELS = 2**28
"""Most pixels of an image: a mask of one takes a byte of memory for each."""

Side = Annotated[int, Meta(ge=0, le=65_535)]  # no JPEG has a longer one
Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class CocoImage(msgspec.Struct, frozen=True, gc=False):
    """An image of a COCO file; `backdrop` names its stuff from top to bottom where it is known."""

    id: Id
    file_name: str
    width: Side
    height: Side
    backdrop: list[str] = []
    horizon: float = 0.5


class CocoAnnotation(msgspec.Struct, frozen=True, gc=False):
    """A thing of a COCO file; `color` is the world's, absent elsewhere."""

    id: Id
    image_id: Id
    category_id: Id
    bbox: list[float]
    segmentation: Any = None
    area: float = 0.0
    iscrowd: int = 0
    color: str = ""


class CocoCategory(msgspec.Struct, frozen=True, gc=False):
    """A category of a COCO file; `plural` is the world's, absent elsewhere."""

    id: Id
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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataError(
            f"{path}: not a COCO instance file ({error}); expected images, annotations, categories"
        ) from error
    for image in file.images:
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width} x {image.height}"
            raise BadDataError(
                f"{path}: image {image.id} is of {size}, more than {MAX_PIXELS:,} pixels"
            )
    for category in file.categories:
        if not category.name.strip():
            raise BadDataError(
                f"{path}: category {category.id} has no name; give it one, or drop it"
            )
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


def things_of(coco: CocoInstances, image: CocoImage, min_side: float) -> Iterator[CocoAnnotation]:
    """The things of an image that a narrator can name: those wide and high enough to see.

    Args:
        coco: The file.
        image: One of its images.
        min_side: Least longer side of a thing's box, in image sides.

    Raises:
        BadDataError: If the image has no area.
    """
    if image.width < 1 or image.height < 1:
        raise BadDataError(f"image {image.id} has no area; mend the file or drop the image")
    for annotation in coco.by_image.get(image.id, []):
        _, _, w, h = annotation.bbox
        if w > 0 and h > 0 and max(w / image.width, h / image.height) >= min_side:
            yield annotation
