"""Instances of a COCO-format file, limited to the given classes: their masks, or their boxes alone.

The arrays behind it, and what is left out of them, are in `trainer.data.maskstore`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import BadDataError, UsageError
from trainer.data.arraystore import StringTable, rows_hash
from trainer.data.images import ImageReport, SafeRoot, image_key
from trainer.data.maskstore import Polygon, cache_masks

logger = logging.getLogger(__name__)

REASONS = 8
"""How many reasons for what was left out a message names."""


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
        masks: For each instance its polygons, or its compressed RLE; None for boxes alone.
        groups: Classes of the image's crowds and group-of boxes, int64 of shape `(g,)`; read with boxes
            alone, else empty.
    """

    file_name: str
    image_id: int
    height: int
    width: int
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    masks: list[list[Polygon] | bytes] | None
    groups: NDArray[np.int64]


class MaskDataset:
    """Images with masks, or boxes, of the given classes.

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
        boxes_only: Whether boxes alone are read: instances need no mask, and those that have one count
            by their box. For `trainer.engine.sources.BoxMapper`.

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
        boxes_only: bool = False,
    ) -> None:
        self.classes = tuple(classes)
        self.boxes_only = boxes_only
        root = SafeRoot(Path(images), follow_links=follow_links)
        self.store = cache_masks(
            Path(annotations), Path(cache), self.classes, rename or {}, boxes_only
        )
        self._root = str(root.root)
        self.dataset_id: str = dataset_id or self.store.info["dataset_id"]
        self.dropped: dict[str, int] = self.store.info["dropped"]
        first = self.store["first"]
        wanted = np.flatnonzero((np.diff(first) > 0) | keep_empty)
        if not len(wanted):
            what = "box" if boxes_only else "mask"
            raise BadDataError(
                f"{annotations}: no instance with a {what} of {len(classes)} classes"
            )
        files = StringTable.within(self.store, "file")
        found = [root.find(files[row]) for row in wanted.tolist()]
        present = np.array(found, np.bool_)
        missing = [files[row] for row in wanted[~present][:3].tolist()]
        self.report = ImageReport(len(wanted), int((~present).sum()), missing)
        if self.report.missing > max_missing * len(wanted):
            raise UsageError(f"image root wrong? {self.report}; looked below {images}")
        self._rows = wanted[present]
        logger.info(
            f"{'boxes' if boxes_only else 'masks'}: %s; left out: %s",
            self.report,
            _shortened(self.dropped),
        )

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

    def image_files(self) -> Iterator[str]:
        """Absolute path of each image, in order."""
        files = StringTable.within(self.store, "file")
        return (f"{self._root}/{files[row]}" for row in self._rows.tolist())

    def class_counts(self) -> dict[str, int]:
        """Instances of each class."""
        counts = np.bincount(self.store["label"], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def __getitem__(self, index: int) -> MaskRecord:
        store, row = self.store, int(self._rows[index])
        begin, end = (int(i) for i in store["first"][row : row + 2])
        height, width = (int(i) for i in store["size"][row])
        masks, groups = None, np.empty(0, np.int64)
        if self.boxes_only:
            groups = store["group_label"][slice(*store["first_group"][row : row + 2])]
        else:
            masks = [self._mask(instance) for instance in range(begin, end)]
        return MaskRecord(
            file_name=f"{self._root}/{StringTable.within(store, 'file')[row]}",
            image_id=int(store["image_id"][row]),
            height=height,
            width=width,
            boxes=store["box"][begin:end].astype(np.float64),
            labels=store["label"][begin:end].astype(np.int64),
            masks=masks,
            groups=groups.astype(np.int64),
        )

    def _mask(self, instance: int) -> list[Polygon] | bytes:
        store = self.store
        begin, end = store["rle"][instance : instance + 2]
        if end > begin:
            return store["code"][begin:end].tobytes()
        rings = range(*(int(i) for i in store["ring"][instance : instance + 2]))
        return [store["xy"][slice(*store["point"][ring : ring + 2])].copy() for ring in rings]


def _shortened(dropped: dict[str, int]) -> str:
    """The greatest counts, and how many more there are: there may be hundreds of classes."""
    ranked = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{reason} {count}" for reason, count in ranked[:REASONS]]
    rest = ranked[REASONS:]
    more = f" and {sum(count for _, count in rest)} for {len(rest)} other reasons" if rest else ""
    return (", ".join(said) or "nothing") + more
