"""Steps are compared on the same batches; figures are never asserted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("detectron2", reason="the training benchmark needs what trains")

from detectron2.modeling.meta_arch.fcos import FCOS

from pipelines import bench_train
from pipelines.bench_loader import simulated_images
from pipelines.bench_steps import StepConfig, compare, our_model, read_batches, stock_model
from trainer.modeling.fcosmo import FCOSMO
from trainer.modeling.hourglass import FCNMaskHead, count_parameters

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

CONFIG = StepConfig(short_side=64, batch=2, batches=2, rounds=3)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return simulated_images(tmp_path_factory.mktemp("bench") / "scenes", scenes=4)


class Counter(nn.Module):
    """A model that remembers which images it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[list[int]] = []

    def forward(self, batch: list[Any]) -> dict[str, torch.Tensor]:
        self.seen.append([item["image_id"] for item in batch])
        return {"loss": (self.weight - 1.0) ** 2}


def test_both_sides_train_on_the_same_batches(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    batches = read_batches(*scenes, tmp_path, CONFIG)
    assert [len(batch) for batch in batches] == [2, 2]
    assert all(min(item["image"].shape[1:]) == 64 for batch in batches for item in batch)
    ours, stock = Counter(), Counter()
    found = compare(lambda: ours, lambda: stock, batches, CONFIG)
    assert ours.seen == stock.seen
    assert len(ours.seen) == len(batches) + CONFIG.rounds * CONFIG.steps
    assert ours.weight.item() > 0  # the optimiser's step is part of a step
    assert set(found) == {"ours", "detectron2", "ratio"}
    assert np.isfinite(list(found.values())).all()


def test_the_pairs_differ_in_the_detector_alone() -> None:
    ours, stock = our_model("fcosmo", None), stock_model("fcosmo")
    assert isinstance(ours, FCOSMO)
    assert type(stock) is FCOS
    assert ours.mask_branch is None
    assert len(ours.columns.base_names) == stock.num_classes == 80
    assert count_parameters(ours.backbone) == count_parameters(stock.backbone)
    head = our_model("maskrcnn_ov", "plain").roi_heads.mask_branch.head
    theirs = stock_model("maskrcnn_ov").roi_heads.mask_head
    assert isinstance(head, FCNMaskHead)
    assert (head.crop_size, len([m for m in head.modules() if isinstance(m, nn.Conv2d)])) == (14, 5)
    assert len(theirs.conv_norm_relus) == 4


def test_the_figures_of_all_parts_end_in_one_file(
    scenes: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = {"ours": 2.0, "detectron2": 4.0, "ratio": 0.5}
    parts = {"fcos": seconds, "maskrcnn": seconds, "maskrcnn_hourglass": seconds}
    monkeypatch.setattr(bench_train, "bench_steps", lambda *_: parts)
    monkeypatch.setattr(bench_train, "bench_classes", lambda *a: {str(n): n / 80 for n in a[-1]})
    monkeypatch.setattr(bench_train, "bench_loaders", lambda *_: {"ratio": 1.25})
    monkeypatch.setattr(
        bench_train, "bench_memory", lambda n: {k: {"anonymous_mb": 3.0} for k in n}
    )
    monkeypatch.setattr(bench_train, "bench_evaluation", lambda: {"ratio": 8.0})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    given = ["--images", str(scenes[0]), "--annotations", str(scenes[1]), "--device", "cuda"]
    assert bench_train.main([*given, "--alps", "10", "--json", str(tmp_path / "o.json")]) == 0
    assert json.loads((tmp_path / "o.json").read_text()) == {
        "fcos_step_vs_detectron2": 0.5,
        "maskrcnn_step_vs_detectron2": 0.5,
        "maskrcnn_hourglass_step_vs_detectron2": 0.5,
        "step_by_classes": {"80": 1.0, "320": 4.0, "1280": 16.0},
        "loader_vs_detectron2": 1.25,
        "alp_rss_mb": {"10": 3.0},
        "eval_vs_pycocotools": 8.0,
    }
    assert "skipped: full FCOS-MO R-50 HG-52" in capsys.readouterr().out
    assert bench_train.main(["--images", "x"]) == 2
    assert "belong together" in capsys.readouterr().err
