"""Sources and loaders that the data configs share; they differ in where the files are, and in sizes."""

from typing import Any

from detectron2.config import LazyCall as L

from trainer.data.alps import AlpDataset, AlpFilter
from trainer.data.alternation import Alternation
from trainer.data.augment import AugmentConfig
from trainer.data.images import ImageFinder
from trainer.data.items import AlpMapper
from trainer.data.loaders import EvalImages, TrainSource, build_eval_loader, build_train_loader
from trainer.data.quantization import QuantizationConfig


def full_size() -> Any:
    """Augmentation at full scale."""
    return L(AugmentConfig)(
        short_sides=(640, 672, 704, 736, 768, 800), max_long_side=1333, flip=0.5
    )


def alp_source(augment: Any, roots: dict[str, str], batch_size: int = 16) -> Any:
    """The ALPs of `data.alps`; `roots` are the folders of images by family of data sets."""
    return L(TrainSource)(
        records=L(AlpDataset.open)(
            folder="${data.alps}",
            cache="${data.cache}",
            finder=L(ImageFinder)(roots=roots),
            quality=L(AlpFilter)(min_score=0.0),
            split="train",
            shard_cache_gib=20.0,  # of shards that data.alps=s3://... brings here
        ),
        mapper=L(AlpMapper)(
            augment=augment, quantization=L(QuantizationConfig)(kind="snap"), image_format="RGB"
        ),
        batch_size=batch_size,
    )


def eval_loader(
    images: str,
    short_side: int = 800,
    max_long_side: int = 1333,
    batch_size: int = 1,
    num_workers: int = 4,
) -> Any:
    """The images of `data.test.annotations`, which lie in the folder `images`."""
    return L(build_eval_loader)(
        images=L(EvalImages)(
            annotations="${data.test.annotations}",
            images=images,
            short_side=short_side,
            max_long_side=max_long_side,
            image_format="RGB",
        ),
        batch_size=batch_size,
        num_workers=num_workers,
    )


def train_loader(masks: Any, other: Any, num_workers: int = 4) -> Any:
    """Masks, and ALPs or true boxes, by turns."""
    alternation = L(Alternation)(masks=int(masks is not None), alps=int(other is not None))
    return L(build_train_loader)(
        masks=masks, alps=other, alternation=alternation, num_workers=num_workers
    )
