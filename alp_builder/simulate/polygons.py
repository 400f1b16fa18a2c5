"""Places on polygons, without drawing them.

Each thing is cut by horizontal lines, a few over its box. An edge from (xa, ya) to (xb, yb) crosses
the lines y with min(ya, yb) <= y < max(ya, yb), so a closed polygon crosses each line an even
number of times, and between the first and second crossing, the third and fourth, and so on, lies
its inside (even-odd rule). Along these spans places are set a line's distance apart, at least one a
span: thin things have places too.

Everything is flat: V vertices of P polygons of n things, X crossings, S spans. Crossings are sorted
as integers that hold line and place, which is many times faster than sorting by two keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from alp_builder.arrays import Floats, Ints, ranges
from alp_builder.errors import BadDataError

_PLACE_BITS = 20  # places along a line in 2^-20 of the box


def spread_on_polygons(
    polygons: Sequence[Sequence[Sequence[float]]], boxes: Floats, lines: int
) -> tuple[Floats, Ints]:
    """Places spread evenly over things given as polygons.

    Args:
        polygons: For each of n things its polygons, each `[x, y, x, y, ...]` in pixels.
        boxes: Their boxes, xywh in pixels, `(n, 4)`.
        lines: Lines over the longer side of a box.

    Returns:
        xy in pixels of the places of all things, `(sum, 2)`, by thing, and how many each has,
        `(n,)`; 0 where the polygons lie outside the box.

    Raises:
        BadDataError: If a polygon is not a list of pairs of numbers.
    """
    vertices, sizes = _vertices(polygons)
    thing = np.repeat(np.arange(len(polygons)), [len(parts) for parts in polygons])  # (P,)
    side = np.maximum(boxes[:, 2:].max(axis=1, initial=0), 1e-6) / lines
    rows = np.maximum(1, np.rint(boxes[:, 3] / side)).astype(np.int64)
    width, gap = np.maximum(boxes[:, 2], 1e-6), np.maximum(boxes[:, 3], 1e-6) / rows
    # Vertices in the box: x as a share of its width, y in lines.
    of = np.repeat(thing, sizes)
    x = (vertices[:, 0] - boxes[of, 0]) / width[of]
    y = np.clip((vertices[:, 1] - boxes[of, 1]) / gap[of] - 0.5, -1e6, 1e6)
    line_of_part = np.cumsum(rows[thing]) - rows[thing]
    line, x = _crossings(x, y, sizes, rows[thing], line_of_part)
    first, last, line = _spans(line, x)
    part = np.searchsorted(line_of_part, line, side="right") - 1
    owner = thing[part]
    count = np.maximum(1, np.rint((last - first) * (width / side)[owner])).astype(np.int64)
    span = np.repeat(np.arange(len(line)), count)
    rank = ranges(np.zeros_like(count), count)
    along = first[span] + (rank + 0.5) / count[span] * (last - first)[span]
    down = (line - line_of_part[part] + 0.5)[span]
    of = owner[span]
    places = boxes[of, :2] + np.stack([along * width[of], down * gap[of]], axis=1)
    return places, np.bincount(of, minlength=len(polygons))


def _vertices(polygons: Sequence[Sequence[Sequence[float]]]) -> tuple[Floats, Ints]:
    """Vertices of all polygons, `(V, 2)`, and how many each has, `(P,)`."""
    parts = list(chain.from_iterable(polygons))
    try:
        numbers = np.array([len(part) for part in parts], dtype=np.int64)
        flat = np.fromiter(chain.from_iterable(parts), dtype=np.float64, count=int(numbers.sum()))
    except (TypeError, ValueError) as error:
        raise BadDataError(f"a polygon is no list of numbers ({error})") from error
    if (numbers % 2).any():
        raise BadDataError("a polygon has an odd number of coordinates; expected x, y, x, y, ...")
    if np.isnan(flat).any():
        raise BadDataError("a polygon has a coordinate that is no number")
    return np.clip(flat, -1e9, 1e9).reshape(-1, 2), numbers // 2


def _crossings(
    x: Floats, y: Floats, sizes: Ints, rows: Ints, line_of_part: Ints
) -> tuple[Ints, Floats]:
    """Line and x of each crossing of an edge with a line, each `(X,)`.

    Args:
        x: x of the vertices, `(V,)`.
        y: y of the vertices in lines of their thing, `(V,)`.
        sizes: Vertices of each polygon, `(P,)`.
        rows: Lines of each polygon, `(P,)`.
        line_of_part: Number of each polygon's first line among all lines, `(P,)`.
    """
    part = np.repeat(np.arange(len(sizes)), sizes)
    following = np.arange(1, len(x) + 1)
    filled = sizes > 0
    following[(np.cumsum(sizes) - 1)[filled]] = (np.cumsum(sizes) - sizes)[filled]
    end = y[following]
    low = np.maximum(np.ceil(np.minimum(y, end)), 0).astype(np.int64)
    high = np.minimum(np.ceil(np.maximum(y, end)).astype(np.int64), rows[part])
    count = np.maximum(high - low, 0)
    edge = np.repeat(np.arange(len(x)), count)
    row = ranges(low, count)
    share = (row - y[edge]) / (end - y)[edge]
    return line_of_part[part[edge]] + row, x[edge] + share * (x[following] - x)[edge]


def _spans(line: Ints, x: Floats) -> tuple[Floats, Floats, Ints]:
    """First and last x of each span, clipped to the box, and its line, each `(S,)`."""
    scale = 1 << _PLACE_BITS
    keys = (line << (_PLACE_BITS + 1)) + np.rint(np.clip(x, 0, 1) * scale).astype(np.int64)
    keys.sort()
    place = (keys & (2 * scale - 1)) / scale
    return place[0::2], place[1::2], keys[0::2] >> (_PLACE_BITS + 1)
