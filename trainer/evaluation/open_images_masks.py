r"""Open Images' CSV files and mask PNGs to one truth file in COCO format.

    python -m trainer.evaluation.open_images_masks \
        --masks test-annotations-object-segmentation.csv --mask-folder test-masks \
        --boxes test-annotations-bbox.csv \
        --labels test-annotations-human-imagelabels-boxable.csv --images test --out truth.json

Columns are taken by name, so the files of V5 to V7 and of the 2019 challenge are read alike. Facts
of the format:

* A mask is a 1-bit PNG named `IMAGEID_LABEL_BOXID.png` (label without slashes), found below the
  mask folder, there or in a subfolder. Its size is *not* the image's (up to 1600 pixels against
  1024): it is scaled to the image, nearest neighbour.
* Boxes are fractions of the image; a mask row repeats the coordinates of its box, which is how the
  two files are joined. A box without a mask stays as truth without a segmentation. A mask whose box
  is not in the box file counts as one instance, not group-of.
* Image labels have confidence 1 (verified present) or 0 (verified absent).

Only segmentable classes are kept. Image ids, which COCO wants as numbers, count the images in the
order of their names; category ids count the classes in the order of `class_splits.json`.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pycocotools import mask as mask_utils
from tqdm import tqdm

from alp_builder.errors import AlpError, BadDataError, UsageError
from trainer.data.images import SafeRoot
from trainer.evaluation.predictions import write_json
from trainer.evaluation.splits import class_facts

Row = dict[str, str]
Key = tuple[str, str, tuple[float, ...]]
"""Image, label and box: what joins the two files."""

_SLACK = 0.01  # how far a side may lie outside the image, in image sizes
_SIDES = ("XMin", "YMin", "XMax", "YMax")


def read_rows(path: Path, needed: Collection[str]) -> Iterator[Row]:
    """Rows of a CSV file with a header.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If a needed column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = sorted(set(needed) - set(reader.fieldnames or ()))
            if missing:
                raise BadDataError(f"{path}: no column {', '.join(missing)}")
            for row in reader:
                if any(row[name] is None for name in needed):
                    raise BadDataError(f"{path}, line {reader.line_num}: fewer values than columns")
                yield row
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataError(f"{path}: not a CSV file in UTF-8 ({error})") from None


def category_ids() -> dict[str, int]:
    """Category id of each segmentable label (MID), counted from 1."""
    labels = class_facts().open_images.values()
    return {label: number for number, label in enumerate(labels, start=1)}


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask PNG scaled to the image.

    Args:
        path: 1-bit or grey PNG; every value but 0 is inside.
        size: Height and width of the image.

    Returns:
        0 and 1, uint8 of shape `size`.

    Raises:
        BadDataError: If it is no readable image.
    """
    try:
        with Image.open(path) as opened:
            mask = (np.asarray(opened.convert("L")) > 0).astype(np.uint8)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadDataError(f"{path}: not a readable mask: {error}") from None
    # OpenCV's INTER_NEAREST takes the first pixel of several, and so moves what shrinks.
    return np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


class TruthBuilder:
    """Collects rows, and writes them as one COCO-format record.

    Args:
        images: Folder of the images, `ID.jpg`; their sizes are read from the files' headers.
        mask_folder: Folder of the PNGs, `None` for truth of boxes only.
        skip_missing: Whether images without a file are left out, and counted, instead of refused.

    Attributes:
        counts: What was read and what was left out.
    """

    def __init__(self, images: Path, mask_folder: Path | None, skip_missing: bool = False) -> None:
        self.images = SafeRoot(images)
        self.skip_missing = skip_missing
        self.mask_root = SafeRoot(mask_folder) if mask_folder is not None else None
        self.counts: Counter[str] = Counter()
        self._ids = category_ids()
        self._group: dict[Key, bool] = {}
        self._mask: dict[Key, str] = {}
        self._labels: dict[str, dict[str, bool]] = defaultdict(dict)

    def add_boxes(self, path: Path) -> None:
        """Read the box file: `ImageID, LabelName, XMin, XMax, YMin, YMax, IsGroupOf`."""
        for row in read_rows(path, ("ImageID", "LabelName", *_SIDES, "IsGroupOf")):
            if self._wanted(row):
                self._group[_key(row, _SIDES, path)] = row["IsGroupOf"] in ("1", "true", "True")

    def add_masks(self, path: Path) -> None:
        """Read the mask file: `MaskPath, ImageID, LabelName, BoxXMin, ...`."""
        sides = tuple(f"Box{side}" for side in _SIDES)
        for row in read_rows(path, ("MaskPath", "ImageID", "LabelName", *sides)):
            if self._wanted(row):
                key = _key(row, sides, path)
                self._mask[key] = row["MaskPath"]
                if key not in self._group:
                    self.counts["masks without a row in the box file"] += 1
                    self._group[key] = False

    def add_labels(self, path: Path) -> None:
        """Read image labels: `ImageID, LabelName, Confidence`."""
        for row in read_rows(path, ("ImageID", "LabelName", "Confidence")):
            if self._wanted(row):
                try:
                    present = float(row["Confidence"]) >= 0.5
                except ValueError:
                    found = row["Confidence"]
                    raise BadDataError(f"{path}: Confidence {found!r}, expected a number") from None
                self._labels[row["ImageID"]][row["LabelName"]] = present

    def record(self) -> dict[str, Any]:
        """The COCO-format record.

        Raises:
            BadDataError: If an image or a mask cannot be read, or no image is there.
        """
        names = self._present(sorted({key[0] for key in self._group} | set(self._labels)))
        by_image: dict[str, list[Key]] = defaultdict(list)
        for key in sorted(self._group):
            by_image[key[0]].append(key)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, name in enumerate(tqdm(names, unit="image", disable=None), start=1):
            size = self._size(name)
            labels = self._labels.get(name, {})
            chosen = {
                want: [self._ids[m] for m, p in labels.items() if p is want]
                for want in (True, False)
            }
            images.append(
                {
                    "id": number,
                    "file_name": f"{name}.jpg",
                    "height": size[0],
                    "width": size[1],
                    "pos_category_ids": sorted(chosen[True]),
                    "neg_category_ids": sorted(chosen[False]),
                }
            )
            for key in by_image[name]:
                annotation = self._annotation(key, size)
                annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
        self.counts.update(images=len(images), instances=len(annotations))
        facts = class_facts().open_images
        return {
            "info": {"dataset_id": "open_images", "counts": dict(self.counts)},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": self._ids[m], "name": n, "label": m} for n, m in facts.items()],
        }

    def _wanted(self, row: Row) -> bool:
        if row["LabelName"] in self._ids:
            return True
        self.counts["rows of other classes"] += 1
        return False

    def _present(self, names: list[str]) -> list[str]:
        """The names of images that have a file; all, unless the others may be skipped."""
        if not self.skip_missing:
            return names
        found = [name for name in names if self.images.find(f"{name}.jpg")]
        if names and not found:
            raise BadDataError(f"none of {len(names)} images is below {self.images.root}")
        self.counts["images without a file"] += len(names) - len(found)
        return found

    def _size(self, name: str) -> tuple[int, int]:
        if not self.images.find(f"{name}.jpg"):
            raise BadDataError(
                f"image {name}.jpg is not below {self.images.root};"
                " --skip-missing leaves such images out"
            )
        try:
            with Image.open(self.images.root / f"{name}.jpg") as image:
                return image.height, image.width
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise BadDataError(f"image {name}.jpg: not readable: {error}") from None

    def _annotation(self, key: Key, size: tuple[int, int]) -> dict[str, Any]:
        _, label, (x0, y0, x1, y1) = key
        height, width = size
        found: dict[str, Any] = {
            "category_id": self._ids[label],
            "bbox": [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height],
            "area": (x1 - x0) * width * (y1 - y0) * height,
            "iscrowd": 0,
            "is_group_of": self._group[key],
        }
        if key not in self._mask or self.mask_root is None:
            self.counts["instances without a mask"] += 1
            return found
        mask = read_mask(self._mask_path(self._mask[key]), size)
        rle = mask_utils.encode(np.asfortranarray(mask))
        found["area"] = int(mask.sum())
        found["segmentation"] = {"size": list(size), "counts": rle["counts"].decode("ascii")}
        return found

    def _mask_path(self, name: str) -> Path:
        """Where a mask is: in the folder itself, or in the subfolder of its first character."""
        root = self.mask_root
        assert root is not None
        for candidate in (name, f"{name[:1]}/{name}"):
            if root.find(candidate):
                return root.root / candidate
        raise BadDataError(f"mask {name} is not below {root.root}")


def _key(row: Row, sides: Sequence[str], path: Path) -> Key:
    try:
        box = tuple(round(float(row[side]), 6) for side in sides)
        if not all(-_SLACK <= side <= 1 + _SLACK for side in box):  # nor NaN
            raise ValueError
    except (TypeError, ValueError):
        raise BadDataError(
            f"{path}: image {row['ImageID']} has no box of numbers from 0 to 1"
        ) from None
    return row["ImageID"], row["LabelName"], box


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of the module's text; the exit code."""
    parser = argparse.ArgumentParser(description="Open Images CSV and PNG files to one truth file")
    parser.add_argument("--boxes", type=Path, help="CSV of boxes; needed to know group-of")
    parser.add_argument("--masks", type=Path, help="CSV of masks")
    parser.add_argument("--mask-folder", type=Path, help="folder of the mask PNGs")
    parser.add_argument("--labels", type=Path, help="CSV of verified image labels")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument(
        "--skip-missing", action="store_true", help="leave out, and count, images without a file"
    )
    parser.add_argument("--out", type=Path, required=True, help="truth file to write")
    given = parser.parse_args(arguments)
    try:
        if (given.masks is None) != (given.mask_folder is None):
            raise UsageError("--masks and --mask-folder belong together")
        builder = TruthBuilder(given.images, given.mask_folder, given.skip_missing)
        for path, add in (
            (given.boxes, builder.add_boxes),
            (given.masks, builder.add_masks),
            (given.labels, builder.add_labels),
        ):
            if path is not None:
                add(path)
        write_json(given.out, builder.record())
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{given.out}: {json.dumps(dict(builder.counts))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
