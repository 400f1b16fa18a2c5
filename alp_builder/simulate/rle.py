"""Places on COCO run-length masks, without drawing the masks.

A COCO RLE counts pixels of background and foreground in turn, column by column. Its compressed form
writes each count, from the fourth on as the difference to the count two before, in groups of 5
bits, lowest first, a sixth bit saying that more follow, 48 added to make it text. Taking every k-th
foreground pixel of the runs spreads places evenly over a mask at a cost that does not depend on the
image's size.

Everything is flat over n masks, because a narrator has no time for a numpy call a mask: the runs of
all masks lie end to end, each mask's padded by an empty run to an even number, so that background
and foreground alternate throughout and make two columns of an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alp_builder.arrays import Ints, ranges
from alp_builder.errors import BadDataError

MAX_GROUPS = 8
"""Most groups of 5 bits of a count: more is no image."""


def run_lengths(rles: Sequence[dict[str, Any]]) -> tuple[Ints, Ints]:
    """Counts of each RLE, background first.

    Args:
        rles: n RLEs, each with `counts`, compressed text or a list.

    Returns:
        The runs of all, `(sum,)`, and how many each has, `(n,)`, all even.

    Raises:
        BadDataError: If counts are neither, end amid a number, or are negative.
    """
    counts: list[Any] = [rle.get("counts") for rle in rles]
    for given in counts:
        if not isinstance(given, str | list):
            raise BadDataError(f"RLE counts are {type(given).__name__}; expected text or a list")
    texts = [text.encode("ascii", "replace") for text in counts if isinstance(text, str)]
    flat, sizes = _unpack(texts) if texts else (np.empty(0, np.int64), np.empty(0, np.int64))
    if len(texts) < len(counts):
        unpacked = iter(np.split(flat, np.cumsum(sizes)[:-1]))
        runs = [next(unpacked) if isinstance(given, str) else _listed(given) for given in counts]
        flat = np.concatenate(runs)
        sizes = np.array([len(run) for run in runs])
    if (flat < 0).any():
        raise BadDataError("RLE counts are negative; the file is damaged")
    return flat, sizes


def _listed(counts: list[Any]) -> Ints:
    """Uncompressed counts, padded."""
    try:
        return np.array([*counts, 0] if len(counts) % 2 else counts, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadDataError(f"RLE counts are no whole numbers ({error})") from error


def _unpack(texts: list[bytes]) -> tuple[Ints, Ints]:
    """Runs of compressed RLEs and how many each has, see `run_lengths`."""
    codes = np.frombuffer(b"".join(texts), dtype=np.uint8) - np.uint8(48)
    stops = np.cumsum([len(text) for text in texts])
    more = (codes & 32) != 0
    if not all(texts) or more[stops - 1].any():
        raise BadDataError("RLE counts end amid a number; the file is damaged")
    last = np.flatnonzero(~more)  # (V,) last code of each value
    first = np.concatenate([[0], last[:-1] + 1])
    groups = last - first + 1
    if (most := int(groups.max())) > MAX_GROUPS:
        raise BadDataError("RLE counts hold a number beyond any image; the file is damaged")
    low = codes & 31
    values = low[first].astype(np.int64)
    for group in range(1, most):  # few values have a second group, hardly any a third
        longer = np.flatnonzero(groups > group)
        values[longer] += low[first[longer] + group].astype(np.int64) << (5 * group)
    negative = np.flatnonzero(codes[last] & 16)
    values[negative] -= 1 << (5 * groups[negative])
    lengths = np.diff(np.searchsorted(last, stops), prepend=0)
    odd = lengths % 2
    padded = lengths + odd
    flat = np.zeros(int(padded.sum()), dtype=np.int64)
    flat[np.arange(len(values)) + np.repeat(np.cumsum(odd) - odd, lengths)] = values
    ends = np.cumsum(padded)
    ground, ink = flat[0::2], flat[1::2]
    pairs, heads = padded // 2, (ends - padded) // 2
    # The second foreground count is the first to be a difference; of the background the third.
    head_ground, head_ink = ground[heads], ink[heads]
    sums = np.cumsum(ground)
    ground[:] = sums - np.repeat(sums[heads], pairs)
    ground[heads] = head_ground
    sums = np.cumsum(ink)
    ink[:] = sums - np.repeat(sums[heads] - head_ink, pairs)
    flat[ends[odd == 1] - 1] = 0
    return flat, padded


def spread_pixels(rles: Sequence[dict[str, Any]], count: int) -> tuple[Ints, Ints]:
    """Foreground pixels spread evenly over each mask.

    Args:
        rles: n masks, each with `size` (height, width) and `counts`.
        count: How many; fewer where a mask is smaller.

    Returns:
        Row and column of the pixels of all masks, `(sum, 2)`, and how many each mask has, `(n,)`;
        0 for an empty mask.

    Raises:
        BadDataError: If an RLE is damaged.
    """
    if not rles:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    flat, sizes = run_lengths(rles)
    height, width = _sizes(rles)
    pixel_end, ink = np.cumsum(flat)[1::2], np.cumsum(flat[1::2])
    ends = np.cumsum(sizes) // 2
    pixels, area = (
        np.diff(np.concatenate([[0], sums])[ends], prepend=0) for sums in (pixel_end, ink)
    )
    if (wrong := np.flatnonzero(pixels != height * width)).size:
        at = wrong[0]
        raise BadDataError(
            f"an RLE of {height[at]} x {width[at]} pixels counts {pixels[at]}; the file is damaged"
        )
    n = np.minimum(count, area)
    of = np.repeat(np.arange(len(n)), n)
    rank = ranges(np.zeros_like(n), n)
    rank = (2 * rank + 1) * area[of] // (2 * n[of]) + (np.cumsum(area) - area)[of]
    run = np.searchsorted(ink, rank, side="right")
    pixel = pixel_end[run] - (ink[run] - rank) - (np.cumsum(pixels) - pixels)[of]
    column, row = np.divmod(pixel, height[of])
    return np.stack([row, column], axis=1), n


def _sizes(rles: Sequence[dict[str, Any]]) -> Ints:
    """Heights and widths, `(2, n)`."""
    try:
        sizes = np.array([(rle["size"][0], rle["size"][1]) for rle in rles], dtype=np.int64)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise BadDataError(f"an RLE has no size [height, width] ({error!r})") from error
    return sizes.T
