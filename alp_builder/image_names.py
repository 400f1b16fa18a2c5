"""What the file of an image may be called: endings, names with and without one, and names that are safe.

The rule by which `alps record` names images (below the folder, without the ending where that is enough), and by
which everything else finds them again: `holiday/01` is `holiday/01.jpg`, `IMG_0001` is `IMG_0001.JPG`, and
`same.png` is itself. Endings count without regard to letter case. Usual spellings are asked for by name; only for
what is not found so is a folder listed, once, and of it only what has an unusual one is kept.

Names come from data anybody may have written. One that is absolute, has a part that is empty, `.` or `..`, a
backslash or a NUL, is refused before it is made into a path; where links lead is for the caller to see to.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict

ENDINGS = (".jpg", ".png", ".jpeg", ".webp")
"""Endings of files that are taken for images, in the order they are tried."""

MAX_NAME = 1024
"""Longest name, in characters."""

_UNSAFE_PARTS = frozenset(("", ".", ".."))


def is_safe_name(name: str) -> bool:
    r"""Whether a name can be joined to a folder without leading out of it, but for links.

    >>> [is_safe_name(name) for name in ("holiday 01 (é).jpg", "a/..b", "../a", "/a", "a//b", "a\\b")]
    [True, True, False, False, False, False]
    """
    if len(name) > MAX_NAME or "\0" in name or "\\" in name:
        return False
    return _UNSAFE_PARTS.isdisjoint(name.split("/"))


def split_ending(name: str) -> tuple[str, str]:
    """A name and its ending; the latter is empty if it is not that of an image.

    >>> split_ending("holiday/01.JPG"), split_ending("frame.1")
    (('holiday/01', '.JPG'), ('frame.1', ''))
    """
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - of a name, half a million times
    return (stem, ending) if ending.lower() in ENDINGS else (name, "")


def with_endings(name: str) -> list[str]:
    """Files a name may mean: itself if it has an ending, and the usual endings after it.

    >>> with_endings("a")[:2], with_endings("a.PNG")[:2]
    (['a.jpg', 'a.png'], ['a.PNG', 'a.PNG.jpg'])
    """
    itself = [name] if split_ending(name)[1] else []
    return [*itself, *(name + ending for ending in ENDINGS)]


class OddEndings:
    """Files whose endings are not in small letters; a folder is listed when it is first asked about.

    Args:
        root: The folder that names are relative to.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._listed: dict[str, dict[str, list[str]]] = {}
        self._lock = threading.Lock()

    def names(self, name: str) -> list[str]:
        """Names of the files that a name with or without ending may mean, beside `with_endings`.

        Args:
            name: A safe name whose folder does not lead out of the root.
        """
        folder, slash, last = name.rpartition("/")
        with self._lock:
            if folder not in self._listed:
                self._listed[folder] = self._list(folder)
            listed = self._listed[folder]
        stem, ending = split_ending(last)
        same = [file for file in listed.get(stem, ()) if file.lower().endswith(ending.lower())]
        return [folder + slash + file for file in (same if ending else [])] + [
            folder + slash + file for file in listed.get(last, ())
        ]

    def _list(self, folder: str) -> dict[str, list[str]]:
        """The odd ones of a folder by name without ending, in order; none if it cannot be read."""
        found: dict[str, list[str]] = defaultdict(list)
        try:
            files = sorted(os.listdir(os.path.join(self._root, folder)))  # noqa: PTH118, PTH208
        except (OSError, ValueError):
            return {}
        for file in files:
            stem, ending = split_ending(file)
            if ending not in ("", ending.lower()):
                found[stem].append(file)
        return dict(found)
