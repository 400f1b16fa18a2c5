"""Arguments of the commands for runs of seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from alp_builder.simulate import SceneConfig, simulate_scenes
from pipelines.synthetic_shards import table_of, write_data_set

CONFIGS = Path(__file__).parents[3] / "trainer" / "configs"
SMALL = [
    "text.name=table",
    "text.cache_dir=null",
    "train.loop.max_steps=4",
    "train.loop.checkpoint_every=2",
    "train.loop.average_decay=0.9",
    "data.test.pictures=2",
    "data.test.loader.num_workers=0",
    "data.test.loader.images.short_side=64",
    "data.train.num_workers=0",
    "data.train.masks.batch_size=2",
    "data.train.masks.mapper.augment.short_sides=[64]",
]
OTHER = {
    "fcosmo": ["data.train.alps.mapper.augment.short_sides=[64]"],
    "maskrcnn_alp": ["data.train.alps.mapper.augment.short_sides=[64]"],
    "maskrcnn_box": ["data.train.alps.mapper.mapper.augment.short_sides=[64]"],
}


def changes(place: Path, run: Path, config: str = "fcosmo") -> list[str]:
    data = [
        f"data.world={place}/world",
        f"data.alps={place}/alps",
        f"data.cache={place}/cache",
        f"text.encoders.table.vectors={place}/vectors.npy",
        f"text.encoders.table.names={place}/names.txt",
        f"train.output_dir={run}",
    ]
    other = ["data.train.alps.batch_size=2", *OTHER[config]] if config in OTHER else []
    return [*SMALL, *data, *other]


def command(config: str, *more: str) -> list[str]:
    return ["--config-file", str(CONFIGS / f"{config}_tiny_world.py"), *more]


def make_place(folder: Path) -> None:
    """A world of 15 scenes, ALPs that name its things, and a table of text vectors."""
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
