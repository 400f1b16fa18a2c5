r"""Open-vocabulary Mask R-CNN* at full scale: COCO masks of base classes only.

    python -m trainer.train --config-file trainer/configs/maskrcnn_ov_r50_coco_openimages.py \
        --num-gpus 8 data.root=/path/to/datasets

90,000 steps of 16 images: 12.2 epochs of COCO's 118k images. Expected, not measured:
detectron2's model zoo gives 0.26 s a step for Mask R-CNN R-50-FPN on 8 V100; the hourglass adds 2.0 GMAC a
crop (about 14 crops a GPU and mask step): at 0.3 s a step 90,000 steps are 7.5 hours.
Layout of the data: `common/coco_openimages.py`.
"""

from .common.coco_openimages import data, masks, train_loader
from .common.maskrcnn import model
from .common.text import text
from .common.train import optimizer, schedule, train

data.train = train_loader(masks, None)
train.output_dir = "runs/maskrcnn_ov_r50_coco_openimages"
optimizer.lr = 0.02
