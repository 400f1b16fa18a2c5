"""An ablation of the table: the mask head is Mask R-CNN's four convolutions, of the hourglass's width."""

from detectron2.config import LazyCall as L

from trainer.modeling.hourglass import FCNMaskHead

from .fcosmo_alps import data, model, optimizer, schedule, text, train

model.mask_branch.head = L(FCNMaskHead)(in_channels=64, width=32, num_convs=4, crop_size=16)
