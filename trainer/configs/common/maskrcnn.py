"""Mask R-CNN*: `model` for ResNet-50 at full scale, `tiny_model` for two cores."""

from typing import Any

from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.proposal_generator import StandardRPNHead
from detectron2.modeling.roi_heads import FastRCNNConvFCHead

from trainer.modeling.hourglass import HourglassMaskHead
from trainer.modeling.mask_branch import MaskBranch
from trainer.modeling.maskrcnn import (
    AlpRegionLosses,
    MaskRCNN,
    RingRPN,
    TextBoxPredictor,
    TextROIHeads,
)
from trainer.modeling.text_classifier import RegionTextClassifier

from .backbones import PIXEL_MEAN, PIXEL_STD, r50_p2_p6, tiny_p2_p5
from .columns import columns

_alp = L(AlpRegionLosses)(
    classification=1.0, box=0.0, objectness=1.0, proposal_box=0.0, ring=True, by_quality=False
)


def _rpn(channels: int, strides: list[int], sizes: list[int], topk: tuple[int, int]) -> Any:
    return L(RingRPN)(
        in_features=[f"p{i + 2}" for i in range(len(strides))],
        head=L(StandardRPNHead)(in_channels=channels, num_anchors=3),
        anchor_generator=L(DefaultAnchorGenerator)(
            sizes=[[size] for size in sizes],
            aspect_ratios=[0.5, 1.0, 2.0],
            strides=strides,
            offset=0.0,
        ),
        anchor_matcher=L(Matcher)(
            thresholds=[0.3, 0.7], labels=[0, -1, 1], allow_low_quality_matches=True
        ),
        box2box_transform=L(Box2BoxTransform)(weights=[1.0, 1.0, 1.0, 1.0]),
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_topk=topk,
        post_nms_topk=(topk[1], topk[1]),
        nms_thresh=0.7,
    )


def _roi_heads(
    channels: int, strides: list[int], fc: int, proposals: int, detections: int, mask_head: Any
) -> Any:
    names = [f"p{i + 2}" for i in range(len(strides))]
    return L(TextROIHeads)(
        mask_branch=L(MaskBranch)(
            in_features=names, strides=strides, head=mask_head, sampling_ratio=2
        ),
        batch_size_per_image=proposals,
        positive_fraction=0.25,
        proposal_matcher=L(Matcher)(
            thresholds=[0.5], labels=[0, 1], allow_low_quality_matches=False
        ),
        box_in_features=names,
        box_pooler=L(ROIPooler)(
            output_size=7,
            scales=[1.0 / stride for stride in strides],
            sampling_ratio=0,
            pooler_type="ROIAlignV2",
        ),
        box_head=L(FastRCNNConvFCHead)(
            input_shape=ShapeSpec(channels=channels, height=7, width=7),
            conv_dims=[],
            fc_dims=[fc, fc],
        ),
        box_predictor=L(TextBoxPredictor)(
            in_features=fc,
            classifier=L(RegionTextClassifier)(
                in_features=fc, text_dim="${text.dim}", scale=50.0, learn_scale=False, bias=None
            ),
            score_threshold=0.05,
            nms_threshold=0.5,
            max_detections=detections,
        ),
    )


model = L(MaskRCNN)(
    backbone=r50_p2_p6,
    proposal_generator=_rpn(256, [4, 8, 16, 32, 64], [32, 64, 128, 256, 512], (2000, 1000)),
    roi_heads=_roi_heads(
        256,
        [4, 8, 16, 32],
        fc=1024,
        proposals=512,
        detections=300,
        mask_head=L(HourglassMaskHead)(in_channels=256, depth=52, width=64, crop_size=32),
    ),
    columns=columns,
    alp=_alp,
    pixel_mean=PIXEL_MEAN,
    pixel_std=PIXEL_STD,
)

tiny_model = L(MaskRCNN)(
    backbone=tiny_p2_p5,
    proposal_generator=_rpn(64, [4, 8, 16, 32], [12, 24, 48, 96], (400, 100)),
    roi_heads=_roi_heads(
        64,
        [4, 8, 16],
        fc=256,
        proposals=64,
        detections=100,
        mask_head=L(HourglassMaskHead)(in_channels=64, depth=20, width=16, crop_size=16),
    ),
    columns=columns,
    alp=_alp,
    pixel_mean=PIXEL_MEAN,
    pixel_std=PIXEL_STD,
)
tiny_model.roi_heads.mask_branch.max_masks_per_image = 8
