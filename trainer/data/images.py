"""From the image id of a narrative to an image file: one small rule per data set.

| family | `dataset_id` | files tried below the family's root, in this order |
| --- | --- | --- |
| coco | `mscoco_SPLIT`, `coco_SPLIT` | `SPLIT/N.jpg`, `N.jpg`; N is the id in twelve digits |
| open_images | `open_images...` | `train/ID.jpg`, `validation/..`, `test/..`, `ID.jpg` |
| flickr30k | `flickr30k...`, `flick30k...` | `flickr30k-images/ID.jpg`, `ID.jpg` |
| ade20k | `ade20k...` | `images/training/ID.jpg` or `images/validation/ID.jpg`, `ID.jpg` |
| simulated_world | `simulated_world_SPLIT` | `SPLIT/N.jpg`, `SPLIT/N.png`; N in nine digits |
| any other | a root given by its exact name | as `alps show` has it, `alp_builder.page.file_names` |

Letter case of `dataset_id` does not matter for families. Images of other data sets may end in `.jpg`,
`.jpeg`, `.png` or `.webp` in any letter case; those that `alps record` narrated are called as they lie
below its folder. In place of a rule, a CSV file with the columns `dataset_id, image_id, file_name` names
the files below its root.

Ids come from shards that anybody may have written, so they are hostile: an id or file name that is not
safe (`is_safe_name`: absolute, a part that is empty, `.` or `..`, a backslash, a NUL), or that leads
through a symbolic link out of the root, is refused as missing.
Links that stay below the root are followed; `follow_links=True` allows those that leave it, for
roots put together of links by their owner. What has no file is counted, listed by example, and no
error up to a limit.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import BadDataError, UsageError
from alp_builder.page import OddEndings, bare_names, file_names, is_safe_name
from trainer.data.arraystore import StringTable

_OPEN_IMAGES_SPLITS = ("train", "validation", "test")
EXAMPLES = 3
"""How many missing images a message names."""


def _coco(dataset_id: str, image_id: str) -> list[str]:
    split = dataset_id.partition("_")[2]
    name = f"{image_id.rpartition('_')[2].zfill(12)}.jpg"
    return [f"{split}/{name}", name]


def _open_images(dataset_id: str, image_id: str) -> list[str]:
    splits = sorted(_OPEN_IMAGES_SPLITS, key=lambda split: split not in dataset_id)
    return [*(f"{split}/{image_id}.jpg" for split in splits), f"{image_id}.jpg"]


def _flickr30k(_: str, image_id: str) -> list[str]:
    return [f"flickr30k-images/{image_id}.jpg", f"{image_id}.jpg"]


def _ade20k(_: str, image_id: str) -> list[str]:
    split = "training" if "train" in image_id.lower() else "validation"
    return [f"images/{split}/{image_id}.jpg", f"{image_id}.jpg"]


def _simulated_world(dataset_id: str, image_id: str) -> list[str]:
    split = dataset_id.removeprefix("simulated_world").lstrip("_")
    return [f"{split}/{image_id.zfill(9)}{end}" for end in (".jpg", ".png")]


@dataclass(frozen=True)
class _Family:
    pattern: re.Pattern[str]
    rule: Callable[[str, str], list[str]]


FAMILIES: dict[str, _Family] = {
    "coco": _Family(re.compile(r"(ms)?coco([_-]|$)"), _coco),
    "open_images": _Family(re.compile(r"open_?images"), _open_images),
    "flickr30k": _Family(re.compile(r"flickr?30k"), _flickr30k),
    "ade20k": _Family(re.compile(r"ade20k"), _ade20k),
    "simulated_world": _Family(re.compile(r"simulated_world"), _simulated_world),
}
"""Known data sets by name."""


def family_of(dataset_id: str) -> str | None:
    """Name of the family a `dataset_id` belongs to, or `None`.

    >>> family_of("mscoco_val2017"), family_of("ADE20k"), family_of("mine")
    ('coco', 'ade20k', None)
    """
    lowered = dataset_id.lower()
    return next((name for name, f in FAMILIES.items() if f.pattern.match(lowered)), None)


def image_key(dataset_id: str, image_id: str) -> str:
    """One name for an image, whatever file spoke of it.

    COCO's ids are unique over its splits and years, and Open Images' over its splits, so their
    splits are left out: the same photo is found again under another split's name. Others keep their
    whole `dataset_id`.

    >>> image_key("mscoco_val2017", "381639") == image_key("coco", "COCO_val2014_000000381639")
    True
    """
    family = family_of(dataset_id)
    if family == "coco":
        digits = image_id.rpartition("_")[2].lstrip("0") or "0"
        return f"coco/{digits}"
    if family in ("open_images", "flickr30k", "ade20k"):
        return f"{family}/{image_id}"
    digits = image_id.lstrip("0") or "0" if image_id.isascii() and image_id.isdigit() else image_id
    return f"{dataset_id.lower()}/{digits}"


class SafeRoot:
    """A folder of images out of which no id leads.

    Args:
        root: The folder.
        follow_links: Whether symbolic links may lead out of it.

    Raises:
        UsageError: If it is no folder.
    """

    def __init__(self, root: Path, *, follow_links: bool = False) -> None:
        if not root.is_dir():
            raise UsageError(f"image root {root}: no such folder; give the folder of the images")
        self.root = Path(os.path.realpath(root))
        self.follow_links = follow_links
        self._folder = str(self.root)
        self._folders: dict[str, bool] = {}
        self._odd = OddEndings(self._folder)

    def find(self, name: str) -> bool:
        """Whether a relative name is a file below the root, reached without leaving it."""
        if not is_safe_name(name):
            return False
        path = os.path.join(self._folder, name)  # noqa: PTH118 - half a million calls
        if not self._enters(os.path.dirname(path)) or not os.path.isfile(path):  # noqa: PTH113, PTH120
            return False
        return not os.path.islink(path) or self._inside(path)  # noqa: PTH114

    def find_odd(self, name: str) -> str | None:
        """The file of a name whose ending is not in small letters, or left out, or `None`."""
        if not is_safe_name(name):
            return None
        path = os.path.join(self._folder, name)  # noqa: PTH118
        if not self._enters(os.path.dirname(path)):  # noqa: PTH120
            return None
        return next((odd for odd in self._odd.names(name) if self.find(odd)), None)

    def _enters(self, folder: str) -> bool:
        """Whether a folder is there and within the root; asked of the file system once."""
        inside = self._folders.get(folder)
        if inside is None:
            inside = self._folders[folder] = os.path.isdir(folder) and self._inside(folder)  # noqa: PTH112
        return inside

    def _inside(self, path: str) -> bool:
        real = Path(os.path.realpath(path))
        return self.follow_links or real == self.root or self.root in real.parents


@dataclass(frozen=True)
class ImageReport:
    """What the join of ids to files found.

    Attributes:
        total: Images asked for.
        missing: Images without a file.
        examples: Some of the missing, as `dataset_id/image_id`.
    """

    total: int
    missing: int
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.missing:
            return f"{self.total:,} images, all found"
        named = ", ".join(self.examples)
        return f"{self.total:,} images, {self.missing:,} without a file (such as {named})"


class ImageFinder:
    """Finds the files of narrated images.

    Args:
        roots: Image folder by family (`coco`, ...) or by exact `dataset_id`; the latter wins.
        csv_file: CSV file with the columns dataset_id, image_id, file_name.
        csv_root: Folder below which its file names lie; the CSV file's own folder if `None`.
        follow_links: Whether symbolic links may lead out of a root.
        max_missing: Largest share of images that may be without a file.

    Raises:
        UsageError: If a root is no folder, or neither roots nor a CSV are given.
        BadDataError: If the CSV lacks a column.
    """

    def __init__(
        self,
        roots: Mapping[str, str | Path] | None = None,
        *,
        csv_file: str | Path | None = None,
        csv_root: str | Path | None = None,
        follow_links: bool = False,
        max_missing: float = 0.05,
    ) -> None:
        if not roots and csv_file is None:
            raise UsageError("no image root: give one per data set, such as coco=FOLDER, or a CSV")
        self.max_missing = max_missing
        self._roots = {
            name: SafeRoot(Path(root), follow_links=follow_links)
            for name, root in (roots or {}).items()
        }
        self._rows: dict[tuple[str, str], str] = {}
        self._csv_root: SafeRoot | None = None
        if csv_file is not None:
            self._rows = _read_csv(Path(csv_file))
            folder = Path(csv_root) if csv_root is not None else Path(csv_file).parent
            self._csv_root = SafeRoot(folder, follow_links=follow_links)

    def find(self, dataset_id: str, image_id: str) -> str | None:
        """Absolute path of an image's file, or `None`."""
        name = self._rows.get((dataset_id, image_id))
        if name is not None and self._csv_root is not None and self._csv_root.find(name):
            return str(self._csv_root.root / name)
        family = family_of(dataset_id)
        root = self._roots.get(dataset_id) or self._roots.get(family or "")
        if root is None:
            return None
        if family:
            candidates = FAMILIES[family].rule(dataset_id.lower(), image_id)
        else:
            candidates = file_names(dataset_id, image_id)
        for candidate in candidates:
            if root.find(candidate):
                return f"{root.root}/{candidate}"
        odd = () if family else map(root.find_odd, bare_names(dataset_id, image_id))
        return next((f"{root.root}/{file}" for file in odd if file), None)

    def find_all(
        self, ids: Iterable[tuple[str, str]], *, threads: int = 16
    ) -> tuple[StringTable, NDArray[np.bool_], ImageReport]:
        """Find many images at once.

        Args:
            ids: Pairs of dataset_id and image_id.
            threads: File system calls under way at once; they wait, so more than there are cores.

        Returns:
            Absolute paths, empty where there is no file; whether each has one, bool of shape
            `(N,)`; and the counts.

        Raises:
            UsageError: If more than `max_missing` of the images have no file.
        """
        examples: list[str] = []
        tables: list[StringTable] = []
        with ThreadPoolExecutor(threads) as pool:
            stream = iter(ids)
            while block := list(islice(stream, 4096)):
                paths = [path or "" for path in pool.map(lambda pair: self.find(*pair), block)]
                tables.append(StringTable.of(paths))
                missing = (pair for pair, path in zip(block, paths, strict=True) if not path)
                examples += ["/".join(pair) for pair in islice(missing, EXAMPLES - len(examples))]
        table = StringTable.joined(tables)
        present = np.diff(table.offsets) > 0
        report = ImageReport(len(table), int((~present).sum()), examples)
        if report.missing > self.max_missing * max(1, report.total):
            where = ", ".join(f"{name}={root.root}" for name, root in self._roots.items())
            raise UsageError(
                f"image root wrong? {report}; looked below {where or 'the CSV file'}; at most"
                f" {self.max_missing:.0%} may be missing; trainer/data/images.py has the rules"
            )
        return table, present, report


def _read_csv(path: Path) -> dict[tuple[str, str], str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            needed = {"dataset_id", "image_id", "file_name"}
            missing = needed - set(reader.fieldnames or ())
            if missing:
                raise BadDataError(
                    f"{path}: no column {', '.join(sorted(missing))}; expected a header line"
                    " dataset_id,image_id,file_name"
                )
            # A row that is too short names no file.
            return {(r["dataset_id"], r["image_id"]): r["file_name"] or "" for r in reader}
    except OSError as error:
        raise UsageError(f"image CSV {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataError(f"{path}: not a CSV file in UTF-8 ({error})") from None
