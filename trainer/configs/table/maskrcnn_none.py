"""A row of the table in miniature: Mask R-CNN* of masks of base classes only."""

from ..common.table_world import data, masks, optimizer, schedule, text, train, train_loader
from ..common.table_world import maskrcnn as model

data.train = train_loader(masks, None, num_workers=0)
train.output_dir = "runs/table/maskrcnn_none"
