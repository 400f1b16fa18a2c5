"""An ablation of the table: the mask head is Mask R-CNN's four convolutions, of the hourglass's width."""

from detectron2.config import LazyCall as L

from trainer.modeling.hourglass import FCNMaskHead

from ..common.table_world import alps, data, masks, optimizer, schedule, text, train, train_loader
from ..common.table_world import fcosmo as model

data.train = train_loader(masks, alps, num_workers=0)
model.mask_branch.head = L(FCNMaskHead)(in_channels=64, width=32, num_convs=4, crop_size=16)
