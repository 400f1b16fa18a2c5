"""FCOS-MO on the simulated world: masks of base classes and ALPs, two cores, minutes.

`make train-fcosmo` makes the data and runs it; with data at hand:

    python -m trainer.train --config-file trainer/configs/fcosmo_tiny_world.py
"""

from .common.fcosmo import tiny_model as model
from .common.text import text
from .common.tiny_world import alps, data, masks, optimizer, schedule, train, train_loader

data.train = train_loader(masks, alps, num_workers=1)
train.output_dir = "runs/fcosmo_tiny_world"
