"""The shared backbone: what it may see, that it repeats and resumes, and that every row can start from it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("detectron2")

import torch
from safetensors.torch import load_file

from alp_builder.simulate import SceneConfig, simulate_scenes
from pipelines.table.plan import CONFIGS
from pipelines.table.pretrain import UNNAMED, batches, label_map, pretrain
from tests.pipelines.table.conftest import ROOT
from trainer.engine.build import build_embedder, build_model
from trainer.engine.config import construct, load_config
from trainer.engine.weights import initialise
from trainer.evaluation.splits import load_split

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table") / "world"
    simulate_scenes(SceneConfig(train=24, val=1, test=1, image_size=96), folder, progress=False)
    return folder


def _config(world: Path, name: str = "fcosmo_none", *changes: str) -> Any:
    cfg = load_config(
        ROOT / CONFIGS / f"{name}.py",
        [
            f"data.world={world}",
            f"data.cache={world.parent / 'cache'}",
            "train.device=cpu",
            *changes,
        ],
    )
    for source in (cfg.data.train.masks, cfg.data.train.alps):
        if source is not None:
            source.batch_size = 2
    return cfg


def test_only_base_things_are_named(world: Path) -> None:
    cfg = _config(world)
    records = construct(cfg.data.train.masks.records)
    split = load_split(world / "split.json")
    assert records.classes == split.base
    assert not set(records.classes) & set(split.novel)
    crops, images = itertools.islice(batches(cfg, records, 0), 2)
    assert int(crops[0]["labels"].max()) < len(split.base)
    labels = label_map(images[0]["instances"])
    assert labels.shape == images[0]["image"].shape[1:]
    named = labels[labels != UNNAMED].unique().tolist()
    assert named == images[0]["instances"].gt_classes.unique().tolist()
    assert bool((labels == UNNAMED).any())


def test_batches_repeat_and_go_on_anywhere(world: Path) -> None:
    cfg = _config(world)
    records = construct(cfg.data.train.masks.records)
    whole = list(itertools.islice(batches(cfg, records, 0), 5))
    later = list(itertools.islice(batches(cfg, records, 3), 2))
    assert torch.equal(whole[3][0]["image"], later[0][0]["image"])
    assert torch.equal(whole[4][0]["crops"], later[1][0]["crops"])
    assert torch.equal(whole[4][0]["labels"], later[1][0]["labels"])


def test_every_row_starts_from_it(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "backbone.safetensors"
    pretrain(_config(world), out, tmp_path / "run", steps=2)
    weights = load_file(out)
    assert weights
    assert all(name.startswith("backbone.") for name in weights)
    split = load_split(world / "split.json")
    for name in ("fcosmo_none", "maskrcnn_none"):
        cfg = _config(world, name, f"text.cache_dir={tmp_path / 'text'}")
        model = build_model(cfg, build_embedder(cfg), split.base, split.classes)
        assert initialise(model, str(out)) == len(weights)
        own = {k for k in model.state_dict() if k.startswith("backbone.")}
        assert own == set(weights)
