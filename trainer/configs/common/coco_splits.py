r"""Data of the COCO splits: masks of base classes, ALPs of COCO's own narratives, val2017.

Expected below `data.root` (`datasets` unless given):

    coco/train2017/*.jpg, coco/val2017/*.jpg           118k and 5k images, 18 and 1 GB
    coco/annotations/instances_{train,val}2017.json

    base=http://images.cocodataset.org
    curl -LO $base/zips/train2017.zip -LO $base/zips/val2017.zip \
        -LO $base/annotations/annotations_trainval2017.zip
    mkdir -p datasets/coco && for f in *2017.zip; do unzip -q $f -d datasets/coco; done

and ALPs of the narratives of train2017 in `data.alps`: `make alps SPLITS=coco_train`.
`python -m trainer.train --config-file CONFIG --dry-run data.root=/path` says what is missing.
"""

from typing import Any

from detectron2.config import LazyCall as L

from trainer.data.alps import AlpDataset, AlpFilter
from trainer.data.augment import AugmentConfig
from trainer.data.images import ImageFinder
from trainer.data.items import AlpMapper, MaskMapper
from trainer.data.loaders import EvalImages, TrainSource, build_eval_loader
from trainer.data.masks import MaskDataset
from trainer.data.quantization import QuantizationConfig
from trainer.engine.sources import BoxMapper, split_names

from .coco_openimages import train_loader as train_loader

data: Any = dict(
    root="datasets",
    alps="data/official/coco_train",
    cache="data/cache",
    split="coco_48_17",
    held_out=["${data.root}/coco/annotations/instances_val2017.json"],
    train=None,
    test=dict(
        protocol="coco",
        hierarchy=None,
        pictures=32,
        picture_threshold=0.4,
        annotations="${data.root}/coco/annotations/instances_val2017.json",
        loader=L(build_eval_loader)(
            images=L(EvalImages)(
                annotations="${data.test.annotations}",
                images="${data.root}/coco/val2017",
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


def _records(kind: str) -> Any:
    return L(MaskDataset)(
        annotations="${data.root}/coco/annotations/instances_train2017.json",
        images="${data.root}/coco/train2017",
        classes=L(split_names)(path="${data.split}", kind=kind),
        cache="${data.cache}",
    )


masks = L(TrainSource)(records=_records("base"), mapper=_mapper, batch_size=16)

boxes = L(TrainSource)(
    records=_records("classes"), mapper=L(BoxMapper)(mapper=_mapper), batch_size=16
)

alps = L(TrainSource)(
    records=L(AlpDataset.open)(
        folder="${data.alps}",
        cache="${data.cache}",
        finder=L(ImageFinder)(roots=dict(coco="${data.root}/coco")),
        quality=L(AlpFilter)(min_score=0.0),
        split="train",
    ),
    mapper=L(AlpMapper)(
        augment=_augment, quantization=L(QuantizationConfig)(kind="snap"), image_format="RGB"
    ),
    batch_size=16,
)
