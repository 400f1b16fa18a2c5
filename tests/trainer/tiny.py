"""Models and batches small enough for tests: milliseconds a step, everything seeded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from detectron2.modeling.backbone import FPN
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.proposal_generator import StandardRPNHead
from detectron2.modeling.roi_heads import FastRCNNConvFCHead
from detectron2.structures import Boxes, Instances, PolygonMasks
from torch import Tensor
from torch.nn import functional as F

from trainer.modeling.columns import ColumnBuilder
from trainer.modeling.fcosmo import FCOSMO, AlpLosses, FCOSMOHead
from trainer.modeling.hourglass import HourglassMaskHead
from trainer.modeling.mask_branch import MaskBranch
from trainer.modeling.maskrcnn import (
    AlpRegionLosses,
    MaskRCNN,
    RingRPN,
    TextBoxPredictor,
    TextROIHeads,
)
from trainer.modeling.text_classifier import DenseTextClassifier, RegionTextClassifier
from trainer.modeling.tiny_backbone import tiny_resnet

DIM = 16
BASE = ("box", "disc")
CHANNELS = 32


class HashEmbedder:
    """Random unit vectors, a function of the text; names and phrases share them."""

    dim = DIM
    fingerprint = "hash"

    def classes(self, names: Sequence[str]) -> Tensor:
        vectors = [_seeded(name) for name in names]
        return torch.stack(vectors) if vectors else torch.empty(0, DIM)

    phrases = classes


def _seeded(text: str) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    return F.normalize(torch.randn(DIM, generator=torch.Generator().manual_seed(seed)), dim=0)


def columns(**changes: Any) -> ColumnBuilder:
    return ColumnBuilder(HashEmbedder(), **{"base_names": BASE, **changes})


def pyramid() -> FPN:
    return FPN(
        tiny_resnet((32, 32, 64, 32, 64)), ["res2", "res3", "res4", "res5"], CHANNELS, norm="GN"
    )


def mask_branch() -> MaskBranch:
    head = HourglassMaskHead(CHANNELS, depth=20, width=8, crop_size=8)
    return MaskBranch(["p2", "p3", "p4"], [4, 8, 16], head)


def fcosmo(seed: int = 0, alp: AlpLosses | None = None, **changes: Any) -> FCOSMO:
    torch.manual_seed(seed)
    head = FCOSMOHead(
        input_shape=[ShapeSpec(channels=CHANNELS, stride=s) for s in (8, 16, 32)],
        conv_dims=[CHANNELS],
        classifier=DenseTextClassifier(CHANNELS, DIM),
    )
    arguments: dict[str, Any] = {
        "backbone": pyramid(),
        "head": head,
        "mask_branch": mask_branch(),
        "columns": columns(),
        "alp": alp,
        "pixel_mean": [123.7, 116.3, 103.5],
        "pixel_std": [58.4, 57.1, 57.4],
        "head_in_features": ["p3", "p4", "p5"],
        "initial_positives": 20.0,
    }
    return FCOSMO(**(arguments | changes))


def maskrcnn(seed: int = 0, alp: AlpRegionLosses | None = None, **changes: Any) -> MaskRCNN:
    torch.manual_seed(seed)
    names, strides = ["p2", "p3", "p4"], [4, 8, 16]
    rpn = RingRPN(
        in_features=names,
        head=StandardRPNHead(in_channels=CHANNELS, num_anchors=1),
        anchor_generator=DefaultAnchorGenerator(
            sizes=[[16], [32], [64]], aspect_ratios=[1.0], strides=strides
        ),
        anchor_matcher=Matcher([0.3, 0.7], [0, -1, 1], allow_low_quality_matches=True),
        box2box_transform=Box2BoxTransform(weights=[1.0, 1.0, 1.0, 1.0]),
        batch_size_per_image=32,
        positive_fraction=0.5,
        pre_nms_topk=(50, 50),
        post_nms_topk=(20, 20),
    )
    heads = TextROIHeads(
        mask_branch=mask_branch(),
        batch_size_per_image=16,
        positive_fraction=0.25,
        proposal_matcher=Matcher([0.5], [0, 1], allow_low_quality_matches=False),
        box_in_features=names,
        box_pooler=ROIPooler(7, [1 / s for s in strides], 2, "ROIAlignV2"),
        box_head=FastRCNNConvFCHead(
            ShapeSpec(channels=CHANNELS, height=7, width=7), conv_dims=[], fc_dims=[32]
        ),
        box_predictor=TextBoxPredictor(32, RegionTextClassifier(32, DIM)),
    )
    arguments: dict[str, Any] = {
        "backbone": pyramid(),
        "proposal_generator": rpn,
        "roi_heads": heads,
        "columns": columns(),
        "alp": alp,
        "pixel_mean": [123.7, 116.3, 103.5],
        "pixel_std": [58.4, 57.1, 57.4],
    }
    return MaskRCNN(**(arguments | changes))


MODELS = {"fcosmo": fcosmo, "maskrcnn": maskrcnn}


def item(seed: int, source: str = "mask", things: int = 2, size: tuple[int, int] = (64, 96)) -> Any:
    """A noisy image with bright boxes (class 0) and discs (class 1) and what `source` says of them."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = rng.integers(0, 60, (height, width, 3)).astype(np.uint8)
    boxes, labels, polygons = [], [], []
    for _ in range(things):
        w, h = rng.integers(16, min(size) - 8, 2)
        x, y = rng.integers(0, width - w), rng.integers(0, height - h)
        label = int(rng.integers(2))
        polygon = _outline(label, x, y, w, h)
        inside = _fill(polygon, height, width)
        image[inside] = (230, 40, 40) if label else (40, 200, 230)
        boxes.append([x, y, x + w, y + h])
        labels.append(label)
        polygons.append([polygon.reshape(-1)])
    instances = Instances(size)
    instances.gt_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    instances.gt_classes = torch.tensor(labels, dtype=torch.int64)
    out = {
        "file_name": f"{source}_{seed}.png",
        "image_id": seed,
        "height": height,
        "width": width,
        "image": torch.from_numpy(image.transpose(2, 0, 1).copy()),
        "source": source,
        "instances": instances,
    }
    if source == "mask":
        instances.gt_masks = PolygonMasks(polygons)
    elif source == "alp":
        _as_alps(out)
    return out


def _as_alps(out: dict[str, Any]) -> None:
    instances = out["instances"]
    texts = ["red disc" if label else "blue box" for label in instances.gt_classes.tolist()]
    phrases = sorted(set(texts))
    grown = instances.gt_boxes.tensor + torch.tensor([-4.0, -4.0, 4.0, 4.0])
    instances.gt_classes = torch.tensor([phrases.index(t) for t in texts], dtype=torch.int64)
    instances.ignore_boxes = Boxes(grown)
    instances.is_plural = torch.zeros(len(texts), dtype=torch.bool)
    instances.scores = torch.ones(len(texts))
    out["phrases"] = phrases
    out["phrase_heads"] = [phrase.split()[-1] for phrase in phrases]


def _outline(label: int, x: int, y: int, w: int, h: int) -> Any:
    if label == 0:
        return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    centre = np.array([x + w / 2, y + h / 2])
    return centre + np.stack([np.cos(angle) * w / 2, np.sin(angle) * h / 2], axis=1)


def _fill(polygon: Any, height: int, width: int) -> Any:
    import cv2

    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [polygon.round().astype(np.int32)], 1)
    return mask.astype(bool)


def batch(step: int, source: str = "mask", images: int = 2, **changes: Any) -> list[Any]:
    return [item(1000 * step + i, source, **changes) for i in range(images)]


def alternating(start: int = 0, images: int = 2) -> Any:
    """Mask and ALP batches by turns, a function of the step, from a step on."""
    step = start
    while True:
        yield batch(step % 6, "alp" if step % 2 else "mask", images)
        step += 1
