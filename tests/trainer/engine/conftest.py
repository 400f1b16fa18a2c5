"""A small world to run the commands on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from alp_builder.simulate import SceneConfig, simulate_scenes
from pipelines.synthetic_shards import table_of, write_data_set


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of 15 scenes, ALPs that name its things, and a table of text vectors."""
    folder = tmp_path_factory.mktemp("commands")
    scenes = SceneConfig(train=8, val=2, test=5, image_size=64, min_things=2, max_things=3)
    simulate_scenes(scenes, folder / "world", progress=False)
    truth = json.loads((folder / "world" / "instances_train.json").read_text())
    names = {c["id"]: c["name"] for c in truth["categories"]}
    rows = []
    for thing in truth["annotations"]:
        x, y, w, h = (side / 64 for side in thing["bbox"])
        name = names[thing["category_id"]]
        rows.append(
            {
                "dataset_id": "simulated_world_train",
                "image_id": str(thing["image_id"]),
                "phrase_text": name,
                "head_lemma": name.split()[-1],
                "x0": max(x, 0.0),
                "y0": max(y, 0.0),
                "x1": min(x + w, 1.0),
                "y1": min(y + h, 1.0),
            }
        )
    write_data_set(folder / "alps", [table_of(rows)], count=1, split="train")
    vectors = torch.randn(len(names), 8, generator=torch.Generator().manual_seed(0))
    (folder / "names.txt").write_text("\n".join(names.values()))
    np.save(folder / "vectors.npy", vectors.numpy())
    return folder


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
