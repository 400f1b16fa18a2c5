"""Mask R-CNN*: Mask R-CNN with FCOS-MO's backbone, hourglass mask head and text classifier.

It is the paper's baseline, so that the detector is the only difference: region proposals and a second
stage (detectron2's) in place of FCOS's dense head. What supervises it makes the rows of the table:

    masks only                          open-vocabulary Mask R-CNN*
    masks and ALPs, alternating         ALP-supervised
    masks and true boxes, alternating   box-supervised, the oracle

A proposal learns from an ALP as a point of FCOS does, only that "positive" means an IoU of at least 0.5
with the ALP's box: columns, weights and ignore ring are the same (`trainer.modeling.assignment`), with
the proposal's centre as its point. The classifier is Detic's (Zhou et al., ECCV 2022): sigmoid
cross-entropy, summed over columns and averaged over proposals; the background is a zero vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import Backbone
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.meta_arch import GeneralizedRCNN
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.roi_heads import FastRCNNOutputLayers, StandardROIHeads
from detectron2.structures import Boxes, ImageList, Instances
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.engine.distributed import anywhere, global_share
from trainer.modeling.assignment import BACKGROUND, alp_weights, known_weights, points_inside
from trainer.modeling.columns import ALP, MASK, BatchItem, ColumnBuilder, Columns
from trainer.modeling.mask_branch import MaskBranch, pool
from trainer.modeling.text_classifier import RegionTextClassifier
from trainer.modeling.vocabulary import Vocabulary

NO_CLASS = 1 << 30
"""Label of a background proposal: above every column, whose number changes from step to step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpRegionLosses:
    """What an ALP batch teaches Mask R-CNN*; all of it is our choice, to be ablated.

    Attributes:
        classification: Weight of the second stage's classification.
        box: Weight of its box loss; 0 for the reason FCOS-MO's is.
        objectness: Weight of the proposals' objectness: ALP boxes stand in for true boxes.
        proposal_box: Weight of the proposals' box loss.
        ring: Whether proposals and anchors centred in an ALP's ignore box are ignored.
        by_quality: Whether a positive proposal weighs its ALP's quality score.
    """

    classification: float = 1.0
    box: float = 0.0
    objectness: float = 1.0
    proposal_box: float = 0.0
    ring: bool = True
    by_quality: bool = False


class RingRPN(RPN):  # type: ignore[misc]
    """Region proposals that learn no background from anchors centred in an ignore box."""

    def forward(
        self,
        images: ImageList,
        features: dict[str, Tensor],
        gt_instances: list[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Proposals of each image, and the losses by name.

        Raises:
            FloatingPointError: In training, if a proposal of any process is infinite or undefined: on all
                of them, for one that left alone would keep the others waiting in the sums of the losses.
        """
        found: Any = None
        with suppress(FloatingPointError):
            found = super().forward(images, features, gt_instances)
        if self.training and anywhere(found is None, images.tensor.device):
            raise FloatingPointError("proposals are infinite or undefined: training has diverged")
        proposals, losses = found
        return proposals, losses

    def label_and_sample_anchors(
        self, anchors: list[Boxes], gt_instances: list[Instances]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Labels `(R,)` in {-1 ignore, 0, 1} and matched boxes `(R, 4)` of each image."""
        labels, boxes = super().label_and_sample_anchors(anchors, gt_instances)
        centres = Boxes.cat(anchors).get_centers()
        for label, per_image in zip(labels, gt_instances, strict=True):
            if per_image.has("ignore_boxes") and len(per_image):
                ring = points_inside(centres, per_image.ignore_boxes).any(dim=0)
                label[ring & (label == 0)] = -1
        return labels, boxes


class TextBoxPredictor(FastRCNNOutputLayers):  # type: ignore[misc]
    """The second stage's output layers: text classifier and one class-agnostic box.

    Args:
        in_features: Length of a region's feature vector.
        classifier: Scores it against texts.
        box_weights: Weights of the four box deltas.
        score_threshold: Least score of a detection.
        nms_threshold: IoU of the suppression, by class.
        max_detections: Most detections of an image.
    """

    def __init__(
        self,
        in_features: int,
        classifier: RegionTextClassifier,
        box_weights: Sequence[float] = (10.0, 10.0, 5.0, 5.0),
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 300,
    ) -> None:
        super().__init__(
            ShapeSpec(channels=in_features),
            box2box_transform=Box2BoxTransform(weights=tuple(box_weights)),
            num_classes=1,
            test_score_thresh=score_threshold,
            test_nms_thresh=nms_threshold,
            test_topk_per_image=max_detections,
            cls_agnostic_bbox_reg=True,
            use_sigmoid_ce=True,
        )
        self.cls_score = nn.Identity()  # the stock layer has a fixed number of classes
        self.num_classes = NO_CLASS
        self.classifier = classifier

    def forward(self, features: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `(N, C + 1)`, the background last, and box deltas `(N, 4)` of N regions."""
        return self.classifier(features, texts), self.bbox_pred(features).float()

    def region_losses(
        self,
        predictions: tuple[Tensor, Tensor],
        proposals: list[Instances],
        weights: Tensor | None,
    ) -> dict[str, Tensor]:
        """Classification and box loss.

        Args:
            predictions: What `forward` gave for all proposals of the batch.
            proposals: By image, labelled: `proposal_boxes`, `gt_classes` (columns or `NO_CLASS`),
                and `gt_boxes` where the image has instances.
            weights: `(N, C)` of the classification, or None for all ones.
        """
        logits, deltas = predictions
        classes = torch.cat([p.gt_classes for p in proposals])
        target = torch.zeros_like(logits[:, :-1])
        positive = (classes != NO_CLASS).nonzero()[:, 0]
        target[positive, classes[positive]] = 1.0
        loss = F.binary_cross_entropy_with_logits(
            logits[:, :-1], target, weight=weights, reduction="sum"
        )
        share = global_share(len(classes), logits.device) / max(len(classes), 1)
        boxes = torch.cat([p.proposal_boxes.tensor for p in proposals])
        truth = torch.cat(
            [(p.gt_boxes if p.has("gt_boxes") else p.proposal_boxes).tensor for p in proposals]
        )
        return {
            "loss_cls": loss * share,
            "loss_box": self.box_reg_loss(boxes, truth, deltas, classes),
        }


class TextROIHeads(StandardROIHeads):  # type: ignore[misc]
    """The second stage; its calls take the columns along.

    Args:
        mask_branch: The mask branch, or None for a detector of boxes.
        **kwargs: As detectron2's `StandardROIHeads`, without `num_classes`.
    """

    def __init__(self, *, mask_branch: MaskBranch | None, **kwargs: Any) -> None:
        super().__init__(num_classes=NO_CLASS, **kwargs)
        self.mask_branch = mask_branch

    def losses(
        self,
        source: str,
        columns: Columns,
        pyramid: dict[str, Tensor],
        proposals: list[Instances],
        targets: list[Instances],
        alp: AlpRegionLosses,
    ) -> dict[str, Tensor]:
        """Losses of the second stage, unweighted.

        Args:
            source: Of the batch.
            columns: Of the batch.
            pyramid: Feature levels by name.
            proposals: First-stage proposals of the B images.
            targets: True instances, `gt_classes` being columns.
            alp: How ALPs weigh.
        """
        sampled = self.label_and_sample_proposals(proposals, [_without_masks(t) for t in targets])
        predictions = self._predict(
            pyramid, [p.proposal_boxes for p in sampled], columns.embeddings
        )
        weighted = source == ALP or columns.known is not None
        weights = _region_weights(columns, sampled, targets, alp) if weighted else None
        losses: dict[str, Tensor] = self.box_predictor.region_losses(predictions, sampled, weights)
        if self.mask_branch is not None and source == MASK:
            losses |= self.mask_branch.losses(pyramid, targets)
        return losses

    def detect(
        self, pyramid: dict[str, Tensor], proposals: list[Instances], texts: Tensor
    ) -> list[Instances]:
        """Detections of each image, with masks."""
        predictions = self._predict(pyramid, [p.proposal_boxes for p in proposals], texts)
        detections: list[Instances] = self.box_predictor.inference(predictions, proposals)[0]
        if self.mask_branch is not None:
            self.mask_branch.predict(pyramid, detections)
        return detections

    def _predict(
        self, pyramid: dict[str, Tensor], boxes: list[Boxes], texts: Tensor
    ) -> tuple[Tensor, Tensor]:
        levels = [pyramid[name] for name in self.box_in_features]
        regions = pool(self.box_pooler, levels, boxes)
        out: tuple[Tensor, Tensor] = self.box_predictor(self.box_head(regions), texts)
        return out


class MaskRCNN(GeneralizedRCNN):  # type: ignore[misc]
    """The model; forward takes a list of batch items and returns losses, or detections in eval mode.

    Args:
        backbone: Feature pyramid.
        proposal_generator: The first stage.
        roi_heads: The second stage.
        columns: Chooses the classifier's columns in training.
        alp: What ALP batches teach.
        pixel_mean: Mean of the pixels, by channel, in the order of the images given.
        pixel_std: Their standard deviation.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        proposal_generator: RingRPN,
        roi_heads: TextROIHeads,
        columns: ColumnBuilder,
        alp: AlpRegionLosses | None = None,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
    ) -> None:
        super().__init__(
            backbone=backbone,
            proposal_generator=proposal_generator,
            roi_heads=roi_heads,
            pixel_mean=list(pixel_mean),
            pixel_std=list(pixel_std),
        )
        self.columns = columns
        self.alp = AlpRegionLosses() if alp is None else alp
        self.vocabulary = Vocabulary(columns.embedder)

    def set_vocabulary(self, names: Sequence[str]) -> None:
        """Choose the classes of inference; `pred_classes` are indices into the names."""
        self.vocabulary.set(names)

    def forward(self, batch: list[BatchItem]) -> dict[str, Tensor] | list[dict[str, Instances]]:
        """Losses by name in training, else one `{"instances": Instances}` per item.

        Args:
            batch: Items of one source, see `trainer.modeling.columns`.
        """
        images = self.preprocess_image(batch)
        pyramid: dict[str, Tensor] = self.backbone(images.tensor)
        if not self.training:
            proposals, _ = self.proposal_generator(images, pyramid, None)
            texts = self.vocabulary.embeddings(self.device)
            detections = self.roi_heads.detect(pyramid, proposals, texts)
            results: list[dict[str, Instances]] = self._postprocess(
                detections, batch, images.image_sizes
            )
            return results
        source = batch[0]["source"]
        columns = self.columns(batch).to(self.device)
        targets = columns.relabel([item["instances"].to(self.device) for item in batch])
        if source == ALP and not self.alp.ring:
            targets = [_without(t, "ignore_boxes") for t in targets]
        proposals, losses = self.proposal_generator(images, pyramid, targets)
        losses |= self.roi_heads.losses(source, columns, pyramid, proposals, targets, self.alp)
        return self._weighted(losses) if source == ALP else losses

    def _weighted(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """ALP losses with their weights; one of weight 0 is left out, and its layers untouched."""
        weights = {
            "loss_rpn_cls": self.alp.objectness,
            "loss_rpn_loc": self.alp.proposal_box,
            "loss_cls": self.alp.classification,
            "loss_box": self.alp.box,
        }
        return {name: loss * weights[name] for name, loss in losses.items() if weights[name] > 0}


def _region_weights(
    columns: Columns, sampled: list[Instances], targets: list[Instances], alp: AlpRegionLosses
) -> Tensor:
    """Classification weights `(N, C)` of the sampled proposals of all images."""
    weights = []
    for outside, proposals, truth in zip(columns.outside, sampled, targets, strict=True):
        classes = proposals.gt_classes
        column = torch.where(classes == NO_CLASS, BACKGROUND, classes)
        if columns.known is not None:
            weights.append(known_weights(outside, columns.known, column))
            continue
        worth = proposals.gt_quality if alp.by_quality and proposals.has("gt_quality") else None
        centres = proposals.proposal_boxes.get_centers()
        weights.append(
            alp_weights(
                centres, truth, outside, column, worth, ring=alp.ring, taught=columns.taught
            )
        )
    return torch.cat(weights)


def _without_masks(instances: Instances) -> Instances:
    """Instances for the sampler, which would copy every mask to every proposal it matches."""
    out = _without(instances, "gt_masks")
    if instances.has("scores"):
        out.gt_quality = instances.scores
    return out


def _without(instances: Instances, field: str) -> Instances:
    fields = {name: value for name, value in instances.get_fields().items() if name != field}
    return Instances(instances.image_size, **fields)
