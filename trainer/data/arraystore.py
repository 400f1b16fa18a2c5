"""Named arrays in one folder, published whole and opened memory-mapped.

Millions of annotations as Python objects cost gigabytes, once per loader worker: touching an object
changes its reference count, and the page is copied. Here a data set is a handful of flat arrays in
`.npy` files. Workers map the same pages, and a row becomes a Python object only while it is used.

Layout: `FOLDER/NAME.npy` for each array and `FOLDER/info.json`, written last. A folder without
`info.json` does not exist for readers, because it is renamed into place only when whole.

Invariants: arrays are read-only; an `ArrayStore` pickles as its path, never as its contents.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import BadDataError

INFO = "info.json"


class ArrayStore:
    """Read-only, memory-mapped arrays of one folder.

    Args:
        folder: A folder written by `publish`.

    Attributes:
        folder: Where the arrays are.
        info: What `publish` was given as `info`.

    Raises:
        BadDataError: If the folder is not a whole store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.info: dict[str, Any] = json.loads((folder / INFO).read_text(encoding="utf-8"))
            self._arrays = {name: _open(folder / f"{name}.npy") for name in self.info["arrays"]}
        except Exception as error:  # noqa: BLE001 - numpy raises what a damaged header makes it meet
            raise BadDataError(
                f"{folder}: not a readable cache ({error}); delete the folder, it is made anew"
            ) from None

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __reduce__(self) -> tuple[type[ArrayStore], tuple[Path]]:
        return ArrayStore, (self.folder,)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, that is of the mapped files."""
        return sum(array.nbytes for array in self._arrays.values())


def _open(path: Path) -> NDArray[Any]:
    """Map one `.npy` file as a plain array; an array without elements cannot be mapped."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if 0 in shape:
        return np.empty(shape, dtype)
    # `asarray` drops the memmap subclass, whose every slice would cost a Python object more.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def is_published(folder: Path) -> bool:
    """Whether `folder` holds a whole store."""
    return (folder / INFO).is_file()


def publish(
    folder: Path, arrays: Mapping[str, NDArray[Any]], info: Mapping[str, Any]
) -> ArrayStore:
    """Write arrays beside `folder`, then rename them into place.

    Two processes may publish the same folder at once: the contents are equal, and the second one
    finds the first one's result and uses it.

    Args:
        folder: Where the store shall be; its parents are made.
        arrays: Arrays by name, none of dtype object.
        info: JSON-able facts that belong with them.

    Returns:
        The published store, opened.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, array in arrays.items():
            with (draft / f"{name}.npy").open("wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
                _to_disk(file.fileno())
        with (draft / INFO).open("w", encoding="utf-8") as text:
            json.dump({**info, "arrays": sorted(arrays)}, text, indent=1, sort_keys=True)
            text.flush()
            _to_disk(text.fileno())
        try:
            draft.rename(folder)
        except OSError:
            if not is_published(folder):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return ArrayStore(folder)


def rows_hash(store: ArrayStore, rows: NDArray[Any]) -> str:
    """A hash of some rows of a store, whose folder is named by a hash of what it was made of."""
    digest = hashlib.sha256(store.folder.name.encode())
    digest.update(np.ascontiguousarray(rows, np.int64).tobytes())
    return digest.hexdigest()[:12]


def _to_disk(descriptor: int) -> None:
    os.fsync(descriptor)


class StringTable:
    """Strings as one blob of UTF-8 and their offsets: no Python object until one is asked for.

    Args:
        blob: Bytes, uint8 of shape `(B,)`.
        offsets: Where each string starts, and the end, int64 of shape `(N + 1,)`.
    """

    def __init__(self, blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.blob, self.offsets = blob, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        return (
            self.blob[self.offsets[index] : self.offsets[index + 1]]
            .tobytes()
            .decode("utf-8", "surrogateescape")
        )

    @classmethod
    def of(cls, strings: Sequence[str]) -> StringTable:
        """The table of some strings."""
        encoded = [string.encode("utf-8", "surrogateescape") for string in strings]
        lengths = np.fromiter((len(item) for item in encoded), np.int64, len(encoded))
        blob = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(blob, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))

    @classmethod
    def joined(cls, tables: Sequence[StringTable]) -> StringTable:
        """One table of several, in order."""
        blob = np.concatenate([np.empty(0, np.uint8), *(table.blob for table in tables)])
        lengths = (np.diff(table.offsets) for table in tables)
        return cls(blob, np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths])))

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The table as arrays of a store, `name_blob` and `name_offsets`."""
        return {f"{name}_blob": self.blob, f"{name}_offsets": self.offsets}

    @classmethod
    def within(cls, store: ArrayStore, name: str) -> StringTable:
        """The table of that name in a store."""
        return cls(store[f"{name}_blob"], store[f"{name}_offsets"])
