"""A COCO-format file, typed: what is read of it, and one line for what is wrong with it.

A file from elsewhere is hostile: an image of a billion pixels, or a polygon that runs far outside its image,
makes the libraries that draw masks take all memory, or read what nobody wrote. Sides and ids are therefore
bounded as they are read, and masks by `mask_problem` before anything draws them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from alp_builder.errors import BadDataError, UsageError
from trainer.data.rle import is_whole

MAX_SIDE = 65_535
"""Longest side of an image, in pixels: no JPEG has a longer one."""

MAX_PIXELS = 2**28
"""Most pixels of an image; a mask of one takes a byte of memory for each."""

MAX_OUTSIDE = 1.0
"""How far a point of a polygon may lie outside its image, in image sizes."""

Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, Meta(ge=0, le=MAX_SIDE)]


class Rle(msgspec.Struct, frozen=True):
    """A run-length encoded mask.

    Attributes:
        size: Height and width in pixels.
        counts: Run lengths down the columns, or COCO's compressed string of them.
    """

    size: tuple[int, int]
    counts: str | list[int]


class CocoImage(msgspec.Struct, frozen=True):
    """An image.

    Attributes:
        id: Image id.
        height: Height in pixels.
        width: Width in pixels.
        file_name: File below the image root; LVIS has `coco_url` in its place.
        coco_url: Address of the image, whose last two parts are folder and file.
        neg_category_ids: Classes verified to be absent (LVIS, Open Images).
        pos_category_ids: Classes verified to be present (Open Images).
    """

    id: Id
    height: Side
    width: Side
    file_name: str = ""
    coco_url: str = ""
    neg_category_ids: list[Id] | None = None
    pos_category_ids: list[Id] | None = None

    @property
    def file(self) -> str:
        """File below the image root."""
        return self.file_name or "/".join(self.coco_url.split("/")[-2:])


class CocoAnnotation(msgspec.Struct, frozen=True):
    """An instance.

    Attributes:
        image_id: Its image.
        category_id: Its class.
        id: Annotation id.
        bbox: Box, absolute xywh.
        segmentation: Polygons `[x, y, x, y, ...]` in pixels, or an RLE.
        area: Area in square pixels.
        iscrowd: Whether it means many instances.
        is_group_of: Whether it is an Open Images group-of box.
    """

    image_id: Id
    category_id: Id
    id: Id = 0
    bbox: tuple[float, float, float, float] | None = None
    segmentation: list[list[float]] | Rle | None = None
    area: float | None = None
    iscrowd: int = 0
    is_group_of: bool | int = False


class CocoCategory(msgspec.Struct, frozen=True):
    """A class: its `id` in the file and its `name`."""

    id: Id
    name: str


class CocoFile(msgspec.Struct, frozen=True):
    """What is read of a COCO-format instances file; `info` is free."""

    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: list[CocoAnnotation] = []
    info: Any = None

    @property
    def dataset_id(self) -> str:
        """Data set the file says it belongs to (simulated worlds do), else COCO."""
        named = self.info.get("dataset_id") if isinstance(self.info, dict) else None
        return named if isinstance(named, str) else "coco"


def read_coco(path: str | Path) -> CocoFile:
    """Read a COCO-format instances file.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it is not in COCO format, or an image has more than `MAX_PIXELS`.
    """
    try:
        file = msgspec.json.decode(Path(path).read_bytes(), type=CocoFile)
    except OSError as error:
        raise UsageError(f"annotations {path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataError(f"{path}: not a COCO instances file: {error}") from None
    for image in file.images:
        if image.height * image.width > MAX_PIXELS:
            size = f"{image.height}x{image.width}"
            raise BadDataError(
                f"{path}: image {image.id} is of {size}, more than {MAX_PIXELS:,} pixels"
            )
    return file


def mask_problem(segmentation: list[list[float]] | Rle | None, height: int, width: int) -> str:
    """Why a mask cannot be drawn on its image, an empty string if it can; no mask is no problem.

    Args:
        segmentation: As the file has it.
        height: Of the image, pixels.
        width: Of the image, pixels.
    """
    if segmentation is None:
        return ""
    if isinstance(segmentation, list):
        return next(
            (what for ring in segmentation if (what := _ring_problem(ring, height, width))), ""
        )
    if segmentation.size != (height, width):
        return f"its RLE is of {'x'.join(map(str, segmentation.size))}"
    counts = segmentation.counts
    if isinstance(counts, str):
        whole = is_whole(counts.encode("ascii", "replace"), height, width)
    else:
        whole = min(counts, default=-1) >= 0 and sum(counts) == height * width
    return "" if whole else "its RLE does not add up to the image"


def _ring_problem(ring: list[float], height: int, width: int) -> str:
    """What is wrong with a polygon of a mask, an empty string for nothing."""
    if len(ring) < 6 or len(ring) % 2:
        return f"a polygon has {len(ring)} coordinates, expected three pairs or more"
    for values, side in ((ring[0::2], width), (ring[1::2], height)):
        # NaN and infinity are no JSON: whatever was read compares.
        if min(values) < -MAX_OUTSIDE * side or max(values) > (1 + MAX_OUTSIDE) * side:
            return "a polygon runs far outside the image"
    return ""


def check_masks(file: CocoFile, path: str | Path) -> None:
    """Refuse a file with a mask that cannot be drawn, or of an image that is not in the file.

    Raises:
        BadDataError: At the first one, which is named.
    """
    sizes = {image.id: (image.height, image.width) for image in file.images}
    for annotation in file.annotations:
        size = sizes.get(annotation.image_id)
        if size is None:
            problem = f"of image {annotation.image_id}, which the file lacks"
        else:
            problem = mask_problem(annotation.segmentation, *size)
        if problem:
            raise BadDataError(f"{path}: annotation {annotation.id}: {problem}")
