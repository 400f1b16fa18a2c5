"""From the image id of a narrative to a file below a folder, and never out of it.

A data set's images lie where its own download puts them. `_RULES` writes that down as patterns, tried in order
(those whose folder the ids speak of first) and each with the usual endings: `{id}` is the image's id, `{split}`
what follows the first underscore of the data set's, `{nine}` and `{twelve}` the id's digits filled with zeros.
Endings in other letters (`IMG_0001.JPG`) are looked for last; `alp_builder.image_names` has the rule.

Ids and file names come from data anybody may have written. One that is not safe (`is_safe_name`), or leads through
a symbolic link out of its folder, counts as missing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from alp_builder.errors import BadDataError, UsageError
from alp_builder.image_names import MAX_NAME, OddEndings, is_safe_name, with_endings

_SPLITS = ("train/{id}", "validation/{id}", "val/{id}", "test/{id}", "{id}")
_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(ms)?coco([_-]|$)", ("{split}/{twelve}", "{twelve}")),
    (r"open_?images", _SPLITS),
    (r"flickr?30k", ("flickr30k-images/{id}", "{id}")),
    (r"ade20k", ("images/training/{id}", "images/validation/{id}", "{id}")),
    (r"simulated_world", ("{tail}/{nine}", "{nine}")),
    # Simulated narratives of a COCO file are named after the file: simulated_instances_val2017.
    (r"simulated_", ("{tail}/{twelve}", "{tail}/{id}", "{twelve}", "{id}")),
    # `alps record` names images by where they lie below its folder.
    (r"recorded_", ("{id}", "{split}/{id}", *_SPLITS)),
    (r"", ("{split}/{id}", *_SPLITS, "{twelve}")),
)
_CSV_COLUMNS = ("dataset_id", "image_id", "file_name")


def file_names(dataset_id: str, image_id: str) -> list[str]:
    """Names an image's file may have below the folder of its data set, endings in small letters.

    >>> file_names("mscoco_val2017", "381639")[0], file_names("ADE20k", "ADE_val_00000175")[0]
    ('val2017/000000381639.jpg', 'images/validation/ADE_val_00000175.jpg')
    """
    return [file for name in bare_names(dataset_id, image_id) for file in with_endings(name)]


def bare_names(dataset_id: str, image_id: str) -> list[str]:
    """Those names as the rules have them, before endings are tried.

    >>> bare_names("recorded_photos", "holiday/01")[0]
    'holiday/01'
    """
    patterns = next(p for rule, p in _RULES if re.match(rule, dataset_id, re.IGNORECASE))
    digits = image_id.rpartition("_")[2]
    values = {
        "id": image_id,
        "split": dataset_id.partition("_")[2],
        "tail": dataset_id.rpartition("_")[2],
        "nine": image_id.zfill(9),
        "twelve": digits.zfill(12),
    }
    spoken = f"{dataset_id} {image_id}".lower()
    # "validation" is spoken of as "val", "training" as "train".
    if patterns[0] != "{id}":
        patterns = tuple(sorted(patterns, key=lambda p: _folder(p)[:3] not in spoken))
    return list(dict.fromkeys(pattern.format(**values) for pattern in patterns))


def _folder(pattern: str) -> str:
    """What ids say of a pattern's folder if it is theirs; such a folder made of ids always is."""
    folder = pattern.rpartition("/")[0].rpartition("/")[2]
    return "" if "{" in folder else folder or "\0"


class ImageFolder:
    """A folder out of which no name leads.

    Args:
        path: The folder.

    Raises:
        UsageError: If there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise UsageError(f"--images {path}: no such folder; give the folder of the images")
        self.path = Path(os.path.realpath(path))
        self._odd = OddEndings(str(self.path))

    def find(self, name: str) -> Path | None:
        """The file of a relative name, links followed, or `None`."""
        return self.holds(self.path / name) if is_safe_name(name) else None

    def find_odd(self, name: str) -> Path | None:
        """The file of a name whose ending is not in small letters, or left out, or `None`."""
        if not is_safe_name(name) or not self._reaches((self.path / name).parent):
            return None
        return next((found for odd in self._odd.names(name) if (found := self.find(odd))), None)

    def holds(self, path: Path) -> Path | None:
        """The file a path leads to, links followed, if it lies in this folder."""
        try:
            real = Path(os.path.realpath(path))
            return real if real.is_relative_to(self.path) and real.is_file() else None
        except (OSError, ValueError):
            return None

    def _reaches(self, path: Path) -> bool:
        """Whether a path leads into this folder."""
        try:
            return Path(os.path.realpath(path)).is_relative_to(self.path)
        except (OSError, ValueError):
            return False


class ImageFiles:
    """Finds files of images.

    Args:
        roots: `FOLDER` or `DATASET=FOLDER`; the latter serves that `dataset_id` only, and goes first.
        csv_file: CSV file with the columns dataset_id, image_id, file_name, the names below a root or
            the CSV file's own folder.

    Raises:
        UsageError: If a folder or the CSV file cannot be read.
        BadDataError: If the CSV file lacks a column.
    """

    def __init__(self, roots: list[str], csv_file: Path | None = None) -> None:
        self._named: dict[str, list[ImageFolder]] = {}
        self._any: list[ImageFolder] = []
        for root in roots:
            name, sign, folder = root.partition("=")
            if sign and not Path(root).exists():
                self._named.setdefault(name, []).append(ImageFolder(Path(folder)))
            else:
                self._any.append(ImageFolder(Path(root)))
        self._csv: dict[tuple[str, str], str] = {}
        self._csv_folders: list[ImageFolder] = []
        if csv_file is not None:
            self._csv = _read_csv(csv_file)
            self._csv_folders = [ImageFolder(csv_file.absolute().parent)]

    def __bool__(self) -> bool:
        return bool(self._named or self._any or self._csv)

    def find(self, dataset_id: str, image_id: str) -> Path | None:
        """The file of a narrative's image, or `None`."""
        folders = [*self._named.get(dataset_id, []), *self._any]
        listed = self._csv.get((dataset_id, image_id))
        if listed is not None:
            return _first(listed, [*folders, *self._csv_folders])
        for name in file_names(dataset_id, image_id):
            if found := _first(name, folders):
                return found
        odd = (f.find_odd(name) for name in bare_names(dataset_id, image_id) for f in folders)
        return next((found for found in odd if found), None)

    def locate(self, file_name: str) -> Path | None:
        """The file a COCO file calls so: below a root, or a path that leads into one."""
        folders = [folder for group in self._named.values() for folder in group] + self._any
        if found := _first(file_name, folders):
            return found
        if "\0" in file_name or len(file_name) > MAX_NAME:
            return None
        path = Path(file_name).absolute()
        return next((found for f in folders if (found := f.holds(path))), None)


def _first(name: str, folders: list[ImageFolder]) -> Path | None:
    return next((found for folder in folders if (found := folder.find(name))), None)


def _read_csv(path: Path) -> dict[tuple[str, str], str]:
    """File names by data set and image."""
    texts = dict.fromkeys(_CSV_COLUMNS, pa.string())
    options = csv.ConvertOptions(column_types=texts, include_columns=list(texts))
    try:
        table = csv.read_csv(path, convert_options=options)
    except OSError as error:
        raise UsageError(f"--images-csv {path}: cannot be read ({error.strerror})") from error
    except (pa.ArrowException, KeyError) as error:
        wanted = ",".join(_CSV_COLUMNS)
        raise BadDataError(f"{path}: {error}; expected a header line {wanted}") from error
    datasets, images, names = (table[name].to_pylist() for name in _CSV_COLUMNS)
    return dict(zip(zip(datasets, images, strict=True), names, strict=True))
