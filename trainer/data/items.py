"""Records to items a model trains on: image read, box expanded, everything transformed together.

An item is detectron2's dictionary: `file_name`, `image_id`, `height`, `width` (of the file),
`image` (uint8 tensor of shape `(3, H, W)`), `source` (`mask` or `alp`), `instances`.

* mask: `gt_boxes` (absolute xyxy), `gt_classes` (index in the base names), `gt_masks`
  (`PolygonMasks`, or `BitMasks` where an instance of the image is an RLE or bitmaps are asked for;
  none where the records are of boxes alone).
* alp: `gt_boxes` after box quantization, `ignore_boxes` (outer edge of the ignore ring, contains
  `gt_boxes`), `gt_classes` (index in `item["phrases"]`, the image's distinct phrases;
  `item["phrase_heads"]`, their head lemmas), `is_plural`, `scores`.

An item is a function of its record and of the generator given, never of global random state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from detectron2.data import transforms as T  # noqa: N812 - detectron2's own name for it
from detectron2.structures import BitMasks, Boxes, Instances, PolygonMasks
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

from alp_builder.errors import BadDataError
from trainer.data.alps import AlpRecord
from trainer.data.augment import AugmentConfig, draw_transforms, mirrored_text
from trainer.data.imagefile import file_problem
from trainer.data.masks import MaskRecord
from trainer.data.maskstore import Polygon
from trainer.data.quantization import QuantizationConfig, quantize, scale_about_centre

ImageFormat = Literal["BGR", "RGB"]


def read_image(
    path: str, image_format: ImageFormat = "BGR", size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Read an image as three channels, turned as its EXIF orientation says.

    Args:
        path: Image file.
        image_format: Order of the channels.
        size: Expected height and width. Where only the unturned image has that size, the
            annotations were made without regard to EXIF, and the image is left unturned.

    Returns:
        uint8 of shape `(H, W, 3)`.

    Raises:
        BadDataError: If the file is no image, cut short, of more than `MAX_PIXELS`, or of another size.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror})") from None
    if problem := file_problem(data):
        raise BadDataError(f"{path}: {problem}")
    image = _decoded(data, cv2.IMREAD_COLOR)
    if image is not None and size is not None and image.shape[:2] != size:
        image = _decoded(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise BadDataError(f"{path}: not a readable image")
    if size is not None and image.shape[:2] != size:
        found = "x".join(map(str, image.shape[:2]))
        raise BadDataError(f"{path}: size {found}, expected {size[0]}x{size[1]} (height x width)")
    if image_format == "RGB":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(image, np.uint8)


def _decoded(data: bytes, flags: int) -> NDArray[Any] | None:
    """What OpenCV makes of an image file, `None` where it is none."""
    try:
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return image


def to_tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    """An `(H, W, 3)` image as a uint8 tensor of shape `(3, H, W)`."""
    if image.flags.c_contiguous:  # twice as fast as NumPy's transposed copy, unless mirrored
        return torch.from_numpy(np.stack(cv2.split(image)))
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class MaskMapper:
    """Mask records to items.

    Args:
        augment: Geometric augmentation.
        image_format: Order of the channels.
        bitmaps: Whether polygons are drawn into bitmaps before they are transformed.
        min_side: Instances whose box has a side below this are dropped, in pixels after
            transforming.
    """

    def __init__(
        self,
        augment: AugmentConfig | None = None,
        *,
        image_format: ImageFormat = "BGR",
        bitmaps: bool = False,
        min_side: float = 1e-5,
    ) -> None:
        self.augment = augment or AugmentConfig()
        self.image_format, self.bitmaps, self.min_side = image_format, bitmaps, min_side

    def __call__(self, record: MaskRecord, rng: np.random.Generator) -> dict[str, Any]:
        """The item of a record; `rng` draws the transforms."""
        size = (record.height, record.width)
        image = read_image(record.file_name, self.image_format, size)
        transforms, _ = draw_transforms(*size, self.augment, rng)
        image = transforms.apply_image(image)
        instances = Instances(image.shape[:2])
        instances.gt_boxes = _boxes(transforms, record.boxes, image.shape)
        instances.gt_classes = torch.from_numpy(record.labels)
        if record.masks is not None:
            instances.gt_masks = self._masks(record.masks, size, transforms, image.shape[:2])
            if self.augment.mode == "jitter":
                # What a crop leaves of an instance has another extent than what it leaves of its box.
                instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        kept = instances.gt_boxes.nonempty(self.min_side)
        if instances.has("gt_masks") and not isinstance(instances.gt_masks, PolygonMasks):
            kept &= instances.gt_masks.nonempty()
        return _item(record, image, "mask", instances[kept], size)

    def _masks(
        self,
        masks: list[list[Polygon] | bytes],
        size: tuple[int, int],
        transforms: T.TransformList,
        out: tuple[int, int],
    ) -> BitMasks | PolygonMasks:
        polygons = [mask for mask in masks if not isinstance(mask, bytes)]
        if len(polygons) == len(masks) and not self.bitmaps:
            moved = [_polygons(transforms, instance) for instance in polygons]
            return PolygonMasks(moved)
        bitmaps = np.zeros((len(masks), *out), bool)
        for bitmap, mask in zip(bitmaps, masks, strict=True):
            bitmap[:] = transforms.apply_segmentation(_bitmap(mask, size))
        return BitMasks(torch.from_numpy(bitmaps))


class AlpMapper:
    """ALP records to items.

    The ignore ring is ours: the box that the trace gives is often on part of the object only, so
    points round it are probably on the object too. Its outer edge is the trace's box with sides times
    `ignore_scale` plus `ignore_margin`, or the quantized box where that is larger. The defaults are
    the constants that best turned trace boxes into true boxes on real narratives.

    Args:
        augment: Geometric augmentation; phrases follow a flip.
        quantization: Box quantization, drawn anew every time.
        image_format: Order of the channels.
        ignore_scale: Factor of the box's sides, at least 1.
        ignore_margin: Length added to the sides, in image sizes.
        min_side: ALPs whose box has a side below this are dropped, in pixels after transforming.
    """

    def __init__(
        self,
        augment: AugmentConfig | None = None,
        quantization: QuantizationConfig | None = None,
        *,
        image_format: ImageFormat = "BGR",
        ignore_scale: float = 1.6,
        ignore_margin: float = 0.08,
        min_side: float = 1.0,
    ) -> None:
        self.augment = augment or AugmentConfig()
        self.quantization = quantization or QuantizationConfig()
        self.image_format, self.min_side = image_format, min_side
        self.ignore_scale, self.ignore_margin = ignore_scale, ignore_margin

    def __call__(self, record: AlpRecord, rng: np.random.Generator) -> dict[str, Any]:
        """The item of a record; `rng` draws the boxes and the transforms."""
        image = read_image(record.file_name, self.image_format)
        size = (image.shape[0], image.shape[1])
        boxes = quantize(record.boxes, self.quantization, rng)
        ring = scale_about_centre(record.boxes, self.ignore_scale, self.ignore_margin)
        ring = np.hstack(
            [np.minimum(ring[:, :2], boxes[:, :2]), np.maximum(ring[:, 2:], boxes[:, 2:])]
        )
        transforms, mirrored = draw_transforms(*size, self.augment, rng)
        image = transforms.apply_image(image)
        pixels = np.array([size[1], size[0], size[1], size[0]], np.float64)
        texts = [mirrored_text(t) for t in record.phrases] if mirrored else record.phrases
        instances = Instances(image.shape[:2])
        instances.gt_boxes = _boxes(transforms, boxes * pixels, image.shape)
        instances.ignore_boxes = _boxes(transforms, ring * pixels, image.shape)
        instances.is_plural = torch.from_numpy(record.plural)
        instances.scores = torch.from_numpy(record.scores)
        kept = instances.gt_boxes.nonempty(self.min_side)
        instances = instances[kept]
        rows = torch.nonzero(kept).flatten().tolist()
        heads = {texts[row]: record.heads[row] for row in reversed(rows)}
        columns = {text: column for column, text in enumerate(sorted(heads))}
        labels = [columns[texts[row]] for row in rows]
        instances.gt_classes = torch.tensor(labels, dtype=torch.int64)
        item = _item(record, image, "alp", instances, size)
        item["phrases"] = list(columns)
        item["phrase_heads"] = [
            mirrored_text(heads[text]) if mirrored else heads[text] for text in columns
        ]
        return item


def _item(
    record: AlpRecord | MaskRecord,
    image: NDArray[np.uint8],
    source: str,
    instances: Instances,
    size: tuple[int, int],
) -> dict[str, Any]:
    return {
        "file_name": record.file_name,
        "image_id": record.image_id,
        "height": size[0],
        "width": size[1],
        "image": to_tensor(image),
        "source": source,
        "instances": instances,
    }


def _boxes(
    transforms: T.TransformList, boxes: NDArray[np.float64], shape: tuple[int, ...]
) -> Boxes:
    """Absolute xyxy boxes transformed and cut at the image."""
    moved = transforms.apply_box(boxes) if len(boxes) else boxes
    result = Boxes(torch.as_tensor(np.asarray(moved, np.float32)))
    result.clip((shape[0], shape[1]))
    return result


def _polygons(transforms: T.TransformList, rings: list[NDArray[np.float32]]) -> list[NDArray[Any]]:
    """Polygons transformed, as flat `[x, y, x, y, ...]`; a crop may take all, or cut one in two."""
    moved = transforms.apply_polygons([ring.astype(np.float64) for ring in rings])
    return [ring.reshape(-1) for ring in moved]


def _bitmap(mask: list[NDArray[np.float32]] | bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask as uint8 of shape `size`."""
    if isinstance(mask, bytes):
        rle: Any = {"size": list(size), "counts": mask}
    else:
        rings = [ring.reshape(-1).astype(np.float64).tolist() for ring in mask]
        rle = mask_utils.merge(mask_utils.frPyObjects(rings, *size))
    try:
        return np.asarray(mask_utils.decode(rle), np.uint8)
    except (ValueError, TypeError, RuntimeError) as error:
        raise BadDataError(f"a mask of {size[0]}x{size[1]} cannot be decoded: {error}") from None
