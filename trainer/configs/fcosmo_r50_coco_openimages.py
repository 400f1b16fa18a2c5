r"""FCOS-MO at full scale: ResNet-50-FPN, HG-52, COCO masks and Open Images ALPs.

    python -m trainer.train --config-file trainer/configs/fcosmo_r50_coco_openimages.py \
        --num-gpus 8 data.root=/path/to/datasets

90,000 steps of 16 images, masks and ALPs by turns: 45k of each, 6.1 epochs of COCO's 118k images. Expected, not
measured: FCOS R-50 is about 200 GMAC an image of 800 px, and the hourglass adds 2.0 GMAC a crop (about 14
crops a GPU and mask step: 28 GMAC beside the 400 of two images). With detectron2's published 0.26 s a step
for Mask R-CNN R-50-FPN, a model of that size, on 8 V100, 90,000 steps are about 6.5 to 7.5 hours.
Layout of the data: `common/coco_openimages.py`.
"""

from .common.coco_openimages import alps, data, masks, train_loader
from .common.fcosmo import model
from .common.text import text
from .common.train import optimizer, schedule, train

data.train = train_loader(masks, alps)
train.output_dir = "runs/fcosmo_r50_coco_openimages"
