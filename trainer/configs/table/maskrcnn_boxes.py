"""A row of the table in miniature: Mask R-CNN* of base masks and true boxes of all classes, by turns."""

from ..common.table_world import boxes, data, masks, optimizer, schedule, text, train, train_loader
from ..common.table_world import maskrcnn as model

data.train = train_loader(masks, boxes, num_workers=0)
train.output_dir = "runs/table/maskrcnn_boxes"
