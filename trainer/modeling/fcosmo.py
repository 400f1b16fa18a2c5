"""FCOS-MO: FCOS with an open-vocabulary classifier and a mask branch ("MO": masks, open vocabulary).

detectron2's FCOS gives the points, the matching rule, the box and centerness losses and the decoding;
this subclass changes what the poster changes:

* the classifier scores texts (`DenseTextClassifier`), whose columns depend on the batch (`ColumnBuilder`);
* a mask batch teaches classes, boxes, centerness and masks; an ALP batch teaches classes, and boxes and
  centerness only as far as `AlpLosses` says: an ALP is a poor box, but it says where a thing is. Its positive
  points lie round the centre of the *quantized* box, which snapping moves by up to half a cell;
* the number of positives that normalises the losses is a moving average **per source**, because an ALP
  batch has far fewer than a mask batch. It is kept in a buffer, so a resumed run continues with it, and
  counts the positives of all processes, so a batch split over them gives the gradient of the whole.

    loss = sum over points / EMA(positives of the source);   EMA <- 0.9 EMA + 0.1 positives, from 300

At test `set_vocabulary` chooses the classes by name; masks are cropped from the detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import Backbone
from detectron2.modeling.meta_arch.fcos import FCOS, FCOSHead
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Boxes, Instances
from detectron2.structures.boxes import matched_pairwise_iou
from fvcore.nn import sigmoid_focal_loss
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from trainer.engine.distributed import global_sum, process_count
from trainer.modeling.assignment import PointTargets, alp_weights, known_weights, match_points
from trainer.modeling.columns import ALP, MASK, SOURCES, BatchItem, ColumnBuilder, Columns
from trainer.modeling.mask_branch import MaskBranch
from trainer.modeling.text_classifier import DenseTextClassifier
from trainer.modeling.vocabulary import Vocabulary

STOCK_SIZE_LIMIT = 8.0
"""Largest distance of a side, in strides, that detectron2 assigns to a level (FCOS: 64 for stride 8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpLosses:
    """What an ALP batch teaches FCOS-MO; all of it is our choice, to be ablated.

    Attributes:
        classification: Weight of the focal loss.
        box: Weight of the box loss; 0 because raw ALPs are rough, and masks teach boxes.
        centerness: Weight of the centerness loss.
        ring: Whether points inside an ALP's ignore box are ignored for its phrase.
        by_quality: Whether a positive point weighs its ALP's quality score.
        by_agreement: Whether a positive point weighs the IoU of the box it predicts, of which it has
            learned from masks, with its ALP's box.
    """

    classification: float = 1.0
    box: float = 0.0
    centerness: float = 0.0
    ring: bool = True
    by_quality: bool = False
    by_agreement: bool = False


class FCOSMOHead(FCOSHead):  # type: ignore[misc]
    """FCOS's head, its class scores replaced by the text classifier.

    Args:
        input_shape: Shapes of the pyramid's levels.
        conv_dims: Channels of the towers' convolutions.
        classifier: Scores features of `conv_dims[-1]` channels against texts.
        norm: Norm of the towers.
    """

    def __init__(
        self,
        *,
        input_shape: list[ShapeSpec],
        conv_dims: list[int],
        classifier: DenseTextClassifier,
        norm: str = "GN",
    ) -> None:
        super().__init__(input_shape=input_shape, conv_dims=conv_dims, num_classes=1, norm=norm)
        self.cls_score = nn.Identity()  # the one class of the stock head is never used
        self.classifier = classifier

    def forward(
        self, features: list[Tensor], texts: Tensor
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Class logits `(B, C, H, W)`, box deltas `(B, 4, H, W)` and centerness `(B, 1, H, W)` by level.

        Args:
            features: Pyramid levels, finest first.
            texts: Unit text embeddings `(C, D)`.
        """
        logits, deltas, centerness = [], [], []
        for feature in features:
            logits.append(self.classifier(self.cls_subnet(feature), texts))
            tower = self.bbox_subnet(feature)
            deltas.append(self.bbox_pred(tower).float())
            centerness.append(self.ctrness(tower).float())
        return logits, deltas, centerness


class FCOSMO(FCOS):  # type: ignore[misc]
    """The model; forward takes a list of batch items and returns losses, or detections in eval mode.

    Args:
        backbone: Feature pyramid with levels such as p3 to p7.
        head: The dense head.
        mask_branch: The mask branch, or None for a detector of boxes.
        columns: Chooses the classifier's columns in training.
        alp: What ALP batches teach.
        pixel_mean: Mean of the pixels, by channel, in the order of the images given.
        pixel_std: Their standard deviation.
        head_in_features: Pyramid levels of the dense head, finest first; all unless given.
        center_sampling_radius: In strides.
        size_limit: Reach of a level in strides: it learns boxes whose farthest side is between half of
            this and this from the point, the finest level anything less, the coarsest anything more.
            FCOS's 8 is for images of 800 px; small images need less, or all boxes land on one level.
        focal_alpha: Of the focal loss.
        focal_gamma: Of the focal loss.
        initial_positives: Start of the average number of positives, for each source.
        positives_momentum: Momentum of that average.
        score_threshold: Least score of a detection.
        topk_candidates: Most candidates of a level before suppression.
        nms_threshold: IoU of the suppression, by class.
        max_detections: Most detections of an image.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        head: FCOSMOHead,
        mask_branch: MaskBranch | None,
        columns: ColumnBuilder,
        alp: AlpLosses | None = None,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        head_in_features: Sequence[str] | None = None,
        center_sampling_radius: float = 1.5,
        size_limit: float = STOCK_SIZE_LIMIT,
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        initial_positives: float = 300.0,
        positives_momentum: float = 0.9,
        score_threshold: float = 0.05,
        topk_candidates: int = 1000,
        nms_threshold: float = 0.6,
        max_detections: int = 300,
    ) -> None:
        super().__init__(
            backbone=backbone,
            head=head,
            head_in_features=None if head_in_features is None else list(head_in_features),
            num_classes=0,  # set by the vocabulary
            # detectron2 has one length for radius and limits, the anchor's side: see `_match_anchors`
            center_sampling_radius=center_sampling_radius * STOCK_SIZE_LIMIT / size_limit,
            focal_loss_alpha=focal_alpha,
            focal_loss_gamma=focal_gamma,
            test_score_thresh=score_threshold,
            test_topk_candidates=topk_candidates,
            test_nms_thresh=nms_threshold,
            max_detections_per_image=max_detections,
            pixel_mean=list(pixel_mean),
            pixel_std=list(pixel_std),
        )
        self.anchor_scale = size_limit / STOCK_SIZE_LIMIT
        self.mask_branch = mask_branch
        self.columns = columns
        self.alp = AlpLosses() if alp is None else alp
        self.vocabulary = Vocabulary(columns.embedder)
        self.positives_momentum = positives_momentum
        self.positives: Tensor
        self.register_buffer("positives", torch.full((len(SOURCES),), initial_positives))

    def set_vocabulary(self, names: Sequence[str]) -> None:
        """Choose the classes of inference; `pred_classes` are indices into the names."""
        self.vocabulary.set(names)
        self.num_classes = len(names)

    def forward(self, batch: list[BatchItem]) -> dict[str, Tensor] | list[dict[str, Instances]]:
        """Losses by name in training, else one `{"instances": Instances}` per item.

        Args:
            batch: Items of one source, see `trainer.modeling.columns`.
        """
        images = self.preprocess_image(batch)
        pyramid: dict[str, Tensor] = self.backbone(images.tensor)
        levels = [pyramid[name] for name in self.head_in_features]
        if not self.training:
            predictions = self.head(levels, self.vocabulary.embeddings(self.device))
            return self._detect(batch, images, pyramid, levels, predictions)
        columns = self.columns(batch).to(self.device)
        predictions = self.head(levels, columns.embeddings)
        targets = columns.relabel([item["instances"].to(self.device) for item in batch])
        source = batch[0]["source"]
        losses = self._dense_losses(source, columns, levels, predictions, targets)
        if self.mask_branch is not None and source == MASK:
            losses |= self.mask_branch.losses(pyramid, targets)
        return losses

    def _dense_losses(
        self,
        source: str,
        columns: Columns,
        levels: list[Tensor],
        predictions: tuple[list[Tensor], list[Tensor], list[Tensor]],
        instances: list[Instances],
    ) -> dict[str, Tensor]:
        # (B, K, H, W) of each level to (B, H W, K); there is one anchor a location.
        logits, deltas, centerness = (
            [level.flatten(2).transpose(1, 2) for level in levels_of] for levels_of in predictions
        )
        anchors: list[Boxes] = self.anchor_generator(levels)
        targets = self.point_targets(source, columns, anchors, instances)
        normalizer = self._update_positives(source, targets.positive.sum())
        weights = self.alp if source == ALP else AlpLosses(box=1.0, centerness=1.0)
        if source == ALP and self.alp.by_agreement:
            self._weigh_agreement(targets, torch.cat(deltas, dim=1), Boxes.cat(anchors).tensor)
        losses = {"loss_cls": self._focal(torch.cat(logits, dim=1), targets) / normalizer}
        losses["loss_cls"] = losses["loss_cls"] * weights.classification
        positive = targets.positive
        own = Boxes.cat(anchors).tensor[positive.nonzero()[:, 1]]  # (P, 4), of P positives
        truth = targets.boxes[positive]  # (P, 4)
        if weights.box > 0:
            predicted = self.box2box_transform.apply_deltas(torch.cat(deltas, dim=1)[positive], own)
            loss = generalized_box_iou_loss(predicted, truth, reduction="sum")
            losses["loss_box"] = loss / normalizer * weights.box
        if weights.centerness > 0:
            loss = F.binary_cross_entropy_with_logits(
                torch.cat(centerness, dim=1)[..., 0][positive],
                centerness_of(self.box2box_transform.get_deltas(own, truth)),
                reduction="sum",
            )
            losses["loss_centerness"] = loss / normalizer * weights.centerness
        return losses

    @torch.no_grad()
    def _weigh_agreement(self, targets: PointTargets, deltas: Tensor, anchors: Tensor) -> None:
        """Multiply the weights of positive points by the IoU of predicted box and ALP's box.

        Args:
            targets: Of an ALP batch; changed.
            deltas: `(B, R, 4)`, predicted.
            anchors: `(R, 4)`.
        """
        image, point = targets.positive.nonzero(as_tuple=True)
        predicted = self.box2box_transform.apply_deltas(deltas[image, point], anchors[point])
        agreement = matched_pairwise_iou(Boxes(predicted), Boxes(targets.boxes[image, point]))
        assert targets.weights is not None
        targets.weights[image, point, targets.column[image, point]] *= agreement

    @torch.no_grad()
    def point_targets(
        self, source: str, columns: Columns, anchors: list[Boxes], instances: list[Instances]
    ) -> PointTargets:
        """Targets of all points.

        Args:
            source: Of the batch.
            columns: Of the batch.
            anchors: Anchor boxes by level, R in all; a point is the centre of its anchor.
            instances: True instances of the B images, `gt_classes` being columns.
        """
        points = Boxes.cat(anchors).get_centers()  # (R, 2)
        column, boxes, weights = [], [], []
        for outside, per_image in zip(columns.outside, instances, strict=True):
            quality = self._match_anchors(per_image.gt_boxes, anchors)  # (M, R)
            column_i, boxes_i, match = match_points(quality, per_image)
            column.append(column_i)
            boxes.append(boxes_i)
            if source == ALP:
                by_quality = self.alp.by_quality and len(per_image) > 0
                worth = per_image.scores[match] if by_quality else None
                weights.append(
                    alp_weights(
                        points, per_image, outside, column_i, worth,
                        ring=self.alp.ring, taught=columns.taught,
                    )
                )  # fmt: skip
            elif columns.known is not None:
                weights.append(known_weights(outside, columns.known, column_i))
        return PointTargets(
            torch.stack(column), torch.stack(boxes), torch.stack(weights) if weights else None
        )

    def _match_anchors(self, gt_boxes: Boxes, anchors: list[Boxes]) -> Tensor:
        """detectron2's rule `(M, R)`, with the size limits of the levels scaled.

        The rule measures limits and radius in sides of the anchors; scaled anchors scale the limits, and
        the radius was divided by the same factor.
        """
        if self.anchor_scale != 1.0:
            anchors = [_scaled(level, self.anchor_scale) for level in anchors]
        quality: Tensor = super()._match_anchors(gt_boxes, anchors)
        return quality

    def _focal(self, logits: Tensor, targets: PointTargets) -> Tensor:
        """Focal loss summed over points and columns; logits `(B, R, C)`."""
        focal: Tensor = sigmoid_focal_loss(
            logits,
            targets.one_hot(logits.shape[2]),
            alpha=self.focal_loss_alpha,
            gamma=self.focal_loss_gamma,
            reduction="none" if targets.weights is not None else "sum",
        )
        return focal if targets.weights is None else (focal * targets.weights).sum()

    @torch.no_grad()
    def _update_positives(self, source: str, count: Tensor) -> Tensor:
        """This process's share of the source's average number of positives, after this batch."""
        index = SOURCES.index(source)
        total = global_sum(count.float()).clamp(min=1.0)
        self.positives[index] += (1 - self.positives_momentum) * (total - self.positives[index])
        # Gradients are averaged over processes, which divides by their number once more.
        return self.positives[index].clone() / process_count()

    def _detect(
        self,
        batch: list[BatchItem],
        images: Any,
        pyramid: dict[str, Tensor],
        levels: list[Tensor],
        predictions: tuple[list[Tensor], list[Tensor], list[Tensor]],
    ) -> list[dict[str, Instances]]:
        detections: list[Instances] = self.forward_inference(images, levels, list(predictions))
        for detection in detections:
            detection.pred_boxes.clip(detection.image_size)
        detections = [d[d.pred_boxes.nonempty()] for d in detections]
        if self.mask_branch is not None:
            self.mask_branch.predict(pyramid, detections)
        return [
            {
                "instances": detector_postprocess(
                    detection,
                    item.get("height", detection.image_size[0]),
                    item.get("width", detection.image_size[1]),
                )
            }
            for detection, item in zip(detections, batch, strict=True)
        ]


def _scaled(boxes: Boxes, factor: float) -> Boxes:
    """Boxes of the same centres, their sides times `factor`."""
    centres = boxes.get_centers()
    half = (boxes.tensor[:, 2:] - boxes.tensor[:, :2]) * (factor / 2)
    return Boxes(torch.cat([centres - half, centres + half], dim=1))


def centerness_of(distances: Tensor) -> Tensor:
    """Centerness (FCOS, equation 3) `(P,)` of points, by their distances to the box's four sides.

    Args:
        distances: `(P, 4)`, to the left, top, right and bottom side, all positive.
    """
    left, top, right, bottom = distances.unbind(dim=1)
    across = torch.minimum(left, right) / torch.maximum(left, right)
    down = torch.minimum(top, bottom) / torch.maximum(top, bottom)
    return (across * down).sqrt()
