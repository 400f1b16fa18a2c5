"""ALPs of shards as flat arrays, grouped by image and joined to image files.

The shards are read once, filtered by quality, sorted by image, and kept as an `ArrayStore` under a
fingerprint of the rows' hashes and the filter; every later run and every worker maps the same file:

| array | shape | meaning |
| --- | --- | --- |
| `box` | `(N, 4)` float32 | normalised xyxy |
| `phrase` | `(N,)` int32 | row of the table of phrases |
| `score` | `(N,)` float32 | quality, 0 to 1 |
| `plural` | `(N,)` bool | the phrase means several things |
| `first` | `(M + 1,)` int64 | first ALP of each image, and N |
| `image_*`, `image_dataset` | M strings, `(M,)` int32 | image id and data set |
| `text_*`, `head_*` | P strings | a phrase for the classifier, and its head lemma |

An ALP costs 25 bytes on disk and none in a worker's own memory. Images are in the order of their
ids, so nothing depends on how the shards were cut.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from alp_builder.errors import BadDataError, UsageError
from alp_builder.reader import AlpDataset as AlpShards
from trainer.data.arraystore import ArrayStore, StringTable, is_published, publish, rows_hash
from trainer.data.images import ImageFinder, ImageReport, image_key
from trainer.data.shapes import portraits
from trainer.data.shards import open_shards, rows_fingerprint, scan_rows

logger = logging.getLogger(__name__)

LAYOUT = 1
"""Version of the arrays; part of the fingerprint."""

_SIDES = ("x0", "y0", "x1", "y1")
_COLUMNS = ("dataset_id", "image_id", "phrase_text", "head_lemma", "is_plural", "score", *_SIDES)


class AlpFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which ALPs are good enough to train on; the columns are described in `alp_builder.schema`.

    Attributes:
        min_score: Least quality score.
        min_points: Fewest trace points.
        min_dwell_time: Least dwell time, in seconds.
        max_components: Most separate places of a phrase's trace, or `None`.
        max_time_gap: Longest stretch without a trace point, in seconds, or `None`.
        min_side: Least width and height of a box, as a fraction of the image's.
        plurals: Whether phrases that mean several things are kept.
        groups: Whether things named as a group are kept.
    """

    min_score: float = 0.0
    min_points: int = 1
    min_dwell_time: float = 0.0
    max_components: int | None = None
    max_time_gap: float | None = None
    min_side: float = 0.0
    plurals: bool = True
    groups: bool = True

    def expression(self) -> pc.Expression:
        """The filter as an Arrow expression; no box without area inside the image passes."""
        field = pc.field
        side = max(self.min_side, 1e-6)
        rows = (
            (field("score") >= self.min_score)
            & (field("num_points") >= self.min_points)
            & (field("dwell_time") >= self.min_dwell_time)
        )
        for low, high in (("x0", "x1"), ("y0", "y1")):
            # A box is cut at the image: its extent is that to the nearer of two sides, at both ends.
            rows &= field(high) - field(low) >= side
            rows &= (field(high) >= side) & (pc.scalar(1) - field(low) >= side)
        if self.max_components is not None:
            rows &= field("num_components") <= self.max_components
        if self.max_time_gap is not None:
            rows &= field("time_gap") <= self.max_time_gap
        if not self.plurals:
            rows &= ~field("is_plural")
        if not self.groups:
            rows &= ~field("is_group")
        return rows


@dataclass(frozen=True)
class AlpRecord:
    """The ALPs of one image.

    Attributes:
        file_name: Absolute path of the image.
        dataset_id: Data set of the image.
        image_id: Image, as the narrative names it.
        boxes: Normalised xyxy, float64 of shape `(n, 4)`.
        phrases: Text for the classifier, n strings.
        heads: Head lemmas, n strings.
        plural: Whether a phrase means several things, bool of shape `(n,)`.
        scores: Quality, float32 of shape `(n,)`.
    """

    file_name: str
    dataset_id: str
    image_id: str
    boxes: NDArray[np.float64]
    phrases: list[str]
    heads: list[str]
    plural: NDArray[np.bool_]
    scores: NDArray[np.float32]


class AlpDataset:
    """Images with ALPs and a file, in the order of their ids.

    Args:
        store: Arrays written by `cache_alps`.
        finder: Finds the image files; `None` leaves file names empty (for counting, not for
            training).

    Attributes:
        report: What the join to files found.

    Raises:
        UsageError: If too many images are missing, or none is left.
    """

    def __init__(self, store: ArrayStore, finder: ImageFinder | None) -> None:
        self.store = store
        self._portrait: NDArray[np.bool_] | None = None
        self._attach()
        images = len(self._image_ids)
        if finder is None:
            self._files: StringTable | None = None
            self._rows = np.arange(images, dtype=np.int32)
            self.report = ImageReport(images, 0)
        else:
            self._files, present, self.report = finder.find_all(self._ids(range(images)))
            self._rows = np.flatnonzero(present).astype(np.int32)
            logger.info("ALPs: %s", self.report)
        if not len(self._rows):
            raise UsageError(f"{store.folder}: no image with ALPs is left; loosen the filter")

    def _attach(self) -> None:
        """Look the arrays up in the store."""
        self._first = self.store["first"]
        self._image_ids = StringTable.within(self.store, "image")
        self._texts, self._heads = (
            StringTable.within(self.store, name) for name in ("text", "head")
        )
        self._datasets: list[str] = self.store.info["datasets"]

    def __getstate__(self) -> dict[str, Any]:
        # The store pickles as its path; what is looked up in it would pickle as its contents.
        return {
            name: self.__dict__[name]
            for name in ("store", "report", "_files", "_rows", "_portrait")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        finder: ImageFinder | None,
        *,
        cache: str | Path,
        quality: AlpFilter | None = None,
        split: str | None = None,
        shapes: bool = True,
        shard_cache_gib: float = 20.0,
    ) -> AlpDataset:
        """The ALPs of a data set's folder, see `cache_alps` and the class.

        With `shapes` the image files' headers are read on first use, so that batches can be of one
        shape; without it they are mixed.
        """
        store = cache_alps(folder, Path(cache), quality or AlpFilter(), split, shard_cache_gib)
        data = cls(store, finder)
        if shapes and data._files is not None:
            data._portrait = portraits(data._files, Path(cache))
        return data

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_alps(self) -> int:
        """ALPs of all images that have a file."""
        return int((self._first[self._rows + 1] - self._first[self._rows]).sum())

    def common_phrases(self, most: int = 10_000) -> list[tuple[str, str]]:
        """Distinct phrases and their head lemmas, by falling number of ALPs, then by text.

        Args:
            most: How many to give at most.
        """
        # ALPs of images without a file count too: reading them all in order is quicker than leaving them out.
        counts = np.bincount(self.store["phrase"], minlength=len(self._texts))
        order = np.argsort(-counts, kind="stable")[:most]  # phrases are sorted by text
        return [(self._texts[i], self._heads[i]) for i in order]

    @property
    def portrait(self) -> NDArray[np.bool_] | None:
        """Whether each image is higher than wide, shape `(len(self),)`; `None` if unknown or alike."""
        if self._portrait is None:
            return None
        found = self._portrait[self._rows]
        return found if found.any() and not found.all() else None

    def _ids(self, rows: Collection[int] | NDArray[np.int32]) -> Iterator[tuple[str, str]]:
        datasets = self.store["image_dataset"]
        return ((self._datasets[datasets[row]], self._image_ids[row]) for row in rows)

    def content_hash(self) -> str:
        """A hash of the ALPs and of which images have a file; equal on machines with equal data."""
        return rows_hash(self.store, self._rows)

    def image_keys(self) -> Iterator[str]:
        """`image_key` of each image, in order."""
        return (image_key(*pair) for pair in self._ids(self._rows))

    def image_files(self) -> Iterator[str]:
        """Absolute path of each image, in order; empty ones without a finder."""
        files = self._files
        return ("" if files is None else files[row] for row in self._rows.tolist())

    def without(self, keys: Collection[str]) -> AlpDataset:
        """The same data without the images of the given keys; the arrays are shared."""
        keep = np.fromiter((key not in keys for key in self.image_keys()), bool, len(self))
        smaller = object.__new__(AlpDataset)
        smaller.__dict__.update(self.__dict__, _rows=self._rows[keep])
        if not keep.any():
            raise UsageError(f"{self.store.folder}: every image with ALPs is excluded")
        return smaller

    def __getitem__(self, index: int) -> AlpRecord:
        row = int(self._rows[index])
        span = slice(int(self._first[row]), int(self._first[row + 1]))
        phrases = [int(phrase) for phrase in self.store["phrase"][span]]
        ((dataset_id, image_id),) = self._ids([row])
        return AlpRecord(
            file_name=self._files[row] if self._files is not None else "",
            dataset_id=dataset_id,
            image_id=image_id,
            boxes=self.store["box"][span].astype(np.float64),
            phrases=[self._texts[phrase] for phrase in phrases],
            heads=[self._heads[phrase] for phrase in phrases],
            plural=self.store["plural"][span].copy(),
            scores=self.store["score"][span].copy(),
        )


def cache_alps(
    folder: str | Path,
    cache: Path,
    quality: AlpFilter,
    split: str | None,
    shard_cache_gib: float = 20.0,
) -> ArrayStore:
    """The arrays of a data set, made on first use.

    Args:
        folder: ALP data set with a manifest: a folder, or a URL such as `s3://bucket/alps`, whose shards
            are downloaded into `CACHE/shards`, once for all processes of a machine.
        cache: Folder of caches; the arrays are in a subfolder named by their fingerprint.
        quality: ALPs to keep.
        split: Split to read, all if `None`.
        shard_cache_gib: Most GiB of downloaded shards to keep.

    Raises:
        UsageError: If there is no such folder, or the URL cannot be reached.
        BadDataError: If the data set is unfinished, of an unknown schema, or has no fitting ALP.
    """
    shards = open_shards(folder, cache / "shards", int(shard_cache_gib * 2**30))
    recipe = (rows_fingerprint(shards), LAYOUT, msgspec.to_builtins(quality), split)
    fingerprint = hashlib.sha256(msgspec.json.encode(recipe)).hexdigest()[:20]
    target = cache / f"alps-{fingerprint}"
    if is_published(target):
        return ArrayStore(target)
    # Of remote shards one process makes them for all: with a shard cache smaller than the data, two would
    # delete what the other is about to read.
    with shards.alone(target.name):
        if is_published(target):
            return ArrayStore(target)
        return _make_arrays(shards, target, quality, split, str(folder))


def _make_arrays(
    shards: AlpShards, target: Path, quality: AlpFilter, split: str | None, folder: str
) -> ArrayStore:
    """Read the shards and publish their arrays."""
    batches = list(scan_rows(shards, _COLUMNS, quality.expression(), split))
    table = pa.Table.from_batches(batches) if batches else None
    if table is None or not table.num_rows:
        raise BadDataError(f"{folder}: no ALP passes the filter {msgspec.to_builtins(quality)}")
    del batches
    arrays, datasets = _arrays(table.unify_dictionaries())
    del table
    pa.default_memory_pool().release_unused()
    return publish(target, arrays, {"datasets": datasets, "source": folder, "split": split})


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """A dictionary column as codes in the order of the sorted strings, and those strings."""
    words: list[str] = column.chunk(0).dictionary.to_pylist()
    order = np.array(sorted(range(len(words)), key=words.__getitem__), np.int64)
    rank = np.empty(len(words), np.int64)
    rank[order] = np.arange(len(words))
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
    return rank[codes], [words[i] for i in order]


def _pairs(major: NDArray[np.int64], minor: NDArray[np.int64], minors: int) -> tuple[Any, Any]:
    """Distinct pairs of two codes as one sorted code, and which of them each row has."""
    return np.unique(major * max(1, minors) + minor, return_inverse=True)


def _arrays(table: pa.Table) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Rows of shards as the arrays of the module's table, and the names of the data sets."""
    dataset, datasets = _codes(table["dataset_id"])
    image, images = _codes(table["image_id"])
    image_pairs, row_image = _pairs(dataset, image, len(images))
    text, texts = _codes(table["phrase_text"])
    head, heads = _codes(table["head_lemma"])
    phrase_pairs, row_phrase = _pairs(text, head, len(heads))
    # Stable: within an image ALPs stay in the order of the shards.
    order = np.argsort(row_image, kind="stable")
    counts = np.bincount(row_image, minlength=len(image_pairs))
    box = np.stack([table[side].to_numpy() for side in _SIDES], axis=1)[order]
    arrays: dict[str, NDArray[Any]] = {
        "box": np.clip(box, 0, 1, dtype=np.float32),
        "phrase": row_phrase[order].astype(np.int32),
        "score": table["score"].to_numpy()[order].astype(np.float32),
        "plural": table["is_plural"].to_numpy()[order].astype(bool),
        "first": np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        "image_dataset": (image_pairs // len(images)).astype(np.int32),
    }
    arrays |= StringTable.of([images[i] for i in image_pairs % len(images)]).arrays("image")
    arrays |= StringTable.of([texts[i] for i in phrase_pairs // len(heads)]).arrays("text")
    arrays |= StringTable.of([heads[i] for i in phrase_pairs % len(heads)]).arrays("head")
    return arrays, datasets
