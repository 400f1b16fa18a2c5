r"""Mask generalisation (Deep-MARC's): masks of VOC's 20 classes, true boxes of all 80.

    python -m trainer.train --config-file trainer/configs/fcosmo_box_r50_coco_voc.py \
        --num-gpus 8 data.root=/path/to/datasets

90,000 steps of 16 images, masks and boxes by turns: 45k of each, 6.1 epochs of train2017. Expected, not
measured: 6.5 to 7.5 hours on 8 V100, as `fcosmo_r50_coco_openimages.py` reckons it.
Layout and download of the data: `common/coco_splits.py`; `--dry-run` says what is missing.
"""

from .common.coco_splits import boxes, data, masks, train_loader
from .common.fcosmo import model
from .common.text import text
from .common.train import optimizer, schedule, train

data.split = "voc_20_60"
data.train = train_loader(masks, boxes)
train.output_dir = "runs/fcosmo_box_r50_coco_voc"
