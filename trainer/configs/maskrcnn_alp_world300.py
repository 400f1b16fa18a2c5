"""ALP-supervised Mask R-CNN* on the 300-class world: what `fcosmo_world300` is compared with.

    make world300
    python -m trainer.train --config-file trainer/configs/maskrcnn_alp_world300.py

Not trained yet. Sizes and reasons: `common/world300.py`.
"""

from .common.world300 import alps, data, masks, optimizer, schedule, text, train, train_loader
from .common.world300 import maskrcnn as model

data.train = train_loader(masks, alps)
train.output_dir = "runs/maskrcnn_alp_world300"
