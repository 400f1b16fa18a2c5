"""Predictions and truth of COCO files, bounded and joined to images.

Masks arrive as polygons or run lengths over the image's own pixels; a page draws them on a small grid, so they
are sampled there: run lengths at the middle of each cell, polygons drawn to scale. Run lengths are checked before
they are used: their sum must be the image's pixels.

Two files may number the same images otherwise. Images are therefore joined by file where files are at hand, and
by `narrative_image_id` of the file name, or its last two parts, where they are not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from alp_builder.errors import BadDataError, UsageError
from alp_builder.page.config import PageConfig
from alp_builder.page.document import Box, PageThing
from alp_builder.page.image_files import ImageFiles
from alp_builder.simulate.coco import CocoImage, CocoInstances, narrative_image_id, read_coco
from alp_builder.simulate.rle import run_lengths

_MAX_NAME = 300


class CocoThing(msgspec.Struct):
    """A COCO result, or an annotation as far as it is drawn."""

    image_id: int
    category_id: int
    bbox: list[float] | None = None
    score: float | None = None
    segmentation: Any = None


class CocoThings:
    """Things of a COCO file by image.

    Args:
        coco: What the ids mean.
        things: By image id.
        files: Finds the file of an image.
    """

    def __init__(
        self, coco: CocoInstances, things: dict[int, list[CocoThing]], files: ImageFiles
    ) -> None:
        self.coco = coco
        self.things = things
        self._files = files
        self._by_name: dict[str, list[CocoImage]] = defaultdict(list)
        for image in coco.images:
            for name in image_names(image.file_name):
                self._by_name[name].append(image)

    def find(self, image_id: str, file: Path | None) -> CocoImage | None:
        """The image a narrative names, or a file shows; `None` where there is none, or several."""
        names = image_names(file.as_posix()) if file else [image_id]
        found = {i.id: i for name in names for i in self._by_name.get(name, [])}
        if file is not None:
            same = [i for i in found.values() if self._files.locate(i.file_name) == file]
            if same:
                return same[0]
        return next(iter(found.values())) if len(found) == 1 else None

    def of(self, image: CocoImage, config: PageConfig) -> tuple[list[PageThing], int]:
        """The things of an image for the page, best first, and how many were left out."""
        things = self.things.get(image.id, [])
        kept = [t for t in things if t.score is None or t.score >= config.least_score]
        kept.sort(key=lambda t: -(t.score or 0.0))
        categories = self.coco.categories
        shown = [
            _page_thing(thing, categories[thing.category_id].name, image, config)
            for thing in kept[: config.max_things]
        ]
        return shown, len(things) - len(shown)


def image_names(file_name: str) -> list[str]:
    """What narratives may call the image of a file.

    >>> image_names("val2017/000000381639.jpg"), image_names("a/b/img_1.jpg")
    (['381639', 'val2017/000000381639'], ['img_1', 'b/img_1'])
    """
    path = PurePosixPath(file_name)
    names = [narrative_image_id(file_name)]
    if path.parent.name:
        names.append(f"{path.parent.name}/{path.stem}")
    return names


def read_predictions(path: Path, on: Path | None, files: ImageFiles) -> CocoThings:
    """Reads COCO results.

    Args:
        path: The results.
        on: COCO file of the images and categories they mean; `instances.json` beside them if `None`, as
            `python -m trainer.predict` writes it.
        files: Finds the files of images.

    Raises:
        UsageError: If a file is missing.
        BadDataError: If one is not what it should be, or the results speak of images or categories that
            the other lacks.
    """
    meaning = on or path.parent / "instances.json"
    if on is None and not meaning.is_file():
        raise UsageError(
            f"--predictions {path}: no {meaning.name} beside it; say with --predicted-on FILE which"
            " COCO file its image and category ids mean"
        )
    coco = read_coco(meaning)
    try:
        results = msgspec.json.decode(path.read_bytes(), type=list[CocoThing])
    except OSError as error:
        raise UsageError(f"--predictions {path}: cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataError(f"{path}: not a list of COCO results ({error})") from error
    known = {image.id for image in coco.images}
    things: dict[int, list[CocoThing]] = {number: [] for number in known}
    for number, result in enumerate(results):
        if result.image_id not in known or result.category_id not in coco.categories:
            raise BadDataError(
                f"{path}: result {number} is of image {result.image_id} and category"
                f" {result.category_id}, one of which {meaning} lacks; give --predicted-on the right file"
            )
        if result.score is None or not 0 <= result.score <= 1:
            raise BadDataError(f"{path}: result {number} has score {result.score}, expected 0 to 1")
        if result.bbox is not None or result.segmentation is not None:
            things[result.image_id].append(result)
    return CocoThings(coco, things, files)


def read_truth(path: Path, files: ImageFiles) -> CocoThings:
    """Reads a COCO instance file as truth.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it is no COCO instance file.
    """
    coco = read_coco(path)
    things = {
        number: [CocoThing(t.image_id, t.category_id, t.bbox, None, t.segmentation) for t in group]
        for number, group in coco.by_image.items()
    }
    return CocoThings(coco, things, files)


def _page_thing(thing: CocoThing, name: str, image: CocoImage, config: PageConfig) -> PageThing:
    """A thing of the page; what is damaged of it is left out rather than guessed."""
    mask = None
    pixels = image.width * image.height
    if min(image.width, image.height) > 0 and pixels <= config.max_pixels:
        try:
            mask = _grid_mask(thing.segmentation, image.width, image.height, config.mask_side)
        except (BadDataError, ArithmeticError, TypeError, ValueError, KeyError):
            mask = None
    box = _normal_box(thing.bbox, image) or _box_of_mask(mask)
    return PageThing(name=name[:_MAX_NAME], box=box, score=thing.score, mask=mask)


def _normal_box(bbox: Iterable[float] | None, image: CocoImage) -> Box | None:
    """COCO's x, y, width and height in pixels as a normalised box."""
    sides = list(bbox or ())
    if len(sides) != 4 or not all(map(math.isfinite, sides)):
        return None
    x, y, w, h = sides
    width, height = max(image.width, 1), max(image.height, 1)
    corners = (x / width, y / height, (x + w) / width, (y + h) / height)
    x0, y0, x1, y1 = (round(min(max(side, 0.0), 1.0), 4) for side in corners)
    return x0, y0, x1, y1


def _box_of_mask(mask: list[int] | None) -> Box:
    """The extent of a mask on its grid."""
    if mask is None:
        return 0.0, 0.0, 0.0, 0.0
    columns, rows, *runs = mask
    inside = np.repeat(np.arange(len(runs)) % 2, runs).reshape(rows, columns)
    ys, xs = np.nonzero(inside)
    if not len(xs):
        return 0.0, 0.0, 0.0, 0.0
    x0, x1 = xs.min() / columns, (xs.max() + 1) / columns
    y0, y1 = ys.min() / rows, (ys.max() + 1) / rows
    return float(round(x0, 4)), float(round(y0, 4)), float(round(x1, 4)), float(round(y1, 4))


def _grid_mask(segmentation: Any, width: int, height: int, side: int) -> list[int] | None:
    """A segmentation on a grid, see `PageThing.mask`; `None` where there is none."""
    if not segmentation:
        return None
    scale = min(1.0, side / max(width, height))
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    if isinstance(segmentation, dict):
        grid = _sampled(segmentation, width, height, columns, rows)
    else:
        grid = _drawn(segmentation, width, height, columns, rows)
    flat = grid.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    runs = np.diff([0, *edges, flat.size]).tolist()
    return [columns, rows, *runs]


def _sampled(
    rle: dict[str, Any], width: int, height: int, columns: int, rows: int
) -> npt.NDArray[np.bool_]:
    """Run lengths read at the middle of each cell."""
    if list(rle["size"]) != [height, width]:
        raise BadDataError(f"a mask of {rle['size']}, expected {[height, width]} as its image")
    runs, _ = run_lengths([rle])
    if len(runs) and runs.max() > width * height:
        raise BadDataError("a run length beyond the image")
    ends = np.cumsum(runs)
    if not len(ends) or ends[-1] != width * height:
        raise BadDataError("run lengths do not add up to the image")
    x = ((np.arange(columns) + 0.5) * width / columns).astype(np.int64)
    y = ((np.arange(rows) + 0.5) * height / rows).astype(np.int64)
    pixel = x[None, :] * height + y[:, None]  # runs go down the columns
    inside: npt.NDArray[np.bool_] = np.searchsorted(ends, pixel, "right") % 2 == 1
    return inside


def _drawn(
    polygons: Any, width: int, height: int, columns: int, rows: int
) -> npt.NDArray[np.bool_]:
    """Polygons drawn on the grid."""
    canvas = Image.new("1", (columns, rows))
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
        # Half a cell back: Pillow counts from the middle of the first one.
        points = np.clip(points / (width, height), -1, 2) * (columns, rows) - 0.5
        if len(points) >= 3 and np.isfinite(points).all():
            pen.polygon([tuple(point) for point in points.tolist()], fill=1)
    return np.asarray(canvas, np.bool_)
