"""ALP-supervised Mask R-CNN* on the simulated world: masks of base classes and ALPs.

python -m trainer.train --config-file trainer/configs/maskrcnn_alp_tiny_world.py
"""

from .common.tiny_world import alps, data, masks, train, train_loader

data.train = train_loader(masks, alps)
train.output_dir = "runs/maskrcnn_alp_tiny_world"
