"""Instances of a COCO file as truth for ALPs: boxes, masks, categories, sizes.

ALPs name images as narratives do, so images are found by `narrative_image_id` of their file name. Masks are
decoded when they are first asked for and kept, as tables of areas, up to `_KEPT`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from alp_builder.arrays import Floats, Ints
from alp_builder.audit.masks import MaskArea, decode_mask
from alp_builder.errors import BadDataError, UsageError
from alp_builder.simulate.coco import CocoAnnotation, CocoImage, narrative_image_id, read_coco
from alp_builder.simulate.records import TruthPhrase

SizeRule: TypeAlias = Literal["coco", "fraction"]
"""`coco`: by area in pixels, 32^2 and 96^2, as COCO's evaluation; `fraction`: by share of the image."""

SIZES = ("small", "medium", "large")
_LIMITS: dict[str, tuple[float, float]] = {
    "coco": (32.0**2, 96.0**2),
    # The same limits on a COCO photograph of 640 x 480.
    "fraction": (32.0**2 / (640 * 480), 96.0**2 / (640 * 480)),
}
_KEPT = 20_000


class CocoTruth:
    """A COCO instance file by image.

    Instances are numbered 0 to I - 1 in the order of images and annotations; crowds, which are no
    instances, are among them but flagged.

    Args:
        path: COCO instance file with masks.

    Attributes:
        info: What the file says of itself.
        names: Name of each category id.
        plurals: Plural of the name, where the file has one.
        boxes: float64 (I, 4), normalised xyxy, inside the image.
        category: int64 (I,), category id.
        area: float64 (I,), pixels.
        fraction: float64 (I,), share of the image.
        of_image: Instances of each image, by the image's name in narratives.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it is no COCO instance file, or two images have one name in narratives.
    """

    def __init__(self, path: Path) -> None:
        coco = read_coco(path)
        self.path = path
        self.info = coco.info
        self.names = {number: category.name for number, category in coco.categories.items()}
        self.plurals = {n: c.plural for n, c in coco.categories.items() if c.plural}
        self.of_image: dict[str, Ints] = {}
        self._things: list[tuple[CocoAnnotation, CocoImage]] = []
        for image in coco.images:
            name = narrative_image_id(image.file_name)
            if name in self.of_image:
                raise BadDataError(f"{path}: two images are called {name!r} in narratives")
            first = len(self._things)
            found = coco.by_image.get(image.id, [])
            self._things += [(thing, image) for thing in found if not thing.iscrowd]
            self.of_image[name] = np.arange(first, len(self._things))
        self.boxes = np.array([_box(*pair) for pair in self._things]).reshape(-1, 4)
        self.category = np.array([thing.category_id for thing, _ in self._things], np.int64)
        pixels = np.array([image.width * image.height for _, image in self._things], np.float64)
        areas = [thing.area or thing.bbox[2] * thing.bbox[3] for thing, _ in self._things]
        self.area = np.array(areas, np.float64)
        self.fraction = self.area / np.maximum(pixels, 1)
        self._index = {thing.id: place for place, (thing, _) in enumerate(self._things)}
        self._mask = lru_cache(_KEPT)(self._decode)

    def __len__(self) -> int:
        return len(self._things)

    def find(self, annotation_ids: list[int]) -> Ints:
        """Numbers of instances by annotation id; crowds are left out.

        Returns:
            int64 (found,).
        """
        numbers = [self._index[number] for number in annotation_ids if number in self._index]
        return np.array(numbers, np.int64)

    def mask(self, instance: int) -> MaskArea:
        """The mask of an instance; its box where the file has no mask of it.

        Raises:
            BadDataError: If the mask is damaged.
        """
        return self._mask(instance)

    def sizes(self, rule: SizeRule) -> Ints:
        """Size of each instance, 0 small, 1 medium, 2 large; int64 (I,)."""
        measure = self.area if rule == "coco" else self.fraction
        return np.searchsorted(np.array(_LIMITS[rule]), measure, "right").astype(np.int64)

    def _decode(self, instance: int) -> MaskArea:
        thing, image = self._things[instance]
        if not thing.segmentation:
            x, y, w, h = thing.bbox
            mask = np.zeros((image.height, image.width), np.bool_)
            mask[max(0, round(y)) : round(y + h), max(0, round(x)) : round(x + w)] = True
            return MaskArea.of(mask)
        try:
            return MaskArea.of(decode_mask(thing.segmentation, image.height, image.width))
        except BadDataError as error:
            raise BadDataError(f"{self.path}: annotation {thing.id}: {error}") from error


def _box(thing: CocoAnnotation, image: CocoImage) -> Floats:
    """The annotation's box as normalised xyxy inside the image, (4,)."""
    x, y, w, h = thing.bbox
    size = np.array([image.width, image.height, image.width, image.height], np.float64)
    return np.clip(np.array([x, y, x + w, y + h]) / np.maximum(size, 1), 0, 1)


def read_truth(path: Path) -> list[TruthPhrase]:
    """Reads the side file of a narrator, see `alp_builder.simulate`.

    Raises:
        UsageError: If it cannot be read.
        BadDataError: If a line is no record of truth.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"--truth {path}: cannot be read ({error.strerror})") from error
    decoder = msgspec.json.Decoder(TruthPhrase)
    phrases = []
    for number, line in enumerate(lines, 1):
        try:
            phrases.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadDataError(
                f"{path}, line {number}: no record of truth ({error}); expected the side file of"
                " `alps simulate narratives`"
            ) from error
    return phrases
