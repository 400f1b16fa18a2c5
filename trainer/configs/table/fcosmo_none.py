"""A row of the table in miniature: FCOS-MO of masks of base classes only."""

from ..common.table_world import data, masks, optimizer, schedule, text, train, train_loader
from ..common.table_world import fcosmo as model

data.train = train_loader(masks, None, num_workers=0)
train.output_dir = "runs/table/fcosmo_none"
