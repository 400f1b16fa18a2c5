"""Arguments of the commands for runs of seconds."""

from __future__ import annotations

from pathlib import Path

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
