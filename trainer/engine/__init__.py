"""The training engine: loop, checkpoints, progress, and the little that is distributed."""
