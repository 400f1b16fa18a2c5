"""Small numpy idioms for ragged data: values of many groups end to end, and the offsets between them.

Everything here is exact or elementwise, so that a group's result does not depend on which other groups
stand in the same array: shards must not change with the batch.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints: TypeAlias = npt.NDArray[np.int64]
Grid: TypeAlias = npt.NDArray[np.int32]
"""Coordinates in units of 2^-24 of the image; half the bytes of other numbers, for there are many."""
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
_Scalar = TypeVar("_Scalar", bound=np.generic)


def bools_of(flags: list[bool]) -> Bools:
    """Flags as an array, in two thirds of the time numpy takes to look at every one.

    >>> bools_of([True, False]).tolist()
    [True, False]
    """
    return np.frombuffer(bytearray(flags), np.bool_)


def offsets_of(sizes: npt.ArrayLike) -> Ints:
    """Group sizes, shape (G,), to offsets, shape (G + 1,).

    >>> offsets_of([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    sizes = np.asarray(sizes, np.int64)
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.add.accumulate(sizes, out=offsets[1:])
    return offsets


def sizes_of(offsets: Ints) -> Ints:
    """Offsets, shape (G + 1,), to group sizes, shape (G,); `np.diff` takes twice as long for a few.

    >>> sizes_of(np.array([0, 2, 2, 5])).tolist()
    [2, 0, 3]
    """
    return offsets[1:] - offsets[:-1]


def group_of(offsets: Ints) -> Ints:
    """Offsets, shape (G + 1,), to the group of each value, shape (offsets[-1],).

    >>> group_of(np.array([0, 2, 2, 5])).tolist()
    [0, 0, 2, 2, 2]
    """
    return np.arange(len(offsets) - 1).repeat(sizes_of(offsets))


def ranges(starts: Ints, sizes: Ints, offsets: Ints | None = None) -> Ints:
    """The numbers `starts[i] ... starts[i] + sizes[i] - 1` of all i, end to end.

    `offsets` are those of `sizes`, from a caller that has them at hand.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    offsets = offsets_of(sizes) if offsets is None else offsets
    numbers = (starts - offsets[:-1]).repeat(sizes)
    numbers += np.arange(len(numbers))
    return numbers


def segment_reduce(
    ufunc: np.ufunc, values: npt.NDArray[_Scalar], offsets: Ints, empty: float
) -> npt.NDArray[_Scalar]:
    """Reduces each group's values; empty groups give `empty`.

    Args:
        ufunc: Such as `np.add`, `np.minimum`, `np.maximum`, `np.logical_or`.
        values: Shape (..., offsets[-1]); what comes before the last axis is reduced row by row.
        offsets: Shape (G + 1,).
        empty: Value of a group without values.

    Returns:
        Shape (..., G), of the values' dtype.
    """
    starts = offsets[:-1]
    full = offsets[1:] > starts
    if 0 < len(full) == np.count_nonzero(full):
        return ufunc.reduceat(values, starts, axis=-1)
    result = np.empty((*values.shape[:-1], len(starts)), values.dtype)
    # Groups that start where the values end have none, and numpy would not take them.
    within = starts.searchsorted(values.shape[-1])
    if within:
        ufunc.reduceat(values, starts[:within], axis=-1, out=result[..., :within])
    np.copyto(result, empty, where=~full)  # where a group is empty numpy puts the next one's first
    return result


def arrow_ints(values: Ints) -> pa.Array:
    """Integers as an Arrow array that shares their memory.

    `pa.array` does the same, but asks first whether it was given something of pandas, and imports that to
    know: most of a second, which a build pays for once in every process.
    """
    values = np.ascontiguousarray(values, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def numpy_of(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """An Arrow column of numbers without nulls as numpy, sharing memory; spares the same second."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.from_dlpack(array)


def keep_freed_memory() -> None:
    """Lets this process use memory again that it has freed, up to 64 MB, where the C library is glibc.

    glibc gives the arrays of a batch back to the system when they go, and the system hands out zeroed
    pages for the next ones: a quarter of the time of all array work. Having freed one large block teaches
    glibc not to (malloc(3), M_MMAP_THRESHOLD: both thresholds are dynamic). Elsewhere nothing happens.
    """
    np.empty(31 * 2**20, np.uint8)  # below 32 MB, the most glibc learns from


def segment_any(flags: Bools, offsets: Ints) -> Bools:
    """Whether any flag of each group is set, shape (G,)."""
    return segment_reduce(np.logical_or, flags, offsets, False)
