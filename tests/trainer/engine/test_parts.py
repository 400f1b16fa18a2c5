"""Small parts of the engine: averages, metrics, optimiser, weights of others, configs, results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectron2.config import LazyCall as L
from detectron2.layers import CycleBatchNormList, ShapeSpec, get_norm
from detectron2.structures import Boxes, Instances
from omegaconf import OmegaConf
from pycocotools import mask as mask_utils
from torch import nn
from torchvision.models import resnet18

from alp_builder.errors import UsageError
from tests.trainer.tiny import fcosmo
from trainer.data.augment import AugmentConfig
from trainer.engine.average import WeightAverage
from trainer.engine.build import pick_device
from trainer.engine.config import construct, load_config
from trainer.engine.inference import coco_results
from trainer.engine.optimizer import build_optimizer
from trainer.engine.pictures import MIN_SIDE, draw, save_png
from trainer.engine.progress import Progress, read_metrics
from trainer.engine.weights import from_torchvision, initialise
from trainer.modeling.text_classifier import DenseTextClassifier

CONFIGS = Path(__file__).parents[3] / "trainer" / "configs"


def test_the_average_follows_its_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = WeightAverage(model, decay=0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.state_dict()["weight"].item() == pytest.approx(expected)
    with average.applied():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 512.0
    other = WeightAverage(model, decay=0.5)
    other.load_state_dict(average.state_dict())
    assert torch.equal(other.state_dict()["weight"], average.state_dict()["weight"])


def test_metrics_of_repeated_steps_are_dropped(tmp_path: Path) -> None:
    with Progress(tmp_path, 0, 4) as progress:
        for step in range(3):
            progress.report(step, "mask", {"loss": 1.0 + step}, 0.1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "source": "ma')  # cut by a kill
    with Progress(tmp_path, 2, 4) as progress:
        progress.report(2, "alp", {"loss": 9.0}, 0.1)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [(line["step"], line["loss"]) for line in lines] == [(0, 1.0), (1, 2.0), (2, 9.0)]


def test_a_process_that_does_not_report_writes_nothing(tmp_path: Path) -> None:
    with Progress(None, 0, 1) as progress:
        progress.report(0, "mask", {"loss": 1.0}, 0.1)
        progress.flush()
    assert list(tmp_path.iterdir()) == []


def test_the_rate_scales_with_the_batch_and_norms_are_not_decayed() -> None:
    cfg = OmegaConf.create(
        {
            "optimizer": L(torch.optim.SGD)(params=None, lr=0.01, weight_decay=0.1),
            "train": {"reference_batch": 16},
        },
        flags={"allow_objects": True},
    )
    shared = get_norm("BN", 4)
    cycled = CycleBatchNormList(2, nn.BatchNorm2d, num_features=4)
    model = nn.Sequential(DenseTextClassifier(4, 4), nn.GroupNorm(1, 4), shared, cycled)
    optimizer = build_optimizer(cfg, model, batch_size=4)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert {g["lr"] for g in optimizer.param_groups} == {0.0025}
    assert decay[id(model[0].projection.weight)] == 0.1
    assert decay[id(model[0].scale.log_scale)] == 0
    for norm in model[1:]:
        assert decay[id(norm.weight)] == decay[id(norm.bias)] == 0
    assert len(decay) == len(list(model.parameters()))


def test_torchvision_s_resnet_gets_detectron2_s_names() -> None:
    from detectron2.modeling.backbone import BasicStem, ResNet

    theirs = resnet18(weights=None).state_dict()
    ours = ResNet(BasicStem(norm="BN"), ResNet.make_default_stages(18, norm="BN"), num_classes=None)
    names = {k for k in ours.state_dict() if "num_batches_tracked" not in k}
    renamed = {
        k.removeprefix("backbone.bottom_up."): v for k, v in from_torchvision(theirs).items()
    }
    assert set(renamed) == names
    assert all(renamed[k].shape == ours.state_dict()[k].shape for k in names)


def test_first_weights_are_taken_where_they_fit(tmp_path: Path) -> None:
    model, other = fcosmo(seed=0), fcosmo(seed=1)
    state = other.state_dict()
    state["head.classifier.bias"] = torch.zeros(7)  # of another shape: left out
    torch.save(state, tmp_path / "w.pth")
    taken = initialise(model, str(tmp_path / "w.pth"))
    assert taken == len(state) - 1
    name = "backbone.fpn_output3.weight"
    assert torch.equal(model.state_dict()[name], state[name])
    assert initialise(model, "") == 0
    torch.save({"x": torch.ones(1)}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="none of its 1 tensors fits"):
        initialise(model, str(tmp_path / "x.pth"))
    with pytest.raises(UsageError, match="torchvision has no such model"):
        initialise(model, "torchvision://resnet5000")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda p: p.stem)
def test_every_config_loads_is_short_and_says_its_command(path: Path) -> None:
    if path.stem == "__init__":
        pytest.skip("no config")
    cfg = load_config(path, ["train.seed=7"])
    assert cfg.train.loop.seed == 7
    text = path.read_text()
    assert f"--config-file trainer/configs/{path.name}" in text
    code = text.split('"""')[2]
    assert len(code.strip().splitlines()) <= 25
    assert {"model", "text", "data", "train", "optimizer", "schedule"} <= set(cfg)


@pytest.mark.parametrize(
    ("path", "overrides", "message"),
    [
        ("none.py", [], "no such config"),
        ("x.yaml", [], "expected a Python file"),
        ("fcosmo_tiny_world.py", ["optimiser.lr=1"], "expected key=value with a key of"),
        ("fcosmo_tiny_world.py", ["optimizer.lr"], "expected key=value"),
    ],
)
def test_mistakes_in_a_command_are_told(path: str, overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(CONFIGS / path, overrides)


def keywords(**given: Any) -> dict[str, Any]:
    return given


def test_nodes_are_built_with_plain_lists_and_resolved_references() -> None:
    cfg = OmegaConf.create(
        {
            "side": 32,
            "augment": L(AugmentConfig)(short_sides=("${side}", 64), max_long_side=99),
            "shape": L(keywords)(shapes=[ShapeSpec(channels=4, stride=2)], skipped="???"),
        },
        flags={"allow_objects": True},
    )
    built = construct(cfg.augment, flip=0.25)
    assert built.short_sides[0] == 32
    assert type(built.short_sides) is not type(cfg.augment.short_sides)
    assert built.flip == 0.25
    assert construct(cfg.shape, skipped=1) == {
        "shapes": [ShapeSpec(channels=4, stride=2)],
        "skipped": 1,
    }


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(UsageError, match="sees no GPU"):
        pick_device("cuda")


def detections() -> Instances:
    masks = torch.zeros(2, 4, 6, dtype=torch.bool)
    masks[0, 1:3, 2:5] = True
    return Instances(
        (4, 6),
        pred_boxes=Boxes(torch.tensor([[2.0, 1.0, 5.0, 3.0], [0.0, 0.0, 6.0, 4.0]])),
        scores=torch.tensor([0.9, 0.25]),
        pred_classes=torch.tensor([1, 0]),
        pred_masks=masks,
    )


def test_detections_become_coco_results() -> None:
    first, second = coco_results(7, detections(), [10, 20])
    assert (first["image_id"], first["category_id"], second["category_id"]) == (7, 20, 10)
    assert first["bbox"] == [2.0, 1.0, 3.0, 2.0]
    assert first["score"] == pytest.approx(0.9)
    decoded = mask_utils.decode(first["segmentation"])
    assert decoded.sum() == 6
    assert decoded[1:3, 2:5].all()
    json.dumps([first, second])
    assert coco_results(7, detections()[[False, False]], [10, 20]) == []


def test_pictures_are_drawn_large_enough_to_read(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    picture = draw(pixels, detections(), ["a $x_1$", "b"], threshold=0.5)
    assert min(picture.shape[:2]) >= MIN_SIDE
    assert picture.any()
    save_png(tmp_path / "new" / "x.png", picture)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.png"]
