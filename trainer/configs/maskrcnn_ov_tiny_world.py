"""Open-vocabulary Mask R-CNN* on the simulated world: masks of base classes only.

python -m trainer.train --config-file trainer/configs/maskrcnn_ov_tiny_world.py
"""

from .common.tiny_world import data, masks, train, train_loader

data.train = train_loader(masks, None)
train.output_dir = "runs/maskrcnn_ov_tiny_world"
