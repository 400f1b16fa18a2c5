"""Places on COCO run-length masks, without drawing the masks.

A COCO RLE counts pixels of background and foreground in turn, column by column. Its compressed form
writes each count, from the fourth on as the difference to the count two before, in groups of 5
bits, lowest first, a sixth bit saying that more follow, 48 added to make it text. Taking every k-th
foreground pixel of the runs spreads places evenly over a mask at a cost that does not depend on the
image's size; many masks are done at once, flat, because a narrator has no time for a numpy call a
mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import BadDataError

Ints = NDArray[np.int64]


def run_lengths(rles: Sequence[dict[str, Any]]) -> list[Ints]:
    """Counts of each RLE, background first.

    Args:
        rles: Each with `counts`, compressed text or a list.

    Raises:
        BadDataError: If counts are neither, or end amid a number.
    """
    texts = [rle.get("counts") for rle in rles]
    packed = [text.encode("ascii", "replace") for text in texts if isinstance(text, str)]
    unpacked = iter(_unpack(packed) if packed else ())
    result = []
    for counts in texts:
        if isinstance(counts, str):
            result.append(next(unpacked))
        elif isinstance(counts, list):
            result.append(np.asarray(counts, dtype=np.int64))
        else:
            raise BadDataError(f"RLE counts are {type(counts).__name__}; expected text or a list")
    return result


def _unpack(packed: list[bytes]) -> list[Ints]:
    """Counts of compressed RLEs: V values of all of them, flat, then cut."""
    sizes = np.array([len(text) for text in packed])
    codes = np.frombuffer(b"".join(packed), dtype=np.uint8).astype(np.int64) - 48
    more = (codes & 32) != 0
    stops = np.cumsum(sizes)
    if not sizes.all() or more[stops - 1].any():
        raise BadDataError("RLE counts end amid a number; the file is damaged")
    last = np.flatnonzero(~more)  # (V,) last code of each value
    first = np.concatenate([[0], last[:-1] + 1])
    shift = 5 * (np.arange(len(codes)) - np.repeat(first, last - first + 1))
    values = np.add.reduceat((codes & 31) << shift, first)
    values -= ((codes[last] & 16) > 0).astype(np.int64) << (shift[last] + 5)
    bounds = np.searchsorted(last, stops)  # values before the end of each RLE
    lengths = np.diff(bounds, prepend=0)
    rank = np.arange(len(values)) - np.repeat(bounds - lengths, lengths)
    of = np.repeat(np.arange(len(packed)), lengths)
    for chain in (rank % 2 == 1, (rank % 2 == 0) & (rank > 0)):
        values[chain] = _running_sum(values[chain], of[chain])
    return np.split(values, bounds[:-1])


def _running_sum(values: Ints, of: Ints) -> Ints:
    """Running sums that start anew with each group; `of` is sorted."""
    total = np.cumsum(values)
    opens = np.flatnonzero(np.diff(of, prepend=-1))
    before = total[opens] - values[opens]
    return total - np.repeat(before, np.diff(opens, append=len(of)))


def spread_pixels(rles: Sequence[dict[str, Any]], count: int) -> list[Ints]:
    """Foreground pixels spread evenly over each mask.

    Args:
        rles: Each with `size` (height, width) and `counts`.
        count: How many; fewer where a mask is smaller.

    Returns:
        For each mask row and column of its pixels, `(n, 2)`; n is 0 for an empty mask.

    Raises:
        BadDataError: If an RLE is damaged.
    """
    if not rles:
        return []
    runs = run_lengths(rles)
    # Each mask is given an even number of runs, so that flat runs alternate throughout.
    runs = [np.append(run, 0) if len(run) % 2 else run for run in runs]
    flat = np.concatenate(runs)
    ends = np.cumsum([len(run) for run in runs])
    pixel_end, ink = np.cumsum(flat)[1::2], np.cumsum(flat[1::2])
    pixels_before = np.concatenate([[0], np.cumsum(flat)[ends - 1]])[:-1]
    ink_before = np.concatenate([[0], ink[ends // 2 - 1]])
    area = np.diff(ink_before)
    n = np.minimum(count, area)
    of = np.repeat(np.arange(len(n)), n)
    rank = np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n)
    rank = (2 * rank + 1) * area[of] // (2 * n[of]) + ink_before[of]
    run = np.searchsorted(ink, rank, side="right")
    pixel = pixel_end[run] - (ink[run] - rank) - pixels_before[of]
    height = np.array([int(rle["size"][0]) for rle in rles])[of]
    places = np.stack([pixel % height, pixel // height], axis=1)
    return np.split(places, np.cumsum(n)[:-1])
