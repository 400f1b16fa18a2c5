"""How runs go: optimiser, learning rate and loop, at full scale; the tiny configs change a few."""

from typing import Any

import torch
from detectron2.config import LazyCall as L
from detectron2.solver import WarmupParamScheduler
from fvcore.common.param_scheduler import MultiStepParamScheduler

# 90k steps of 16 images are 12.2 epochs of COCO's 118k images; drops at 2/3 and 8/9 of them.
train: Any = dict(
    output_dir="runs/unnamed",
    seed=0,
    device="auto",
    cpu_threads=0,  # of torch on a CPU; 0 leaves it to torch
    init_weights="torchvision://resnet50",
    reference_batch=16,
    loop=dict(
        max_steps=90_000,
        seed="${train.seed}",
        precision="bf16",
        accumulate=1,
        clip_norm=10.0,
        average_decay=0.0,
        checkpoint_every=5_000,
        keep_checkpoints=2,
        evaluate_every=0,
    ),
)

optimizer = L(torch.optim.SGD)(params=None, lr=0.01, momentum=0.9, weight_decay=1e-4)

schedule = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        values=[1.0, 0.1, 0.01], milestones=[60_000, 80_000], num_updates=90_000
    ),
    warmup_factor=0.001,
    warmup_length=1_000 / 90_000,
)
