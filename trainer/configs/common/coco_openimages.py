"""Data of the full-scale configs: COCO masks of 60 base classes, Open Images for the other 240.

Expected below `data.root` (`datasets` unless given); `data.root=/path` moves all of it:

    coco/train2017/*.jpg
    coco/annotations/instances_train2017.json
    open_images/train/*.jpg, open_images/test/*.jpg     the images of the ALPs and of the test set
    open_images/instances_test.json                     python -m trainer.evaluation.open_images_masks
    open_images/instances_train.json                    boxes of the train split, for the oracle only
    open_images/hierarchy.json                          the challenge's label300 segmentable hierarchy

and ALPs in `data.alps`: `make alps SPLITS=open_images_train`.
"""

from typing import Any

from detectron2.config import LazyCall as L

from trainer.data.items import MaskMapper
from trainer.data.loaders import TrainSource
from trainer.data.masks import MaskDataset
from trainer.engine.sources import BoxMapper, coco_renames, split_names

from .sources import alp_source, eval_loader, full_size
from .sources import train_loader as train_loader

data: Any = dict(
    root="datasets",
    alps="data/official/open_images_train",
    cache="data/cache",
    split="open_images_60_240",
    held_out=["${data.root}/open_images/instances_test.json"],
    train=None,
    test=dict(
        protocol="open_images",
        names=None,
        hierarchy="${data.root}/open_images/hierarchy.json",
        pictures=32,
        picture_threshold=0.4,
        annotations="${data.root}/open_images/instances_test.json",
        loader=eval_loader("${data.root}/open_images/test"),
    ),
)

_augment = full_size()
_mapper = L(MaskMapper)(augment=_augment, image_format="RGB")

masks = L(TrainSource)(
    records=L(MaskDataset)(
        annotations="${data.root}/coco/annotations/instances_train2017.json",
        images="${data.root}/coco/train2017",
        classes=L(split_names)(path="${data.split}", kind="base"),
        rename=L(coco_renames)(),
        cache="${data.cache}",
    ),
    mapper=_mapper,
    batch_size=16,
)

alps = alp_source(_augment, dict(open_images="${data.root}/open_images"))

# Open Images annotates an image for some classes only, so a class is treated as an exact ALP.
boxes = L(TrainSource)(
    records=L(MaskDataset)(
        annotations="${data.root}/open_images/instances_train.json",
        images="${data.root}/open_images/train",
        classes=L(split_names)(path="${data.split}", kind="classes"),
        cache="${data.cache}",
        boxes_only=True,
    ),
    mapper=L(BoxMapper)(mapper=_mapper, names=L(split_names)(path="${data.split}", kind="classes")),
    batch_size=16,
)
