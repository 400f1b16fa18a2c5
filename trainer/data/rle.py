"""COCO's compressed run lengths, read only to check them.

pycocotools decodes a code whose runs end too early into memory nobody has written, and says nothing. A file
from elsewhere is therefore checked once, when it is taken into the cache.

The code of a mask is its runs, down the columns and from left to right, of pixels outside and inside by turns,
starting outside. From the third on, a run is written as the difference to the run two before. A number is
written in base 32, least digit first, a character a digit (its code less 48): bit 5 says that more follow, and
bit 4 of the last digit is the sign.
"""

from __future__ import annotations


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
