r"""FCOS-MO on the 300-class world: masks of 60 base classes, ALPs of all 300, one GPU.

    make world300
    python -m trainer.train --config-file trainer/configs/fcosmo_world300.py

Not trained yet: no score to expect. Sizes and reasons: `common/world300.py`. A run that is there is evaluated
again, under names of your own if you like, by

    python -m trainer.train --config-file trainer/configs/fcosmo_world300.py --eval-only \
        data.test.names=my_names.json
"""

from .common.world300 import alps, data, masks, optimizer, schedule, text, train, train_loader
from .common.world300 import fcosmo as model

data.train = train_loader(masks, alps)
train.output_dir = "runs/fcosmo_world300"
