r"""ALP-supervised Mask R-CNN* with masks of VOC's 20 classes; novel are COCO's other 60.

    python -m trainer.train --config-file trainer/configs/maskrcnn_alp_r50_coco_voc.py \
        --num-gpus 8 data.root=/path/to/datasets

Layout and download of the data, and the hours to expect: docs/recipes.md; `--dry-run` says what is missing.
"""

from .common.coco_splits import alps, data, masks, train_loader
from .common.maskrcnn import model
from .common.text import text
from .common.train import optimizer, schedule, train

data.split = "voc_20_60"
data.train = train_loader(masks, alps)
train.output_dir = "runs/maskrcnn_alp_r50_coco_voc"
optimizer.lr = 0.02
