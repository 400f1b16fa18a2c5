"""Trainer tests need torch and detectron2; where they are not installed the folder is passed over."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

MISSING = [name for name in ("torch", "detectron2", "hotcoco") if find_spec(name) is None]

collect_ignore_glob = ["*"] if MISSING else []

if MISSING:
    warnings.warn(f"trainer tests are skipped: {', '.join(MISSING)} not installed", stacklevel=1)
