"""A small simulated world with images, narrated and built: what exports need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from alp_builder.cli.main import main
from alp_builder.reader import AlpDataset, open_alps
from tests.alp_builder.conftest import SMALL_SHARDS, Builder


@dataclass(frozen=True)
class World:
    """Where the images, their COCO file and the ALPs of train and val lie."""

    folder: Path
    alps: AlpDataset

    def coco(self, split: str) -> Path:
        """The COCO file of a split."""
        return self.folder / f"instances_{split}.json"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, build_here: Builder) -> World:
    """Twelve images of train, four of val; image ids of both start at 0."""
    folder = tmp_path_factory.mktemp("export") / "world"
    sizes = ["--train", "12", "--val", "4", "--test", "0", "--workers", "1", "--image-size", "96"]
    assert main(["simulate", "scenes", "--out", str(folder), *sizes]) == 0
    inputs = {}
    for split in ("train", "val"):
        inputs[split] = folder.parent / f"{split}.jsonl"
        spoken = ["--coco", str(folder / f"instances_{split}.json"), "--out", str(inputs[split])]
        assert main(["simulate", "narratives", *spoken]) == 0
    out = folder.parent / "alps"
    build_here(inputs, out, *SMALL_SHARDS, "with_traces=true")
    return World(folder, open_alps(out))
