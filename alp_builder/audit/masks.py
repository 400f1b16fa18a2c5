"""Masks of COCO files: how much of one lies under a box. The only file of the audit that knows pycocotools.

A mask is a set of unit squares, its pixels; a box has real corners. The share of the mask under the box is
exact, part pixels counted in part, by the **integral image** (summed-area table; Crow, SIGGRAPH 1984)

    S(r, c) = number of mask pixels above row r and left of column c

read between its grid points by bilinear interpolation, which is exact because density is constant within a
pixel. A box costs four readings, whatever its size; a table spans the mask's own extent only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as mask_utils

from alp_builder.arrays import Floats
from alp_builder.errors import BadDataError
from alp_builder.simulate.rle import run_lengths

MAX_OUTSIDE = 1.0
"""How far a point of a polygon may lie outside its image, in image sizes."""


def decode_mask(segmentation: Any, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Draws a segmentation.

    Args:
        segmentation: Polygons `[[x, y, x, y, ...], ...]`, or an RLE `{size, counts}`, compressed or not.
        height: Of the image, pixels.
        width: Of the image, pixels.

    Returns:
        bool (height, width).

    Raises:
        BadDataError: If it is none of these, damaged, or of another size.
    """
    try:
        if isinstance(segmentation, dict):
            if list(segmentation["size"]) != [height, width]:
                raise BadDataError(
                    f"a mask of {segmentation['size']}, expected {[height, width]} as its image"
                )
            whole = segmentation
            # pycocotools reads what nobody wrote where runs end too early.
            if int(run_lengths([segmentation])[0].sum()) != height * width:
                raise BadDataError("RLE counts do not add up to the image; the file is damaged")
            if isinstance(segmentation["counts"], list):
                whole = mask_utils.frPyObjects(segmentation, height, width)
        else:
            polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
            if not polygons:
                return np.zeros((height, width), np.bool_)
            for polygon in polygons:
                _check_reach(polygon[0::2], width)
                _check_reach(polygon[1::2], height)
            whole = mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
        decoded: npt.NDArray[np.bool_] = mask_utils.decode(whole).astype(np.bool_)
        return decoded
    except BadDataError:
        raise
    except Exception as error:  # pycocotools raises whatever its C code meets
        raise BadDataError(f"not a COCO segmentation ({error})") from error


def _check_reach(values: list[float], side: int) -> None:
    """Refuses a polygon that runs far outside: the drawing would take all memory, or end the process."""
    low, high = -MAX_OUTSIDE * side, (1 + MAX_OUTSIDE) * side
    if not all(low <= value <= high for value in values):  # nor NaN
        raise BadDataError("a polygon runs far outside the image; the file is damaged")


@dataclass(frozen=True, slots=True)
class MaskArea:
    """A mask as a table of areas.

    Attributes:
        area: Pixels of the mask.
        left: First column of its extent.
        top: First row of its extent.
        table: int32 (rows + 1, columns + 1), the integral image of its extent.
        width: Of the image, pixels.
        height: Of the image, pixels.
    """

    area: int
    left: int
    top: int
    table: npt.NDArray[np.int32]
    width: int
    height: int

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_]) -> MaskArea:
        """The table of a mask, bool (height, width), which may be empty."""
        height, width = mask.shape
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return cls(0, 0, 0, np.zeros((1, 1), np.int32), width, height)
        top, left = int(rows[0]), int(columns[0])
        extent = mask[top : rows[-1] + 1, left : columns[-1] + 1]
        table = np.zeros((extent.shape[0] + 1, extent.shape[1] + 1), np.int32)
        np.cumsum(np.cumsum(extent, 0, dtype=np.int32), 1, out=table[1:, 1:])
        return cls(int(table[-1, -1]), left, top, table, width, height)

    def coverage(self, boxes: Floats) -> Floats:
        """Share of the mask that lies under each box, in [0, 1]; 0 for an empty mask.

        Args:
            boxes: float64 (B, 4), normalised xyxy.

        Returns:
            float64 (B,).
        """
        if not self.area:
            return np.zeros(len(boxes))
        scaled = boxes * (self.width, self.height, self.width, self.height)
        scaled = scaled - (self.left, self.top, self.left, self.top)
        x0, y0, x1, y1 = scaled.T
        inside = self._read(x1, y1) - self._read(x0, y1) - self._read(x1, y0) + self._read(x0, y0)
        return np.clip(inside / self.area, 0.0, 1.0)

    def holds(self, points: Floats) -> npt.NDArray[np.bool_]:
        """Whether points lie on the mask.

        Args:
            points: float64 (B, 2), normalised xy.

        Returns:
            bool (B,).
        """
        column = np.floor(points[:, 0] * self.width).astype(np.int64) - self.left
        row = np.floor(points[:, 1] * self.height).astype(np.int64) - self.top
        rows, columns = np.array(self.table.shape) - 1
        known = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        r, c = np.where(known, row, 0), np.where(known, column, 0)
        if not self.area:
            return np.zeros(len(points), np.bool_)
        t = self.table
        inside = t[r + 1, c + 1] - t[r, c + 1] - t[r + 1, c] + t[r, c]
        held: npt.NDArray[np.bool_] = known & (inside > 0)
        return held

    def _read(self, x: Floats, y: Floats) -> Floats:
        """Mask pixels above y and left of x, both in pixels of the extent, (B,)."""
        rows, columns = np.array(self.table.shape) - 1
        x, y = np.clip(x, 0, columns), np.clip(y, 0, rows)
        c = np.minimum(x.astype(np.int64), columns - 1)
        r = np.minimum(y.astype(np.int64), rows - 1)
        right, down = x - c, y - r
        upper = self.table[r, c] * (1 - right) + self.table[r, c + 1] * right
        lower = self.table[r + 1, c] * (1 - right) + self.table[r + 1, c + 1] * right
        read: Floats = upper * (1 - down) + lower * down
        return read
