"""A row of the table in miniature: FCOS-MO of base masks and ALPs, by turns."""

from ..common.table_world import alps, data, masks, optimizer, schedule, text, train, train_loader
from ..common.table_world import fcosmo as model

data.train = train_loader(masks, alps, num_workers=0)
train.output_dir = "runs/table/fcosmo_alps"
