"""Write `golden_losses.json` anew: `python -m tests.trainer.engine.make_golden`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from tests.trainer.engine.test_loop import GOLDEN, loop, losses
from tests.trainer.tiny import MODELS, alternating

if __name__ == "__main__":
    torch.set_num_threads(1)
    curves = {}
    for kind, make in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            loop(make(), Path(folder)).train(alternating())
            curves[kind] = [round(value, 6) for value in losses(Path(folder))]
    GOLDEN.write_text(json.dumps(curves, indent=1) + "\n")
