"""ALP-supervised Mask R-CNN* on the simulated world: masks of base classes and ALPs.

`make train-maskrcnn-alp` makes the data and runs it; with data at hand:

    python -m trainer.train --config-file trainer/configs/maskrcnn_alp_tiny_world.py
"""

from .common.maskrcnn import tiny_model as model
from .common.text import text
from .common.tiny_world import alps, data, masks, optimizer, schedule, train, train_loader

data.train = train_loader(masks, alps, num_workers=1)
train.output_dir = "runs/maskrcnn_alp_tiny_world"
