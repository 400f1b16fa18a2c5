"""The mask branch both models share: crop, predict, and compare with the true masks.

In training the crops come from **true boxes** and only from images that carry masks; at test from
detections (Deep-MARC: a head trained on noisy proposals loses much of its transfer to novel classes).
The loss is binary cross-entropy, averaged over the pixels of all masks of the *global* batch, so that
a batch split over processes gives the gradient of the whole.
"""

from __future__ import annotations

import torch
from detectron2.modeling.poolers import ROIPooler
from detectron2.structures import Boxes, Instances
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.engine.distributed import global_share
from trainer.modeling.hourglass import MaskHead


def pool(pooler: ROIPooler, levels: list[Tensor], boxes: list[Boxes]) -> Tensor:
    """Crops `(N, C, S, S)` of all boxes, float32.

    detectron2 rounds the boxes to the type of the features. In bfloat16, which has eight bits, a side at
    pixel 1001 would become 1000, and a true mask would be compared with a crop two pixels beside it. Under
    autocast RoIAlign computes in float32 anyway.

    Args:
        pooler: The pooler.
        levels: Pyramid levels `(B, C, H_l, W_l)`, finest first.
        boxes: Of the B images, N in all, absolute xyxy.
    """
    crops: Tensor = pooler([level.float() for level in levels], boxes)
    return crops


class MaskBranch(nn.Module):
    """Pools crops from the feature pyramid and runs a mask head on them.

    Args:
        in_features: Names of the pyramid's levels to crop from, finest first.
        strides: Their strides in pixels of the input.
        head: The mask head; its `crop_size` sets the size of the crops.
        sampling_ratio: RoIAlign samples per bin and side; 0 lets it adapt to the box.
        max_masks_per_image: Most masks of one image in a training step, a random subset beyond it;
            bounds the memory of a crowded batch.
        loss_weight: Factor of the mask loss.
        max_crops: Most crops in one pass at test; bounds the memory of many detections.
    """

    def __init__(
        self,
        in_features: list[str],
        strides: list[int],
        head: MaskHead,
        sampling_ratio: int = 2,
        max_masks_per_image: int = 32,
        loss_weight: float = 1.0,
        max_crops: int = 256,
    ) -> None:
        super().__init__()
        self.in_features = list(in_features)
        self.head = head
        self.pooler = ROIPooler(
            output_size=head.crop_size,
            scales=[1.0 / s for s in strides],
            sampling_ratio=sampling_ratio,
            pooler_type="ROIAlignV2",
        )
        self.max_masks_per_image = max_masks_per_image
        self.loss_weight = loss_weight
        self.max_crops = max_crops

    def losses(self, features: dict[str, Tensor], targets: list[Instances]) -> dict[str, Tensor]:
        """Mask loss of a batch.

        Args:
            features: Pyramid levels `(B, C, H_l, W_l)` by name.
            targets: True instances of the B images with `gt_boxes` (absolute xyxy) and `gt_masks`.

        Returns:
            `{"loss_mask": scalar}`; zero where no image of this process has an instance.
        """
        chosen = [self._subsample(t) for t in targets]
        boxes = [t.gt_boxes for t in chosen]
        logits = self.head(self._crop(features, boxes))[:, 0]  # (N, M, M)
        truth = [
            t.gt_masks.crop_and_resize(t.gt_boxes.tensor, self.head.mask_size).to(logits.device)
            for t in chosen
            if len(t)
        ]
        share = global_share(len(logits), logits.device)
        if not truth:
            return {"loss_mask": logits.sum() * 0.0}
        loss = F.binary_cross_entropy_with_logits(
            logits.float(), torch.cat(truth).float(), reduction="mean"
        )
        return {"loss_mask": loss * share * self.loss_weight}

    @torch.no_grad()
    def predict(self, features: dict[str, Tensor], detections: list[Instances]) -> None:
        """Add `pred_masks`, probabilities of shape `(N, 1, M, M)` within each box, in place."""
        logits = self.head_in_chunks(features, [d.pred_boxes for d in detections])
        for per_image, detection in zip(
            torch.split(logits.sigmoid(), [len(d) for d in detections]), detections, strict=True
        ):
            detection.pred_masks = per_image

    def head_in_chunks(self, features: dict[str, Tensor], boxes: list[Boxes]) -> Tensor:
        """Logits `(N, 1, M, M)` of all boxes, computed `max_crops` at a time."""
        crops = self._crop(features, boxes)
        if len(crops) == 0:
            out: Tensor = self.head(crops)
            return out
        return torch.cat([self.head(part) for part in torch.split(crops, self.max_crops)]).float()

    def _crop(self, features: dict[str, Tensor], boxes: list[Boxes]) -> Tensor:
        return pool(self.pooler, [features[name] for name in self.in_features], boxes)

    def _subsample(self, target: Instances) -> Instances:
        # A box without area has no crop to speak of: RoIAlign would repeat one point.
        keep = target.gt_boxes.nonempty().nonzero()[:, 0]
        if len(keep) > self.max_masks_per_image:
            order = torch.randperm(len(keep))[: self.max_masks_per_image]
            keep = keep[order.sort().values.to(keep.device)]
        return target[keep]
