"""Instances of a COCO-format file, limited to base classes, as flat memory-mapped arrays.

What is not a base class never reaches an array, so a novel annotation cannot leak into training by
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
"""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from alp_builder.errors import BadDataError, UsageError
from trainer.data.arraystore import ArrayStore, StringTable, is_published, publish, rows_hash
from trainer.data.cocofile import (
    CocoAnnotation,
    CocoFile,
    CocoImage,
    Rle,
    mask_problem,
    read_coco,
)
from trainer.data.images import ImageReport, SafeRoot, image_key

logger = logging.getLogger(__name__)

LAYOUT = 1
"""Version of the arrays; part of the fingerprint."""

REASONS = 8
"""How many reasons for what was left out a message names."""

Polygon = NDArray[np.float32]
"""Points in pixels, float32 of shape `(P, 2)`."""


@dataclass(frozen=True)
class MaskRecord:
    """The instances of one image.

    Attributes:
        file_name: Absolute path of the image.
        image_id: COCO's id.
        height: Height in pixels.
        width: Width in pixels.
        boxes: Absolute xyxy, float64 of shape `(n, 4)`.
        labels: Indices in the data set's `classes`, int64 of shape `(n,)`.
        masks: For each instance its polygons, or its compressed RLE.
    """

    file_name: str
    image_id: int
    height: int
    width: int
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    masks: list[list[Polygon] | bytes]


class MaskDataset:
    """Images with masks of the given classes.

    Args:
        annotations: COCO-format instances file.
        images: Folder of its images.
        classes: Names of the classes to keep, in the order of the labels.
        cache: Folder of caches.
        rename: The file's category name to a name in `classes`, where they differ.
        dataset_id: Data set of the images as narratives name it; from the file if `None`.
        keep_empty: Whether to keep images without an instance of these classes.
        follow_links: Whether symbolic links may lead out of the image folder.
        max_missing: Largest share of images that may be without a file.

    Attributes:
        classes: The names, in the order of the labels.
        dropped: Instances left out, by reason; classes outside the list under `class NAME`.
        report: What the join to files found.

    Raises:
        UsageError: If a class is in no category of the file, or too many images are missing.
        BadDataError: If the file is not in COCO format, or nothing is left of it.
    """

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path,
        classes: Sequence[str],
        *,
        cache: str | Path,
        rename: Mapping[str, str] | None = None,
        dataset_id: str | None = None,
        keep_empty: bool = False,
        follow_links: bool = False,
        max_missing: float = 0.05,
    ) -> None:
        self.classes = tuple(classes)
        root = SafeRoot(Path(images), follow_links=follow_links)
        self.store = cache_masks(Path(annotations), Path(cache), self.classes, rename or {})
        self._root = str(root.root)
        self.dataset_id: str = dataset_id or self.store.info["dataset_id"]
        self.dropped: dict[str, int] = self.store.info["dropped"]
        first = self.store["first"]
        wanted = np.flatnonzero((np.diff(first) > 0) | keep_empty)
        if not len(wanted):
            raise BadDataError(f"{annotations}: no instance with a mask of {len(classes)} classes")
        files = StringTable.within(self.store, "file")
        found = [root.find(files[row]) for row in wanted.tolist()]
        present = np.array(found, np.bool_)
        missing = [files[row] for row in wanted[~present][:3].tolist()]
        self.report = ImageReport(len(wanted), int((~present).sum()), missing)
        if self.report.missing > max_missing * len(wanted):
            raise UsageError(f"image root wrong? {self.report}; looked below {images}")
        self._rows = wanted[present]
        logger.info("masks: %s; left out: %s", self.report, _shortened(self.dropped))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def portrait(self) -> NDArray[np.bool_]:
        """Whether each image is higher than wide, shape `(len(self),)`."""
        size = self.store["size"][self._rows]
        return np.asarray(size[:, 0] > size[:, 1])

    def content_hash(self) -> str:
        """A hash of the instances and of which images have a file; equal on machines with equal data."""
        return rows_hash(self.store, self._rows)

    def image_keys(self) -> Iterator[str]:
        """`image_key` of each image, in order."""
        files = StringTable.within(self.store, "file")
        return (image_key(self.dataset_id, Path(files[row]).stem) for row in self._rows)

    def class_counts(self) -> dict[str, int]:
        """Instances of each class."""
        counts = np.bincount(self.store["label"], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def __getitem__(self, index: int) -> MaskRecord:
        store, row = self.store, int(self._rows[index])
        begin, end = (int(i) for i in store["first"][row : row + 2])
        height, width = (int(i) for i in store["size"][row])
        return MaskRecord(
            file_name=f"{self._root}/{StringTable.within(store, 'file')[row]}",
            image_id=int(store["image_id"][row]),
            height=height,
            width=width,
            boxes=store["box"][begin:end].astype(np.float64),
            labels=store["label"][begin:end].astype(np.int64),
            masks=[self._mask(instance) for instance in range(begin, end)],
        )

    def _mask(self, instance: int) -> list[Polygon] | bytes:
        store = self.store
        begin, end = store["rle"][instance : instance + 2]
        if end > begin:
            return store["code"][begin:end].tobytes()
        rings = range(*(int(i) for i in store["ring"][instance : instance + 2]))
        return [store["xy"][slice(*store["point"][ring : ring + 2])].copy() for ring in rings]


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


def _shortened(dropped: dict[str, int]) -> str:
    """The greatest counts, and how many more there are: there may be hundreds of classes."""
    ranked = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{reason} {count}" for reason, count in ranked[:REASONS]]
    rest = ranked[REASONS:]
    more = f" and {sum(count for _, count in rest)} for {len(rest)} other reasons" if rest else ""
    return (", ".join(said) or "nothing") + more


def cache_masks(
    path: Path, cache: Path, classes: Sequence[str], rename: Mapping[str, str]
) -> ArrayStore:
    """The arrays of a COCO-format file, made on first use; see `MaskDataset`."""
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"annotations {path}: {error.strerror}") from None
    recipe = msgspec.json.encode((digest, LAYOUT, tuple(classes), sorted(rename.items())))
    target = cache / f"masks-{hashlib.sha256(recipe).hexdigest()[:20]}"
    if is_published(target):
        return ArrayStore(target)
    file = read_coco(path)
    label = label_of_category(file, path, classes, rename)
    arrays, dropped = _arrays(file, label)
    info = {"classes": list(classes), "dropped": dropped, "dataset_id": file.dataset_id}
    return publish(target, arrays, {**info, "source": str(path)})


class _Columns:
    """Instances of a file, appended one by one, as lists of plain numbers and arrays."""

    def __init__(self) -> None:
        self.box: list[tuple[float, ...]] = []
        self.label: list[int] = []
        self.ring, self.point, self.rle = [0], [0], [0]
        self.xy: list[NDArray[np.float32]] = []
        self.code: list[bytes] = []

    def append(self, label: int, box: tuple[float, ...], mask: list[Polygon] | bytes) -> None:
        self.label.append(label)
        self.box.append(box)
        code = mask if isinstance(mask, bytes) else b""
        self.code.append(code)
        self.rle.append(self.rle[-1] + len(code))
        for polygon in [] if isinstance(mask, bytes) else mask:
            self.xy.append(polygon)
            self.point.append(self.point[-1] + len(polygon))
        self.ring.append(len(self.point) - 1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        empty = np.empty((0, 2), np.float32)
        return {
            "box": np.array(self.box, np.float32).reshape(-1, 4),
            "label": np.array(self.label, np.int32),
            "ring": np.array(self.ring, np.int64),
            "point": np.array(self.point, np.int64),
            "rle": np.array(self.rle, np.int64),
            "xy": np.concatenate([empty, *self.xy]),
            "code": np.frombuffer(b"".join(self.code), np.uint8),
        }


def _arrays(
    file: CocoFile, label: Mapping[int, int]
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
    columns, first = _Columns(), [0]
    for image in file.images:
        for annotation in by_image[image.id]:
            reason = _add(columns, annotation, image, label[annotation.category_id])
            if reason:
                dropped[reason] += 1
        first.append(len(columns.label))
    arrays = columns.arrays()
    arrays["first"] = np.array(first, np.int64)
    arrays["image_id"] = np.array([image.id for image in file.images], np.int64)
    sizes = [(image.height, image.width) for image in file.images]
    arrays["size"] = np.array(sizes, np.int32).reshape(-1, 2)
    arrays |= StringTable.of([image.file for image in file.images]).arrays("file")
    return arrays, dropped


def _add(columns: _Columns, annotation: CocoAnnotation, image: CocoImage, label: int) -> str:
    """Append an instance; the reason if it is left out, else an empty string."""
    if annotation.iscrowd or annotation.is_group_of:
        return "crowd or group"
    mask = _mask_of(annotation.segmentation, image)
    if not mask:
        return "no mask"
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
