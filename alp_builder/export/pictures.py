"""The image of an ALP: its file and its size in pixels, from a COCO file or a folder of images.

Ids in shards may come from anybody, so no path is ever made of one: the folder is walked once, and an id finds
the file whose name means that image (`000000381639.jpg` is "381639"), or that lies there below the folder, as
`alps record` says it (`holiday/01` is `holiday/01.jpg`). Where files of several folders bear one name, it is the
one that the id names from the folder on, else the folder whose name ends the `dataset_id` decides (`val2017` for
"mscoco_val2017").
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from alp_builder.errors import BadDataError, UsageError
from alp_builder.image_names import split_ending
from alp_builder.simulate.coco import narrative_image_id, read_coco


@dataclass(frozen=True, slots=True)
class Picture:
    """An image.

    Attributes:
        file_name: Name for other tools, relative to the folder of images.
        width: Pixels.
        height: Pixels.
        path: The file, if there is a folder of images.
        coco_id: Its id in the COCO file, if there is one.
    """

    file_name: str
    width: int
    height: int
    path: Path | None = None
    coco_id: int | None = None


class Pictures:
    """Finds images by `dataset_id` and `image_id`.

    Args:
        coco: COCO file whose `images` give names, sizes and ids.
        root: Folder of images; with `coco`, each `file_name` is relative to it.

    Raises:
        UsageError: If neither is given, or one cannot be read.
        BadDataError: If two images of the COCO file have one name in narratives.
    """

    def __init__(self, coco: Path | None = None, root: Path | None = None) -> None:
        if coco is None and root is None:
            raise UsageError(
                "sizes of images are needed: give --coco FILE (its images) or --images DIR"
            )
        if root is not None and not root.is_dir():
            raise UsageError(f"--images {root}: no such folder")
        self._root = root
        self._listed = _listed(coco, root) if coco else None
        self._files = _walk(root) if root and not coco else {}

    def find(self, dataset_id: str, image_id: str) -> Picture | None:
        """The image, or `None` where there is none.

        Raises:
            UsageError: If several files could be it.
            BadDataError: If its file is no image.
        """
        if self._listed is not None:
            return self._listed.get(image_id)
        found = self._files.get(image_id, [])
        if len(found) > 1:
            found = self._meant(found, dataset_id, image_id)
            if len(found) != 1:
                raise UsageError(
                    f"--images {self._root}: several files could be image {image_id!r} of"
                    f" {dataset_id!r}; name the folder of one data set, or give --coco"
                )
        return self._measure(found[0]) if found else None

    def _meant(self, found: list[Path], dataset_id: str, image_id: str) -> list[Path]:
        """Which of several files an id means: one that it names in full, else of the data set's folder."""
        assert self._root is not None
        names = {path: path.relative_to(self._root).as_posix() for path in found}
        for said in (lambda name: name, lambda name: split_ending(name)[0]):
            if len(named := [path for path in found if said(names[path]) == image_id]) == 1:
                return named
        return [path for path in found if dataset_id.endswith(path.parent.name)]

    def _measure(self, path: Path) -> Picture:
        assert self._root is not None
        try:
            with Image.open(path) as image:
                width, height = image.size
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise BadDataError(f"{path}: no readable image ({error})") from error
        return Picture(path.relative_to(self._root).as_posix(), width, height, path)


def _listed(coco: Path, root: Path | None) -> dict[str, Picture]:
    """The images of a COCO file by their name in narratives; `path` only where the file is below the root."""
    found: dict[str, Picture] = {}
    inside = {path.relative_to(root).as_posix() for path in _images(root)} if root else set()
    for image in read_coco(coco).images:
        name = narrative_image_id(image.file_name)
        if name in found:
            raise BadDataError(f"{coco}: two images are called {name!r} in narratives")
        if image.width < 1 or image.height < 1:
            raise BadDataError(f"{coco}: image {image.id} has no area")
        path = root / image.file_name if root and image.file_name in inside else None
        found[name] = Picture(image.file_name, image.width, image.height, path, image.id)
    for picture in list(found.values()):
        for name in _relative_ids(picture.file_name):
            found.setdefault(name, picture)
    return found


def _relative_ids(file_name: str) -> tuple[str, str]:
    """What `alps record` calls the image of a file below the folder."""
    return split_ending(file_name)[0], file_name


def _walk(root: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in _images(root):
        # Some data sets write leading zeros in their ids; COCO of 2014 puts its split before the number.
        names = {path.stem, narrative_image_id(path.name), narrative_image_id(_number(path.name))}
        for name in names.union(_relative_ids(path.relative_to(root).as_posix())):
            found[name].append(path)
    return dict(found)


def _number(file_name: str) -> str:
    return file_name.rpartition("_")[2] if file_name.startswith("COCO_") else file_name


def _images(root: Path) -> list[Path]:
    """Image files below a folder, sorted; symbolic links to folders are not followed."""
    found = [
        Path(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if split_ending(name)[1]
    ]
    return sorted(found)
