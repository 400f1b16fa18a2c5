"""Open-vocabulary Mask R-CNN* on the simulated world: masks of base classes only.

`make train-maskrcnn-ov` makes the data and runs it; with data at hand:

    python -m trainer.train --config-file trainer/configs/maskrcnn_ov_tiny_world.py
"""

from .common.maskrcnn import tiny_model as model
from .common.text import text
from .common.tiny_world import data, masks, optimizer, schedule, train, train_loader

data.train = train_loader(masks, None, num_workers=1)
train.output_dir = "runs/maskrcnn_ov_tiny_world"
