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

from trainer.data.items import MaskMapper
from trainer.data.loaders import TrainSource
from trainer.data.masks import MaskDataset
from trainer.engine.sources import BoxMapper, split_names

from .sources import alp_source, eval_loader, full_size
from .sources import train_loader as train_loader

data: Any = dict(
    root="datasets",
    alps="data/official/coco_train",
    cache="data/cache",
    split="coco_48_17",
    held_out=["${data.root}/coco/annotations/instances_val2017.json"],
    train=None,
    test=dict(
        protocol="coco",
        names=None,
        hierarchy=None,
        pictures=32,
        picture_threshold=0.4,
        annotations="${data.root}/coco/annotations/instances_val2017.json",
        loader=eval_loader("${data.root}/coco/val2017"),
    ),
)

_augment = full_size()
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

alps = alp_source(_augment, dict(coco="${data.root}/coco"))
