"""What the rows of the table in miniature share: a world of 96 px, and sizes two cores can afford.

Chosen on the val split, by cost first (`docs/table.md` has the figures):

* images of 96 px, drawn at that size, so nothing is resized;
* one sample a bin in RoIAlign, whose backward pass was a third of a Mask R-CNN* step with more;
* 32 regions an image in the second stage and 64 anchors in the first, for worlds of 3 to 6 things;
* few detections of low score: AP needs them, but each costs a mask;
* FCOS's points on strides 4 to 16, the levels Mask R-CNN*'s regions are cropped from: things are 19 to 58 px
  large here, and on stride 8 a small one has four points of which its neighbours claim some;
* BatchNorm in backbone, pyramid and FCOS's towers: GroupNorm's groups of two channels have 18 values on a
  level of 3 x 3 points, and what a thing looks like would depend on its neighbours;
* cross-entropy for FCOS's classes, as Mask R-CNN* has: one point in nine is positive here, not one in a
  thousand, and focal loss learns names several times more slowly.

`train.init_weights` is a backbone pretrained on crops of base classes, the same one for every row of a
seed (`pipelines.table.pretrain`); it takes the place of ImageNet's.
"""

from .backbones import level_shapes
from .fcosmo import tiny_model as fcosmo
from .maskrcnn import tiny_model as maskrcnn
from .text import text
from .tiny_world import alps, boxes, data, masks, optimizer, schedule, train, train_loader

__all__ = [
    "alps", "boxes", "data", "fcosmo", "maskrcnn", "masks",
    "optimizer", "schedule", "text", "train", "train_loader",
]  # fmt: skip

SIZE = 96
MAX_DETECTIONS = 25
SCORE_THRESHOLD = 0.02

for _source in (masks.mapper, boxes.mapper.mapper, alps.mapper):
    _source.augment.short_sides = (SIZE,)
    _source.augment.max_long_side = 2 * SIZE

data.world = "data/table/world"
data.alps = "data/table/alps"
data.test.protocol = "open_images"
data.test.pictures = 0
data.test.loader.images.short_side = SIZE
data.test.loader.images.max_long_side = 2 * SIZE
data.test.loader.num_workers = 0

train.loop.max_steps = 1_200
train.loop.checkpoint_every = 250
train.loop.keep_checkpoints = 1

for _model in (fcosmo, maskrcnn):
    _model.backbone.norm = _model.backbone.bottom_up.norm = "BN"
fcosmo.head_in_features = ["p2", "p3", "p4"]
fcosmo.head.input_shape = level_shapes(64, [4, 8, 16])
fcosmo.head.norm = "BN"  # detectron2 keeps the statistics of each level apart
fcosmo.focal_alpha, fcosmo.focal_gamma = 0.5, 0.0

fcosmo.mask_branch.sampling_ratio = 1
fcosmo.mask_branch.max_masks_per_image = 4
fcosmo.score_threshold = SCORE_THRESHOLD
fcosmo.max_detections = MAX_DETECTIONS

maskrcnn.proposal_generator.batch_size_per_image = 64
maskrcnn.proposal_generator.pre_nms_topk = (200, 100)
maskrcnn.proposal_generator.post_nms_topk = (100, 60)
maskrcnn.roi_heads.batch_size_per_image = 32
maskrcnn.roi_heads.box_pooler.sampling_ratio = 1
maskrcnn.roi_heads.mask_branch.sampling_ratio = 1
maskrcnn.roi_heads.mask_branch.max_masks_per_image = 4
maskrcnn.roi_heads.box_predictor.score_threshold = SCORE_THRESHOLD
maskrcnn.roi_heads.box_predictor.max_detections = MAX_DETECTIONS

optimizer.fused = True  # one pass over all weights; a tenth of a step less
