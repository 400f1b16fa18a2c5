"""The loop: golden curves, exact resume, accumulation, clipping, averages, stops."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fvcore.common.param_scheduler import CosineParamScheduler
from torch import nn

from alp_builder.errors import UsageError
from tests.trainer.tiny import MODELS, alternating, batch, fcosmo
from trainer.engine.checkpoint import latest_checkpoint, load_checkpoint
from trainer.engine.loop import Loop, LoopConfig, split_batch
from trainer.engine.nonfinite import NonFiniteError
from trainer.engine.progress import read_metrics

GOLDEN = Path(__file__).with_name("golden_losses.json")
TOLERANCE = 2e-3  # sums differ in order between CPUs; a changed loss differs far more
FIRST, DRIFT = 5, 0.05  # later a tie may fall the other way: the rest holds on average only

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def loop(
    model: nn.Module, folder: Path, evaluate: Any = None, rate: float = 0.02, **changes: Any
) -> Loop:
    config = {"max_steps": 20, "checkpoint_every": 5, "clip_norm": 5.0, **changes}
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    schedule = CosineParamScheduler(1.0, 0.1)
    return Loop(model, optimizer, schedule, LoopConfig(**config), folder, evaluate=evaluate)


def losses(folder: Path) -> list[float]:
    return [float(line["loss"]) for line in read_metrics(folder / "metrics.jsonl")]


def golden_run(kind: str, folder: Path) -> None:
    """Twenty steps at a rate at which rounding does not grow from step to step."""
    loop(MODELS[kind](), folder, rate=0.002).train(alternating())


@pytest.mark.parametrize("kind", MODELS)
def test_golden_curve_of_twenty_steps(kind: str, tmp_path: Path) -> None:
    """Regenerate with `python -m tests.trainer.engine.make_golden` after a change that is meant."""
    golden_run(kind, tmp_path)
    found, expected = losses(tmp_path), json.loads(GOLDEN.read_text())[kind]
    assert found[:FIRST] == pytest.approx(expected[:FIRST], rel=TOLERANCE)
    assert sum(found) == pytest.approx(sum(expected), rel=DRIFT)
    masks = found[::2]
    assert sum(masks[-3:]) < 0.9 * sum(masks[:3])  # and it learns


@pytest.mark.parametrize("kind", MODELS)
def test_a_resumed_run_is_equal_bit_for_bit(kind: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    loop(MODELS[kind](), whole, max_steps=12, average_decay=0.9).train(alternating())

    class Killed(Exception):
        pass

    def until(step: int) -> Iterator[Any]:
        for number, items in enumerate(alternating()):
            if number == step:
                raise Killed
            yield items

    with pytest.raises(Killed):
        loop(MODELS[kind](), parts, max_steps=12, average_decay=0.9).train(until(7))
    resumed = loop(MODELS[kind](seed=99), parts, max_steps=12, average_decay=0.9)
    last = latest_checkpoint(parts)
    assert last is not None
    start = resumed.load_state_dict(load_checkpoint(last))
    assert start == 5
    resumed.train(alternating(start), start)

    assert losses(parts) == losses(whole)
    a, b = (load_checkpoint(latest_checkpoint(f) or f) for f in (whole, parts))
    for key in ("model", "average"):
        assert all(torch.equal(a[key][name], b[key][name]) for name in a[key]), key
    assert a["model"]["backbone.fpn_output3.weight"].abs().sum() > 0


def test_an_average_that_a_resumed_run_adds_begins_with_the_weights(tmp_path: Path) -> None:
    first = loop(fcosmo(), tmp_path)
    second = loop(fcosmo(seed=99), tmp_path, average_decay=0.9)
    second.load_state_dict(first.state_dict(5))
    assert second.average is not None
    averages = second.average.state_dict()
    assert all(torch.equal(averages[n], p) for n, p in first.bare_model.named_parameters())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state["model"].pop("positives"), "does not fit this config's model"),
        (
            lambda state: state["optimizer"]["param_groups"].pop(),
            "does not fit this config's model",
        ),
        (lambda state: state.pop("scaler"), "does not fit this config's model"),
        (
            lambda state: state["info"].update(text="clip"),
            "text encoder clip, the config has minilm",
        ),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_in_one_line(
    change: Any, says: str, tmp_path: Path
) -> None:
    one = loop(fcosmo(), tmp_path)
    one.info = {"text": "minilm"}
    state = copy.deepcopy(one.state_dict(5))
    change(state)
    with pytest.raises(UsageError, match=says) as error:
        one.load_state_dict(state)
    assert "\n" not in str(error.value)


def test_average_counts_of_positives_are_part_of_the_state(tmp_path: Path) -> None:
    model = fcosmo()
    before = model.positives.clone()
    loop(model, tmp_path, max_steps=2).train(alternating())
    saved = load_checkpoint(latest_checkpoint(tmp_path) or tmp_path)["model"]["positives"]
    assert torch.equal(saved, model.positives)
    assert (saved[:2] != before[:2]).all()
    assert saved[2] == before[2]  # no batch of true boxes was seen


def test_parts_of_a_batch_add_up_to_it(tmp_path: Path) -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, items: list[Any]) -> dict[str, torch.Tensor]:
            pixels = torch.stack([i["image"].float().mean((1, 2)) for i in items])
            return {"loss_a": (pixels * self.weight).square().mean()}

    items = batch(0, images=4)
    gradients = []
    for parts in (1, 4):
        model = Mean()
        one = loop(model, tmp_path, accumulate=parts, clip_norm=0.0)
        values, _ = one.step(0, items)
        assert values["loss"] == pytest.approx(values["loss_a"])
        assert model.weight.grad is not None
        gradients.append(model.weight.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize(
    ("images", "parts", "sizes"), [(8, 2, [4, 4]), (5, 2, [2, 3]), (2, 4, [1, 1])]
)
def test_parts_are_nearly_equal_and_none_is_empty(
    images: int, parts: int, sizes: list[int]
) -> None:
    cut = split_batch([{"i": i} for i in range(images)], parts)
    assert [len(part) for part in cut] == sizes
    assert [item["i"] for part in cut for item in part] == list(range(images))


def test_gradients_are_clipped(tmp_path: Path) -> None:
    model = fcosmo()
    loop(model, tmp_path, clip_norm=0.01).step(0, batch(0))
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_layers_that_a_source_does_not_teach_stay_as_they_are(tmp_path: Path) -> None:
    model = fcosmo()
    one = loop(model, tmp_path)
    one.step(0, batch(0))  # masks: momentum is there now
    before = {n: p.clone() for n, p in model.named_parameters()}
    one.step(1, batch(1, "alp"))
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert not any("mask_branch" in name for name in moved)
    assert any("classifier" in name for name in moved)


def test_the_learning_rate_is_a_function_of_the_step(tmp_path: Path) -> None:
    loop(fcosmo(), tmp_path, max_steps=4).train(alternating())
    rates = [line["lr"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    schedule = CosineParamScheduler(1.0, 0.1)
    assert rates == pytest.approx([0.02 * schedule(step / 4) for step in range(4)])


@pytest.mark.parametrize("precision", ["bf16"])
def test_reduced_precision_stays_close(precision: str, tmp_path: Path) -> None:
    curves = []
    for name in ("fp32", precision):
        folder = tmp_path / name
        folder.mkdir()
        loop(fcosmo(), folder, rate=0.002, max_steps=4, precision=name).train(alternating())
        curves.append(losses(folder))
    assert curves[1] == pytest.approx(curves[0], rel=0.1)
    assert curves[1] != curves[0]


def test_evaluation_sees_the_averaged_weights_and_training_gets_its_own_back(
    tmp_path: Path,
) -> None:
    model = fcosmo()
    seen: list[torch.Tensor] = []
    one = loop(
        model,
        tmp_path,
        lambda step: seen.append(model.positives[:1] * 0 + step + _weight(model)),
        max_steps=4,
        evaluate_every=2,
        average_decay=0.5,
    )
    one.train(alternating())
    assert len(seen) == 2
    assert one.average is not None
    averaged = one.average.state_dict()["head.classifier.bias"]
    assert seen[1].item() == pytest.approx(4 + averaged.item())
    assert averaged.item() != _weight(model)
    assert model.training


def _weight(model: Any) -> float:
    return float(model.head.classifier.bias)


@pytest.mark.parametrize("kind", MODELS)
def test_a_loss_that_is_not_finite_stops_and_names_the_image(kind: str, tmp_path: Path) -> None:
    items = batch(0, images=3)
    items[1]["image"] = items[1]["image"].float()
    items[1]["image"][0, 0, 0] = float("nan")
    one = loop(MODELS[kind](), tmp_path)
    with pytest.raises(NonFiniteError, match=r"step 0: the loss is .* with mask_1\.png;") as error:
        one.train(iter([items]))
    assert "\n" not in str(error.value)
    record = json.loads((tmp_path / "nonfinite_step_0000000.json").read_text())
    assert record["failed_alone"]
    assert [image["file_name"] for image in record["images"]] == ["mask_1.png"]
    saved = load_checkpoint(tmp_path / "nonfinite_step_0000000.pt")
    assert saved["step"] == 0
    assert all(torch.isfinite(v).all() for v in saved["model"].values())


def test_a_gradient_that_is_not_finite_stops_before_the_weights_move(tmp_path: Path) -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, items: list[Any]) -> dict[str, torch.Tensor]:
            return {"loss": self.weight.sqrt().sum()}  # finite at 0, its slope is not

    model = Root()
    with pytest.raises(NonFiniteError, match="the gradient is infinite"):
        loop(model, tmp_path).train(iter([batch(0)]))
    assert model.weight.item() == 0
