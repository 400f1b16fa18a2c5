"""A COCO-format file, typed: what is read of it, and one line for what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from alp_builder.errors import BadDataError, UsageError


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

    id: int
    height: int
    width: int
    file_name: str = ""
    coco_url: str = ""
    neg_category_ids: list[int] | None = None
    pos_category_ids: list[int] | None = None

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

    image_id: int
    category_id: int
    id: int = 0
    bbox: tuple[float, float, float, float] | None = None
    segmentation: list[list[float]] | Rle | None = None
    area: float | None = None
    iscrowd: int = 0
    is_group_of: bool | int = False


class CocoCategory(msgspec.Struct, frozen=True):
    """A class: its `id` in the file and its `name`."""

    id: int
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
        BadDataError: If it is not in COCO format.
    """
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=CocoFile)
    except OSError as error:
        raise UsageError(f"annotations {path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise BadDataError(f"{path}: not a COCO instances file: {error}") from None
