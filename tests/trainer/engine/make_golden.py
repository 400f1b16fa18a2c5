"""Write `golden_losses.json` anew: `python -m tests.trainer.engine.make_golden`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from tests.trainer.engine.test_loop import GOLDEN, golden_run, losses
from tests.trainer.tiny import MODELS

if __name__ == "__main__":
    torch.set_num_threads(1)
    curves = {}
    for kind in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            golden_run(kind, Path(folder))
            curves[kind] = [round(value, 6) for value in losses(Path(folder))]
    GOLDEN.write_text(json.dumps(curves, indent=1) + "\n")
