"""FCOS-MO: `model` for ResNet-50 at full scale, `tiny_model` for two cores."""

from typing import Any

from detectron2.config import LazyCall as L

from trainer.modeling.fcosmo import FCOSMO, AlpLosses, FCOSMOHead
from trainer.modeling.hourglass import HourglassMaskHead
from trainer.modeling.mask_branch import MaskBranch
from trainer.modeling.text_classifier import DenseTextClassifier

from .backbones import PIXEL_MEAN, PIXEL_STD, level_shapes, r50_p3_p7, tiny_p2_p5
from .columns import columns

_alp = L(AlpLosses)(
    classification=1.0, box=0.0, centerness=0.0, ring=True, by_quality=False, by_agreement=False
)


def _classifier(channels: int) -> Any:
    return L(DenseTextClassifier)(
        in_channels=channels,
        text_dim="${text.dim}",
        kernel_size=1,
        scale=50.0,
        max_scale=100.0,
        learn_scale=True,
        bias=-4.6,
    )


model = L(FCOSMO)(
    backbone=r50_p3_p7,
    head=L(FCOSMOHead)(
        input_shape=level_shapes(256, [8, 16, 32, 64, 128]),
        conv_dims=[256] * 4,
        classifier=_classifier(256),
        norm="GN",
    ),
    mask_branch=L(MaskBranch)(
        in_features=["p3", "p4", "p5"],
        strides=[8, 16, 32],
        head=L(HourglassMaskHead)(in_channels=256, depth=52, width=64, crop_size=32),
        sampling_ratio=2,
        max_masks_per_image=32,
        loss_weight=1.0,
    ),
    columns=columns,
    alp=_alp,
    pixel_mean=PIXEL_MEAN,
    pixel_std=PIXEL_STD,
    head_in_features=["p3", "p4", "p5", "p6", "p7"],
    center_sampling_radius=1.5,
    focal_alpha=0.25,
    focal_gamma=2.0,
    initial_positives=300.0,
    positives_momentum=0.9,
    score_threshold=0.05,
    topk_candidates=1000,
    nms_threshold=0.6,
    max_detections=300,
)

tiny_model = L(FCOSMO)(
    backbone=tiny_p2_p5,
    head=L(FCOSMOHead)(
        input_shape=level_shapes(64, [8, 16, 32]),
        conv_dims=[64] * 2,
        classifier=_classifier(64),
        norm="GN",
    ),
    mask_branch=L(MaskBranch)(
        in_features=["p2", "p3", "p4"],
        strides=[4, 8, 16],
        head=L(HourglassMaskHead)(in_channels=64, depth=20, width=16, crop_size=16),
        sampling_ratio=2,
        max_masks_per_image=8,
        loss_weight=1.0,
    ),
    columns=columns,
    alp=_alp,
    pixel_mean=PIXEL_MEAN,
    pixel_std=PIXEL_STD,
    head_in_features=["p3", "p4", "p5"],
    initial_positives=100.0,
    score_threshold=0.05,
    nms_threshold=0.6,
    max_detections=100,
)
