"""A small simulated world that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.simulate import SceneConfig, simulate_scenes


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of 220 small simulated scenes."""
    out = tmp_path_factory.mktemp("world") / "world"
    config = SceneConfig(seed=5, train=200, val=12, test=8, image_size=128)
    simulate_scenes(config, out, progress=False)
    return out
