"""COCO's compressed run lengths, read only to check them.

pycocotools decodes a code whose runs end too early into memory nobody has written, and says nothing. A file
from elsewhere is therefore checked once, when it is taken into the cache.

The code of a mask is its runs, down the columns and from left to right, of pixels outside and inside by turns,
starting outside. From the third on, a run is written as the difference to the run two before. A number is
written in base 32, least digit first, a character a digit (its code less 48): bit 5 says that more follow, and
bit 4 of the last digit is the sign.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_DIGITS = 8
"""Most digits of a run: a longer one is no image's."""


def run_lengths(code: bytes) -> list[int]:
    """The runs of a compressed code, as they stand: nothing is checked.

    >>> run_lengths(b"04")
    [0, 4]
    """
    runs: list[int] = []
    value = shift = 0
    for character in code:
        digit = character - 48
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs


def is_whole(code: bytes, height: int, width: int) -> bool:
    """Whether a compressed code is a mask of this size: characters known, runs none below 0, all pixels."""
    if not code or not all(48 <= character < 112 for character in code) or (code[-1] - 48) & 0x20:
        return False
    runs = run_lengths(code)
    return min(runs) >= 0 and sum(runs) == height * width


def broken_codes(codes: Sequence[bytes], pixels: Sequence[int]) -> NDArray[np.int64]:
    """Which of many codes are no whole masks of so many pixels; `is_whole` for all of them at once.

    Args:
        codes: N compressed codes.
        pixels: Pixels each of them must have.

    Returns:
        Their indices, in order.
    """
    good = np.array([bool(c) and (c[-1] - 48) & 0x20 == 0 for c in codes], np.bool_)
    chosen = np.flatnonzero(good)
    if not len(chosen):
        return np.flatnonzero(~good)
    parts = [codes[i] for i in chosen.tolist()]
    digits = np.frombuffer(b"".join(parts), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(digits & 0x20 == 0)  # (V,) last digit of each number
    first = np.concatenate([[0], last[:-1] + 1])
    size = last - first + 1
    ends = np.cumsum([len(part) for part in parts])
    runs = np.diff(np.searchsorted(last, ends), prepend=0)
    owner = np.repeat(np.arange(len(parts)), runs)  # (V,)
    bad = np.zeros(len(parts), np.bool_)
    np.logical_or.at(bad, owner, size > MAX_DIGITS)
    np.logical_or.at(
        bad, np.searchsorted(ends, np.flatnonzero((digits < 0) | (digits > 63)), "right"), True
    )
    values = np.zeros(len(last), np.int64)
    for place in range(min(int(size.max()), MAX_DIGITS)):
        longer = np.flatnonzero(size > place)
        values[longer] += (digits[first[longer] + place] & 0x1F) << (5 * place)
    negative = np.flatnonzero(digits[last] & 0x10)
    values[negative] -= 1 << (5 * np.minimum(size[negative], MAX_DIGITS))
    lengths = _lengths(values, owner, runs)
    np.logical_or.at(bad, owner, lengths < 0)
    total = np.zeros(len(parts), np.int64)
    np.add.at(total, owner, lengths)
    bad |= total != np.asarray(pixels, np.int64)[chosen]
    good[chosen] = ~bad
    return np.flatnonzero(~good)


def _lengths(
    values: NDArray[np.int64], owner: NDArray[np.int64], runs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Differences to lengths: from the fourth run on, each adds the run two before; all (V,)."""
    rank = np.arange(len(values)) - np.repeat(np.cumsum(runs) - runs, runs)
    lengths = values.copy()
    for odd in (0, 1):
        chain = np.flatnonzero((rank % 2 == odd) & (rank > 0))  # the first run stands for itself
        sums = np.cumsum(values[chain])
        start = np.flatnonzero(np.diff(owner[chain], prepend=-1))
        before = np.repeat((sums - values[chain])[start], np.diff(np.append(start, len(chain))))
        lengths[chain] = sums - before
    return lengths
