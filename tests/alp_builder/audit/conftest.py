"""A small simulated world, narrated without noise and with it, and the ALPs of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from alp_builder import read_alps
from alp_builder.audit.coco import CocoTruth, read_truth
from alp_builder.audit.matching import Matches, match
from alp_builder.audit.names import CategoryNames
from alp_builder.simulate import (
    SceneConfig,
    find_profile,
    simulate_narratives,
    simulate_scenes,
    truth_path,
)
from tests.alp_builder.conftest import Builder


@dataclass(frozen=True)
class Narrated:
    """Narratives of the world, ALPs and truth."""

    folder: Path
    coco_json: Path
    truth_file: Path
    classes: Path
    narratives: Path
    table: pa.Table
    coco: CocoTruth
    matches: Matches


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of 60 small simulated scenes."""
    out = tmp_path_factory.mktemp("audited") / "world"
    config = SceneConfig(seed=3, train=60, val=0, test=0, image_size=128)
    simulate_scenes(config, out, progress=False)
    return out


def _narrate(scenes: Path, profile: str, build_here: Builder) -> Narrated:
    narratives = scenes.parent / f"{profile}.jsonl"
    coco_json = scenes / "instances_train.json"
    simulate_narratives(coco_json, find_profile(profile), narratives, progress=False)
    folder = scenes.parent / f"alps_{profile}"
    build_here(narratives, folder)
    coco, table = CocoTruth(coco_json), read_alps(folder)
    truth = read_truth(truth_path(narratives))
    matches = match(table, coco, CategoryNames(coco.names, coco.plurals), truth)
    return Narrated(
        folder,
        coco_json,
        truth_path(narratives),
        scenes / "split.json",
        narratives,
        table,
        coco,
        matches,
    )


@pytest.fixture(scope="session")
def clean(scenes: Path, build_here: Builder) -> Narrated:
    """Narrated without noise."""
    return _narrate(scenes, "clean", build_here)


@pytest.fixture(scope="session")
def noisy(scenes: Path, build_here: Builder) -> Narrated:
    """Narrated with the noise of real narratives."""
    return _narrate(scenes, "vidln", build_here)
