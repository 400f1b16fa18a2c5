r"""Open-vocabulary Mask R-CNN* on COCO's open-vocabulary split: masks of 48 base classes only.

    python -m trainer.train --config-file trainer/configs/maskrcnn_ov_r50_coco_48_17.py \
        --num-gpus 8 data.root=/path/to/datasets

Layout and download of the data, and the hours to expect: docs/recipes.md; `--dry-run` says what is missing.
"""

from .common.coco_splits import data, masks, train_loader
from .common.maskrcnn import model
from .common.text import text
from .common.train import optimizer, schedule, train

data.split = "coco_48_17"
data.train = train_loader(masks, None)
train.output_dir = "runs/maskrcnn_ov_r50_coco_48_17"
optimizer.lr = 0.02
