"""FCOS-MO on the simulated world: masks of base classes and ALPs, two cores, minutes.

python -m trainer.train --config-file trainer/configs/fcosmo_tiny_world.py
"""

from .common.tiny_world import alps, data, masks, train, train_loader

data.train = train_loader(masks, alps)
train.output_dir = "runs/fcosmo_tiny_world"
