"""FCOS-MO of the tiny configs on a 300-class world: a look at the whole path on a CPU, no more.

    make world300 WORLD300_TRAIN=160 WORLD300_EVAL=20
    python -m trainer.train --config-file trainer/configs/fcosmo_world300_tiny.py train.loop.max_steps=20

300 classes need far more steps than two cores have: its figures mean nothing.
"""

from .common.fcosmo import tiny_model as model
from .common.text import text
from .common.tiny_world import alps, data, masks, optimizer, schedule, train, train_loader

data.world = "data/world300"
data.alps = "data/alps_world300"
data.test.protocol = "open_images"
data.test.names = "${data.world}/synonyms.json"
data.train = train_loader(masks, alps, num_workers=1)
train.output_dir = "runs/fcosmo_world300_tiny"
