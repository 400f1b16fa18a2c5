"""A study of the table: FCOS-MO of masks of base classes only, its points on strides 8 to 32."""

from ..common.backbones import level_shapes
from ..common.table_world import data, masks, optimizer, schedule, text, train, train_loader
from ..common.table_world import fcosmo as model

data.train = train_loader(masks, None, num_workers=0)
model.head_in_features = ["p3", "p4", "p5"]
model.head.input_shape = level_shapes(64, [8, 16, 32])
