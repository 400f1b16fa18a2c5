r"""Box-supervised Mask R-CNN* on COCO's open-vocabulary split, the oracle: masks of base, boxes of all.

    python -m trainer.train --config-file trainer/configs/maskrcnn_box_r50_coco_48_17.py \
        --num-gpus 8 data.root=/path/to/datasets

Layout and download of the data, and the hours to expect: docs/recipes.md; `--dry-run` says what is missing.
"""

from .common.coco_splits import boxes, data, masks, train_loader
from .common.maskrcnn import model
from .common.text import text
from .common.train import optimizer, schedule, train

data.split = "coco_48_17"
data.train = train_loader(masks, boxes)
train.output_dir = "runs/maskrcnn_box_r50_coco_48_17"
model.alp.update(box=1.0, proposal_box=1.0, ring=False)
optimizer.lr = 0.02
