"""Data, models and run of the 300-class world: simulated scenes of emoji, 60 base and 240 novel classes.

    WORLD/{train,val,test}/*.jpg, instances_{train,val,test}.json, split.json, synonyms.json
    ALPS/split=train/*.parquet, _alps/manifest.json                        both from `make world300`

Evaluated by the Open Images protocol under the classes' names and, beside them, under `synonyms.json`:
names that no narrator has said (`data.test.names=null` leaves that out).

Sized for one GPU, and **not trained yet**: images of 256 px in batches of 32; a ResNet of 18 layers from scratch
with a pyramid of 128 channels; HG-20 of full width. Of BatchNorm and cross-entropy `docs/table.md` tells why.
20,000 scenes are 400 things of a class; 30,000 steps of 32 images, by turns, are 24 passes over masks and 24
over ALPs.
"""

from .fcosmo import tiny_model as fcosmo
from .maskrcnn import tiny_model as maskrcnn
from .text import text
from .tiny_world import alps, boxes, data, masks, optimizer, schedule, train, train_loader

__all__ = [
    "alps", "boxes", "data", "fcosmo", "maskrcnn", "masks",
    "optimizer", "schedule", "text", "train", "train_loader",
]  # fmt: skip

SIZE = 256
BATCH = 32
CHANNELS = 128
SCORE_THRESHOLD = 0.02

# ------------------------------------------------------------------ data

data.world = "data/world300"
data.alps = "data/alps_world300"
data.test.protocol = "open_images"
data.test.names = "${data.world}/synonyms.json"
data.test.loader.images.short_side = SIZE
data.test.loader.images.max_long_side = 2 * SIZE
data.test.loader.num_workers = 4
for _source in (masks, boxes, alps):
    _source.batch_size = BATCH
for _mapper in (masks.mapper, boxes.mapper.mapper, alps.mapper):
    _mapper.augment.short_sides = (SIZE,)
    _mapper.augment.max_long_side = 2 * SIZE

# ------------------------------------------------------------------ models

for _model in (fcosmo, maskrcnn):
    _model.backbone.bottom_up.widths = (64, 64, 128, 256, 512)
    _model.backbone.bottom_up.blocks = 2
    _model.backbone.out_channels = CHANNELS
    _model.backbone.norm = _model.backbone.bottom_up.norm = "BN"

fcosmo.head.norm = "BN"
fcosmo.head.conv_dims = [CHANNELS] * 3
fcosmo.head.classifier.in_channels = CHANNELS
for _shape in fcosmo.head.input_shape:
    _shape.channels = CHANNELS
fcosmo.focal_alpha, fcosmo.focal_gamma = 0.5, 0.0
fcosmo.score_threshold = SCORE_THRESHOLD

maskrcnn.proposal_generator.head.in_channels = CHANNELS
maskrcnn.proposal_generator.anchor_generator.sizes = [[16], [32], [64], [128]]
maskrcnn.roi_heads.box_head.input_shape.channels = CHANNELS
maskrcnn.roi_heads.box_predictor.score_threshold = SCORE_THRESHOLD

for _branch in (fcosmo.mask_branch, maskrcnn.roi_heads.mask_branch):
    _branch.head.in_channels = CHANNELS
    _branch.head.width = 64
    _branch.head.crop_size = 32

# ------------------------------------------------------------------ run

train.reference_batch = BATCH
train.loop.max_steps = 30_000
train.loop.precision = "bf16"
train.loop.checkpoint_every = 1_000
optimizer.lr = 1e-3
optimizer.fused = True
