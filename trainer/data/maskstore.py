"""A COCO-format file as flat memory-mapped arrays, limited to the given classes.

What is not of these classes never reaches an array, so a novel annotation cannot leak into training by
way of this source; `trainer.data.leaks` checks it again. Crowds, instances without area and those
without a mask are left out and counted.

| array | shape | meaning |
| --- | --- | --- |
| `image_id`, `size` | `(M,)` int64, `(M, 2)` int32 | COCO's id; height and width |
| `first` | `(M + 1,)` int64 | first instance of each image, and N |
| `box`, `label` | `(N, 4)` float32, `(N,)` int32 | absolute xyxy; index in `classes` |
| `ring` | `(N + 1,)` int64 | first polygon of each instance |
| `point`, `xy` | `(R + 1,)` int64, `(C, 2)` float32 | first point of each polygon; pixels |
| `rle`, `code` | `(N + 1,)` int64, `(B,)` uint8 | first byte of each compressed RLE; bytes |
| `file_*` | M strings | image file below the root |

Boxes alone (`boxes_only`) are stored without `ring`, `point`, `xy`, `rle` and `code`, whether or not the file
has masks. Of crowds and groups, whose boxes are of several instances, the class is kept:

| array | shape | meaning |
| --- | --- | --- |
| `first_group`, `group_label` | `(M + 1,)` int64, `(G,)` int32 | first group of each image, and G; their classes |
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from alp_builder.errors import UsageError
from trainer.data.arraystore import ArrayStore, StringTable, is_published, publish
from trainer.data.cocofile import (
    CocoAnnotation,
    CocoFile,
    CocoImage,
    Rle,
    mask_problem,
    read_coco,
)

LAYOUT = 1
"""Version of the arrays; part of the fingerprint."""

Polygon = NDArray[np.float32]
"""Points in pixels, float32 of shape `(P, 2)`."""


def label_of_category(
    file: CocoFile, path: Path, classes: Sequence[str], rename: Mapping[str, str]
) -> dict[int, int]:
    """Category id to label, by name without regard to case.

    Raises:
        UsageError: If a class is in no category of the file, or is named twice.
    """
    labels = {name.casefold(): label for label, name in enumerate(classes)}
    if len(labels) != len(classes):
        raise UsageError(f"classes: {len(classes) - len(labels)} of {len(classes)} named twice")
    names = {c.id: rename.get(c.name, c.name).casefold() for c in file.categories}
    for name in classes:
        if name.casefold() not in names.values():
            close = difflib.get_close_matches(name.casefold(), names.values(), 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"class {name!r} is in no category of {path}{hint}")
    return {id_: labels[name] for id_, name in names.items() if name in labels}


def cache_masks(
    path: Path,
    cache: Path,
    classes: Sequence[str],
    rename: Mapping[str, str],
    boxes_only: bool = False,
) -> ArrayStore:
    """The arrays of a COCO-format file, made on first use; see `trainer.data.masks.MaskDataset`."""
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"annotations {path}: {error.strerror}") from None
    recipe = msgspec.json.encode((digest, LAYOUT, tuple(classes), sorted(rename.items())))
    kind = "boxes" if boxes_only else "masks"
    target = cache / f"{kind}-{hashlib.sha256(recipe).hexdigest()[:20]}"
    if is_published(target):
        return ArrayStore(target)
    file = read_coco(path)
    label = label_of_category(file, path, classes, rename)
    arrays, dropped = _arrays(file, label, boxes_only)
    info = {"classes": list(classes), "dropped": dropped, "dataset_id": file.dataset_id}
    return publish(target, arrays, {**info, "source": str(path)})


class _Columns:
    """Instances of a file, appended one by one, as lists of plain numbers and arrays."""

    def __init__(self, boxes_only: bool) -> None:
        self.boxes_only = boxes_only
        self.box: list[tuple[float, ...]] = []
        self.label: list[int] = []
        self.group: list[int] = []
        self.ring, self.point, self.rle = [0], [0], [0]
        self.xy: list[NDArray[np.float32]] = []
        self.code: list[bytes] = []

    def append(self, label: int, box: tuple[float, ...], mask: list[Polygon] | bytes) -> None:
        self.label.append(label)
        self.box.append(box)
        if not self.boxes_only:
            self._append_mask(mask)

    def _append_mask(self, mask: list[Polygon] | bytes) -> None:
        code = mask if isinstance(mask, bytes) else b""
        self.code.append(code)
        self.rle.append(self.rle[-1] + len(code))
        for polygon in [] if isinstance(mask, bytes) else mask:
            self.xy.append(polygon)
            self.point.append(self.point[-1] + len(polygon))
        self.ring.append(len(self.point) - 1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        boxes = {
            "box": np.array(self.box, np.float32).reshape(-1, 4),
            "label": np.array(self.label, np.int32),
        }
        if self.boxes_only:
            return {**boxes, "group_label": np.array(self.group, np.int32)}
        empty = np.empty((0, 2), np.float32)
        return {
            **boxes,
            "ring": np.array(self.ring, np.int64),
            "point": np.array(self.point, np.int64),
            "rle": np.array(self.rle, np.int64),
            "xy": np.concatenate([empty, *self.xy]),
            "code": np.frombuffer(b"".join(self.code), np.uint8),
        }


def _arrays(
    file: CocoFile, label: Mapping[int, int], boxes_only: bool
) -> tuple[dict[str, NDArray[Any]], Counter[str]]:
    """Arrays of the module's table, and instances left out by reason."""
    dropped: Counter[str] = Counter()
    names = {category.id: category.name for category in file.categories}
    by_image: dict[int, list[CocoAnnotation]] = {image.id: [] for image in file.images}
    for annotation in file.annotations:
        if annotation.category_id not in label:
            dropped[f"class {names.get(annotation.category_id, annotation.category_id)}"] += 1
        elif annotation.image_id not in by_image:
            dropped["image not in the file"] += 1
        else:
            by_image[annotation.image_id].append(annotation)
    columns, first, first_group = _Columns(boxes_only), [0], [0]
    for image in file.images:
        for annotation in by_image[image.id]:
            reason = _add(columns, annotation, image, label[annotation.category_id])
            if reason:
                dropped[reason] += 1
        first.append(len(columns.label))
        first_group.append(len(columns.group))
    arrays = columns.arrays()
    arrays["first"] = np.array(first, np.int64)
    if boxes_only:
        arrays["first_group"] = np.array(first_group, np.int64)
    arrays["image_id"] = np.array([image.id for image in file.images], np.int64)
    sizes = [(image.height, image.width) for image in file.images]
    arrays["size"] = np.array(sizes, np.int32).reshape(-1, 2)
    arrays |= StringTable.of([image.file for image in file.images]).arrays("file")
    return arrays, dropped


def _add(columns: _Columns, annotation: CocoAnnotation, image: CocoImage, label: int) -> str:
    """Append an instance; the reason if it is left out, else an empty string."""
    if annotation.iscrowd or annotation.is_group_of:
        if columns.boxes_only:
            columns.group.append(label)
        return "crowd or group"
    mask: list[Polygon] | bytes = []
    if annotation.bbox is None or not columns.boxes_only:
        mask = _mask_of(annotation.segmentation, image)
        if not mask:
            return "no box" if columns.boxes_only else "no mask"
    box = _box_of(annotation, mask, image)
    if box[2] - box[0] <= 0 or box[3] - box[1] <= 0:
        return "no area"
    columns.append(label, box, mask)
    return ""


def _mask_of(
    segmentation: list[list[float]] | Rle | None, image: CocoImage
) -> list[Polygon] | bytes:
    """Polygons of three points or more, or a compressed RLE; empty if unusable."""
    size = (image.height, image.width)
    if segmentation is None:
        return []
    if isinstance(segmentation, list):
        usable = [ring for ring in segmentation if not mask_problem([ring], *size)]
        return [np.array(ring, np.float32).reshape(-1, 2) for ring in usable]
    if mask_problem(segmentation, *size):
        return []
    if isinstance(segmentation.counts, str):
        return segmentation.counts.encode("ascii")
    plain = {"size": list(size), "counts": segmentation.counts}
    return bytes(mask_utils.frPyObjects(plain, image.height, image.width)["counts"])


def _box_of(
    annotation: CocoAnnotation, mask: list[Polygon] | bytes, image: CocoImage
) -> tuple[float, ...]:
    """Absolute xyxy box inside the image, of the file or else round the mask."""
    if annotation.bbox is not None:
        x, y, w, h = annotation.bbox
        corners = [x, y, x + w, y + h]
    elif isinstance(mask, bytes):
        x, y, w, h = mask_utils.toBbox({"size": [image.height, image.width], "counts": mask})
        corners = [x, y, x + w, y + h]
    else:
        points = np.concatenate(mask)
        corners = [*points.min(axis=0), *points.max(axis=0)]
    limits = (image.width, image.height, image.width, image.height)
    return tuple(min(max(float(c), 0.0), float(m)) for c, m in zip(corners, limits, strict=True))
