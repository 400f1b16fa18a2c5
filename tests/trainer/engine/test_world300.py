"""The 300-class world from a font to figures under names and synonyms; its full configs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alp_builder.simulate import EmojiConfig, find_profile, simulate_narratives, simulate_scenes
from alp_builder.simulate.emoji_classes import emoji_classes, emoji_synonyms
from tests.alp_builder.simulate.emoji_font import disc, write_font
from tests.trainer.engine.commands import CONFIGS
from tests.trainer.tiny import HashEmbedder
from trainer import train
from trainer.engine.build import build_model
from trainer.engine.config import load_config
from trainer.engine.progress import read_metrics

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world300")
    classes = emoji_classes()
    font = write_font(
        folder / "emoji.ttf", [kind.shape for kind in classes], [disc(i) for i in range(300)]
    )
    scenes = EmojiConfig(train=16, val=1, test=2, image_size=64, min_things=3, max_things=5)
    simulate_scenes(scenes, folder / "world", progress=False, emoji_font=str(font))
    world, said = folder / "world", folder / "narratives.jsonl"
    simulate_narratives(world / "instances_train.json", find_profile("coco"), said, progress=False)
    names = [*(kind.name for kind in classes), *emoji_synonyms().values()]
    rng = np.random.default_rng(0)
    np.save(folder / "vectors.npy", rng.normal(size=(len(names), 8)).astype(np.float32))
    (folder / "names.txt").write_text("\n".join(names))
    return folder


def test_the_tiny_config_trains_and_is_scored_under_names_and_synonyms(
    place: Path, tmp_path: Path
) -> None:
    pytest.importorskip("spacy")
    from alp_builder.cli.main import main

    alps = place / "alps"
    build = ["build", str(place / "narratives.jsonl"), "--out", str(alps), "--split", "train"]
    assert main(build) == 0
    changes = [
        f"data.world={place}/world", f"data.alps={alps}", f"data.cache={tmp_path}/cache",
        "text.name=table", "text.cache_dir=null", "train.loop.max_steps=1",
        f"text.encoders.table.vectors={place}/vectors.npy",
        f"text.encoders.table.names={place}/names.txt", f"train.output_dir={tmp_path}/run",
        "data.test.loader.num_workers=0", "data.test.loader.images.short_side=64",
        "data.train.num_workers=0", "data.train.masks.batch_size=2", "data.test.pictures=0",
        "data.train.masks.mapper.augment.short_sides=[64]", "model.max_detections=5",
    ]  # fmt: skip
    config = str(CONFIGS / "fcosmo_world300_tiny.py")
    assert train.main(["--config-file", config, *changes]) == 0
    assert len(read_metrics(tmp_path / "run" / "metrics.jsonl")) == 1
    out = tmp_path / "run" / "evaluation_0000001"
    metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    assert metrics["renaming"]["classes"] == 300
    for name in ("masks", "boxes", "masks_synonyms", "boxes_synonyms"):
        assert set(metrics[name]["AP50"]) == {"base", "novel", "all"}
        assert (metrics[name]["protocol"], metrics[name]["images"]) == ("open_images", 2)


@pytest.mark.parametrize(
    ("config", "millions"), [("fcosmo_world300", 18.5), ("maskrcnn_alp_world300", 20.5)]
)
def test_the_full_configs_build(config: str, millions: float) -> None:
    cfg = load_config(CONFIGS / f"{config}.py", ["text.dim=16"])
    assert cfg.data.train.masks.batch_size == cfg.data.train.alps.batch_size == 32
    assert str(cfg.data.test.names) == "data/world300/synonyms.json"
    cfg.text.dim = 16
    model = build_model(cfg, HashEmbedder(), ("dog",), ("dog", "cat"))
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    assert parameters == pytest.approx(millions, rel=0.2)
