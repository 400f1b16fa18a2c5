"""Box-supervised Mask R-CNN*, the oracle: masks of base classes, true boxes of all classes.

python -m trainer.train --config-file trainer/configs/maskrcnn_box_tiny_world.py
"""

from .common.tiny_world import boxes, data, masks, train, train_loader

data.train = train_loader(masks, boxes)
train.output_dir = "runs/maskrcnn_box_tiny_world"
