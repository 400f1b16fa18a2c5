"""Whether an image file is that of an evaluation image, whatever its data set is called.

Two names for one photograph (`image_key`) are found out only where the data set's ids are known. Narratives that
somebody recorded on the evaluation's folder have a data set of their own, so files are compared too:

* a training image is an evaluation image if it is the same file: the same path, or through links;
* or if it has the same name and the same bytes: a copy. Folder, ending, COCO's split (`COCO_val2014_`) and
  leading zeros do not count; a name that several evaluation images have, as frames of videos do, says nothing.

Names alone never count (`000000002.jpg` of two simulated splits are two images), nor do bytes alone (a photograph
may be in a data set twice): what is refused is the evaluation's own file. Not found is a copy that was renamed or
encoded anew. An image costs one question to the file system; only what the evaluation seems to hold is read.
"""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from alp_builder.page import is_safe_name, split_ending
from trainer.data.cocofile import CocoFile
from trainer.data.images import image_key

T = TypeVar("T")

_BLOCK = 4096
_Identity = tuple[int, int, int]


class EvaluationFiles:
    """Files of evaluation images.

    Args:
        paths: The files; those that are not there are passed over.
        threads: Files asked about at once; they wait, so more than there are cores.
    """

    def __init__(self, paths: Iterable[str], *, threads: int = 16) -> None:
        self._threads = threads
        self._by_identity: dict[_Identity, list[str]] = defaultdict(list)
        self._by_name: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for path, identity in self._each(paths, _identity):
            if identity is not None:
                self._by_identity[identity].append(path)
                self._by_name[_plain(path)].append((path, identity[2]))

    @classmethod
    def of(cls, file: CocoFile, images: str | Path, held: Collection[str]) -> EvaluationFiles:
        """Files of the images of a COCO-format file that are in a folder.

        Args:
            file: The file.
            images: Folder of its images.
            held: `image_key` of the images that count.
        """
        names = (image.file for image in file.images if is_safe_name(image.file))
        kept = (n for n in names if image_key(file.dataset_id, Path(n).stem) in held)
        return cls(f"{images}/{name}" for name in kept)

    def __len__(self) -> int:
        return sum(map(len, self._by_identity.values()))

    def knows_name(self, name: str) -> bool:
        """Whether an evaluation image is called so, or by a name that counts as the same."""
        return _plain(name) in self._by_name

    def among(self, paths: Iterable[str]) -> list[tuple[int, str]]:
        """Which of some files are evaluation images.

        Args:
            paths: Files of training images.

        Returns:
            Place and path of each that is.
        """
        if not self._by_identity:
            return []
        found = self._each(paths, self._holds)
        return [(place, path) for place, (path, held) in enumerate(found) if held]

    def _holds(self, path: str) -> bool:
        identity = _identity(path)
        if identity is None:
            return False
        # Some network file systems number files anew, or all alike: bytes have the last word.
        alike = self._by_identity.get(identity, [])
        if path in alike or any(_same_bytes(path, other) for other in alike):
            return True
        named = self._by_name.get(_plain(path), [])
        if len(named) != 1:
            return False
        ((other, size),) = named
        return size == identity[2] and _same_bytes(path, other)

    def _each(self, paths: Iterable[str], ask: Callable[[str], T]) -> Iterator[tuple[str, T]]:
        stream = iter(paths)
        with ThreadPoolExecutor(self._threads) as pool:
            while block := list(islice(stream, _BLOCK)):
                yield from zip(block, pool.map(ask, block), strict=True)


def _identity(path: str) -> _Identity | None:
    """Device, number and size of a file, links followed; `None` if it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - half a million calls
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size


def _plain(path: str) -> str:
    """A name without folder, ending, COCO's split and leading zeros."""
    stem = split_ending(path.rpartition("/")[2])[0].lower()
    return (stem.rpartition("_")[2] if stem.startswith("coco_") else stem).lstrip("0")


def _same_bytes(one: str, other: str) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
