"""Text vectors on disk: computed once, float16, memory-mapped, safe with several writers.

A folder per encoder fingerprint holds immutable segments, each a pair of arrays:

    <segment>.keys.npy      (N,) 16-byte digests of the texts, sorted
    <segment>.vectors.npy   (N, dim) float16, row i belongs to key i

A lookup searches the sorted keys of each segment, so a million phrases cost a worker the pages it
touches and no Python object a row. New vectors collect in memory and become a segment at `flush`. Two
processes may write the same text twice; the vectors are equal, so either one serves.

Invariant: a vector is rounded to float16 *before* its first use, so that a run that computed it and a
run that read it from disk train alike.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.modeling.text_encoders.encoder import Vectors

KEY = np.dtype("S16")
HalfVectors = NDArray[np.float16]


def text_key(text: str) -> bytes:
    """A text's digest, 16 bytes without a zero at the end (numpy strips trailing zeros)."""
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return digest[:15] + bytes([digest[15] | 1])


class VectorCache:
    """Vectors of texts by content.

    Args:
        folder: Where the segments lie; None keeps everything in memory.
        dim: Length of a vector.
    """

    def __init__(self, folder: Path | None, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self._fresh: dict[bytes, HalfVectors] = {}
        self._segments: list[tuple[NDArray[np.bytes_], HalfVectors]] = []
        if folder is not None:
            for keys in sorted(folder.glob("*.keys.npy")):
                self._open(keys)

    def lookup(self, texts: Sequence[str], encode: Callable[[list[str]], Vectors]) -> Vectors:
        """Vectors `(N, dim)`; those not known are encoded, once each.

        Args:
            texts: The texts.
            encode: Gives vectors `(M, dim)` of the M unknown ones.
        """
        out = np.empty((len(texts), self.dim), dtype=np.float16)
        keys = np.array([text_key(text) for text in texts], dtype=KEY)
        missing = ~self._read(keys, out)
        if missing.any():
            unknown = {keys[i]: texts[i] for i in np.flatnonzero(missing).tolist()}
            vectors = encode(list(unknown.values())).astype(np.float16)
            self._fresh.update(zip(unknown, vectors, strict=True))
            out[missing] = [self._fresh[key] for key in keys[missing]]
        return out.astype(np.float32)

    def flush(self) -> int:
        """Write what is new as one segment; returns how many vectors that were."""
        if self.folder is None or not self._fresh:
            return 0
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = np.array(list(self._fresh), dtype=KEY)
        order = np.argsort(keys)
        vectors = np.stack(list(self._fresh.values()))[order]
        name = hashlib.blake2b(keys[order].tobytes(), digest_size=8).hexdigest()
        # The keys come last: a reader that sees them finds the vectors.
        _publish(self.folder / f"{name}.vectors.npy", vectors)
        _publish(self.folder / f"{name}.keys.npy", keys[order])
        self._open(self.folder / f"{name}.keys.npy")
        written = len(self._fresh)
        self._fresh.clear()
        return written

    def _open(self, keys: Path) -> None:
        vectors = keys.with_name(keys.name.replace(".keys.", ".vectors."))
        pair = np.load(keys, mmap_mode="r"), np.load(vectors, mmap_mode="r")
        if len(pair[0]) == len(pair[1]) and pair[1].shape[1] == self.dim:
            self._segments.append(pair)

    def _read(self, keys: NDArray[np.bytes_], out: HalfVectors) -> NDArray[np.bool_]:
        """Fill in the rows that are known; returns which."""
        known = np.zeros(len(keys), dtype=bool)
        for row, key in enumerate(keys):
            if (vector := self._fresh.get(key)) is not None:
                out[row] = vector
                known[row] = True
        for segment, vectors in self._segments:
            place = np.searchsorted(segment, keys)
            place[place == len(segment)] = 0
            found = ~known & (segment[place] == keys)
            out[found] = vectors[place[found]]
            known |= found
        return known


def _publish(path: Path, array: NDArray[np.generic]) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
