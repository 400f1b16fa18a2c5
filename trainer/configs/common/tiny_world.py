"""Data and run of the tiny configs: the simulated world, 160 px, about ten minutes on two cores.

    WORLD/{train,val,test}/*.jpg, instances_{train,val,test}.json, split.json     from `make world`
    ALPS/split=train/*.parquet, manifest.json                              from WORLD/narratives_train.jsonl

Images are 256 px square and shown at 160; a batch has 8.
"""

from typing import Any

import torch
from detectron2.config import LazyCall as L
from detectron2.solver import WarmupParamScheduler
from fvcore.common.param_scheduler import CosineParamScheduler

from trainer.data.augment import AugmentConfig
from trainer.data.items import MaskMapper
from trainer.data.loaders import TrainSource
from trainer.data.masks import MaskDataset
from trainer.engine.sources import BoxMapper, split_names

from .sources import alp_source, eval_loader
from .sources import train_loader as train_loader
from .train import train as _train

SIZE = 160

data: Any = dict(
    world="data/world",
    alps="data/alps_world",
    cache="data/cache",
    split="${data.world}/split.json",
    held_out=["${data.world}/instances_val.json", "${data.world}/instances_test.json"],
    train=None,
    test=dict(
        protocol="coco",
        names=None,
        hierarchy=None,
        pictures=8,
        picture_threshold=0.3,
        annotations="${data.world}/instances_test.json",
        loader=eval_loader("${data.world}/test", SIZE, 2 * SIZE, batch_size=8, num_workers=1),
    ),
)

_augment = L(AugmentConfig)(short_sides=(SIZE,), max_long_side=2 * SIZE, flip=0.5)


def _masks(kind: str) -> Any:
    return L(MaskDataset)(
        annotations="${data.world}/instances_train.json",
        images="${data.world}/train",
        classes=L(split_names)(path="${data.split}", kind=kind),
        cache="${data.cache}",
    )


_mapper = L(MaskMapper)(augment=_augment, image_format="RGB")

masks = L(TrainSource)(records=_masks("base"), mapper=_mapper, batch_size=8)

boxes = L(TrainSource)(records=_masks("classes"), mapper=L(BoxMapper)(mapper=_mapper), batch_size=8)

alps = alp_source(_augment, dict(simulated_world="${data.world}"), batch_size=8)


# ------------------------------------------------------------------ run

train: Any = _train
train.init_weights = ""
train.reference_batch = 8
train.loop.max_steps = 1_600
train.loop.precision = "fp32"
train.loop.checkpoint_every = 200
train.loop.clip_norm = 5.0

optimizer = L(torch.optim.AdamW)(params=None, lr=2e-3, weight_decay=1e-3)

schedule = L(WarmupParamScheduler)(
    scheduler=L(CosineParamScheduler)(start_value=1.0, end_value=0.01),
    warmup_factor=0.01,
    warmup_length=0.05,
)
