"""Trace points as JSON, thousands at a time.

Half of a narrative's bytes are its points and half the time went into making an object of each and
writing its floats one by one. All points have the same form, so they are rows of one array of bytes

    {"x": 0.1234,"y":-0.0512,"t":  12.345},

whose numbers are looked up four characters at a time; leading blanks, which JSON allows, keep the
rows of one length. Coordinates have 4 decimals, times 3.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_TEMPLATE = b'{"x": 0.0000,"y": 0.0000,"t":   0.000},'

_FIELDS = ("x", "x_decimals", "y", "y_decimals", "t", "t_decimals")
_ROW = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": ["<u4"] * len(_FIELDS),
        "offsets": [4, 8, 16, 20, 29, 33],
        "itemsize": len(_TEMPLATE),
    }
)


def _table(texts: list[str]) -> NDArray[np.uint32]:
    """Texts of four characters as numbers of four bytes."""
    return np.frombuffer("".join(texts).encode("ascii"), dtype="<u4")


_LEADS = _table([f":{sign}{digit}." for sign in " -" for digit in range(10)])
_SECONDS = _table([f"{number:4d}" for number in range(10_000)])
_FOUR = _table([f"{number:04d}" for number in range(10_000)])
_THREE = _table([f".{number:03d}" for number in range(1000)])


def encode_points(xyt: NDArray[np.float64]) -> bytes:
    """Points as JSON objects, each followed by a comma, all of `POINT_BYTES` bytes.

    Args:
        xyt: x, y in image sides, absolute values under 10, and t in seconds, at least 0 and under
            10,000; `(3, K)`.

    Raises:
        ValueError: If a number is out of range.
    """
    x, y = np.rint(xyt[:2] * 1e4).astype(np.int64)
    milliseconds = np.rint(xyt[2] * 1e3).astype(np.int64)
    rows = np.empty(len(x), dtype=_ROW)
    rows.view(np.uint8).reshape(len(x), len(_TEMPLATE))[:] = np.frombuffer(_TEMPLATE, np.uint8)
    try:
        for name, values in (("x", x), ("y", y)):
            whole, decimals = np.divmod(np.abs(values), 10_000)
            if len(whole) and whole.max() > 9:
                raise IndexError("a coordinate")
            rows[name] = _LEADS[whole + 10 * (values < 0)]
            rows[f"{name}_decimals"] = _FOUR[decimals]
        whole, decimals = np.divmod(milliseconds, 1000)
        if len(whole) and whole.min() < 0:
            raise IndexError("a time")
        rows["t"], rows["t_decimals"] = _SECONDS[whole], _THREE[decimals]
    except IndexError as error:
        raise ValueError(f"trace point out of range: {error}") from error
    return rows.tobytes()


POINT_BYTES = len(_TEMPLATE)
"""Bytes of a point, its comma included."""


def encode_traces(points: bytes, edges: list[int]) -> bytes:
    """The segments of a narrative as JSON.

    Args:
        points: What `encode_points` gives.
        edges: First point of each segment, and one past the last; sorted.
    """
    pieces = [points[a * POINT_BYTES : b * POINT_BYTES - 1] for a, b in pairwise(edges)]
    return b"[[" + b"],[".join(pieces) + b"]]" if pieces else b"[]"
