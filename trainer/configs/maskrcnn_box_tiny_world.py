"""Box-supervised Mask R-CNN*, the oracle: masks of base classes, true boxes of all classes.

`make train-maskrcnn-box` makes the data and runs it; with data at hand:

    python -m trainer.train --config-file trainer/configs/maskrcnn_box_tiny_world.py
"""

from .common.maskrcnn import tiny_model as model
from .common.text import text
from .common.tiny_world import boxes, data, masks, optimizer, schedule, train, train_loader

data.train = train_loader(masks, boxes, num_workers=1)
train.output_dir = "runs/maskrcnn_box_tiny_world"
