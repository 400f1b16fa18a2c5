r"""Box quantization: random, expanding augmentation of ALP boxes (Desai et al., BMVC 2022).

The box of an ALP is drawn round mouse scribbles, and covers only part of what it means. Expanding
it at random raises the part of the object under the box, and no single wrong edge is learnt: the
edge moves every time the image is seen. The poster names the augmentation; the formula is our
choice:

**snap** draws K cells per side of the image, afresh for each box and each draw, and moves every
edge outward to the next line of that K x K grid::

    x0' = floor(x0 K) / K      x1' = ceil(x1 K) / K      (y alike)

An edge on a line stays. A box without width or height gets one cell. Beside it, to compare with:
**fixed** (the same with one constant K), **uniform** (sides scaled about the centre by a factor
drawn uniformly, cut at the image), and **none**.

Invariants, for boxes inside the image: the new box contains the old one, lies inside the image, and
with `snap` and `fixed` its edges are lines of the grid that was drawn. Boxes are normalised xyxy.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from alp_builder.errors import UsageError

Boxes = NDArray[np.float64]
"""Normalised xyxy boxes, float64 of shape `(N, 4)`."""


class QuantizationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How ALP boxes are expanded.

    Attributes:
        kind: `snap`, `uniform`, `fixed` or `none`, see the module.
        cells: Fewest and most cells per side that `snap` draws, both included.
        grid: Cells per side of `fixed`.
        scale: Smallest and largest factor of the sides that `uniform` draws.
    """

    kind: Literal["snap", "uniform", "fixed", "none"] = "snap"
    cells: tuple[int, int] = (4, 16)
    grid: Annotated[int, Meta(ge=1)] = 8
    scale: tuple[float, float] = (1.0, 2.0)

    def __post_init__(self) -> None:
        if self.kind not in ("snap", "uniform", "fixed", "none"):
            raise UsageError(
                f"box quantization {self.kind!r}: expected snap, uniform, fixed or none"
            )
        if not 1 <= self.cells[0] <= self.cells[1] or self.grid < 1:
            raise UsageError(
                f"cells {self.cells}, grid {self.grid}: expected 1 <= fewest <= most, grid >= 1"
            )
        if not 1 <= self.scale[0] <= self.scale[1]:
            raise UsageError(f"scale {self.scale}: expected 1 <= smallest <= largest")


def quantize(boxes: Boxes, config: QuantizationConfig, rng: np.random.Generator) -> Boxes:
    """Expand boxes as the config says, with a draw of its own for every box.

    Args:
        boxes: Normalised xyxy boxes of shape `(N, 4)`, inside the image.
        config: Kind and ranges.
        rng: Source of the draws; the same state gives the same boxes.

    Returns:
        New boxes of shape `(N, 4)`, float64.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if config.kind == "none" or not len(boxes):
        return boxes.copy()
    if config.kind == "uniform":
        return scale_about_centre(boxes, rng.uniform(*config.scale, size=len(boxes)))
    if config.kind == "snap":
        cells = rng.integers(*config.cells, size=len(boxes), endpoint=True)
    else:
        cells = np.full(len(boxes), config.grid)
    return snap_outward(boxes, cells)


def snap_outward(boxes: Boxes, cells: NDArray[np.integer]) -> Boxes:
    """Move every edge outward to the next line of the box's own grid.

    Args:
        boxes: Normalised xyxy boxes of shape `(N, 4)`.
        cells: Cells per side for each box, shape `(N,)`.

    Returns:
        Boxes of shape `(N, 4)` whose edges are multiples of `1 / cells`.
    """
    k = cells[:, None].astype(np.float64)  # (N, 1)
    low, high = boxes[:, :2], boxes[:, 2:]
    first, last = np.floor(low * k), np.ceil(high * k)
    # x K may round to the next whole number: then the line is on the wrong side of the edge.
    first -= first / k > low
    last += last / k < high
    first, last = np.clip(first, 0, k), np.clip(last, 0, k)
    flat = first >= last
    first = np.where(flat, np.minimum(first, k - 1), first)
    last = np.where(flat, first + 1, last)
    return np.hstack([first / k, last / k])


def scale_about_centre(
    boxes: Boxes, factor: NDArray[np.float64] | float, margin: float = 0.0
) -> Boxes:
    """Scale the sides about the centre, cut at the image; the result contains the box.

    Args:
        boxes: Normalised xyxy boxes of shape `(N, 4)`.
        factor: Factor of both sides, at least 1, one number or shape `(N,)`.
        margin: Length added to both sides after scaling, in image sizes.

    Returns:
        Boxes of shape `(N, 4)`.
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    growth = np.broadcast_to(np.asarray(factor, np.float64), (len(boxes),))[:, None] - 1
    pad = ((high - low) * growth + margin) / 2
    new = np.hstack([np.minimum(low - pad, low), np.maximum(high + pad, high)])
    return np.asarray(np.clip(new, 0, 1), np.float64)
