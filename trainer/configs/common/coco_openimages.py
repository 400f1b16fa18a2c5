"""Data of the full-scale configs: COCO masks of 60 base classes, Open Images for the other 240.

Expected below `data.root` (`datasets` unless given); `data.root=/path` moves all of it:

    coco/train2017/*.jpg
    coco/annotations/instances_train2017.json
    open_images/train/*.jpg, open_images/test/*.jpg     the images of the ALPs and of the test set
    open_images/instances_test.json                     python -m trainer.evaluation.open_images_masks
    open_images/instances_train.json                    the same of the train split: for the oracle only
    open_images/hierarchy.json                          the challenge's label300 segmentable hierarchy

and ALPs in `data.alps`: `make alps SPLITS=open_images_train`.
"""

from typing import Any

from detectron2.config import LazyCall as L

from trainer.data.alps import AlpDataset, AlpFilter
from trainer.data.alternation import Alternation
from trainer.data.augment import AugmentConfig
from trainer.data.images import ImageFinder
from trainer.data.items import AlpMapper, MaskMapper
from trainer.data.loaders import EvalImages, TrainSource, build_eval_loader, build_train_loader
from trainer.data.masks import MaskDataset
from trainer.data.quantization import QuantizationConfig
from trainer.engine.sources import BoxMapper, coco_renames, split_names

data: Any = dict(
    root="datasets",
    alps="data/official/open_images_train",
    cache="data/cache",
    split="open_images_60_240",
    held_out=["${data.root}/open_images/instances_test.json"],
    train=None,
    test=dict(
        protocol="open_images",
        hierarchy="${data.root}/open_images/hierarchy.json",
        pictures=32,
        picture_threshold=0.4,
        annotations="${data.root}/open_images/instances_test.json",
        loader=L(build_eval_loader)(
            images=L(EvalImages)(
                annotations="${data.test.annotations}",
                images="${data.root}/open_images/test",
                short_side=800,
                max_long_side=1333,
                image_format="RGB",
            ),
            batch_size=1,
            num_workers=4,
        ),
    ),
)

_augment = L(AugmentConfig)(
    short_sides=(640, 672, 704, 736, 768, 800), max_long_side=1333, flip=0.5
)
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

alps = L(TrainSource)(
    records=L(AlpDataset.open)(
        folder="${data.alps}",
        cache="${data.cache}",
        finder=L(ImageFinder)(roots=dict(open_images="${data.root}/open_images")),
        quality=L(AlpFilter)(min_score=0.0),
        split="train",
    ),
    mapper=L(AlpMapper)(
        augment=_augment, quantization=L(QuantizationConfig)(kind="snap"), image_format="RGB"
    ),
    batch_size=16,
)

# Open Images annotates an image for some classes only, so a class is treated as an exact ALP.
boxes = L(TrainSource)(
    records=L(MaskDataset)(
        annotations="${data.root}/open_images/instances_train.json",
        images="${data.root}/open_images/train",
        classes=L(split_names)(path="${data.split}", kind="classes"),
        cache="${data.cache}",
    ),
    mapper=L(BoxMapper)(mapper=_mapper, names=L(split_names)(path="${data.split}", kind="classes")),
    batch_size=16,
)


def train_loader(masks: Any, other: Any) -> Any:
    """Masks, and ALPs or true boxes, by turns."""
    alternation = L(Alternation)(masks=int(masks is not None), alps=int(other is not None))
    return L(build_train_loader)(masks=masks, alps=other, alternation=alternation, num_workers=4)
