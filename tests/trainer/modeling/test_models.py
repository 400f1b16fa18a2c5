"""What both models must do: learn from each source, stand anything a data set holds, detect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from detectron2.structures import Boxes
from detectron2.utils.events import EventStorage

from alp_builder.errors import UsageError
from tests.trainer.tiny import BASE, MODELS, batch, columns, item
from trainer.modeling.fcosmo import AlpLosses
from trainer.modeling.maskrcnn import AlpRegionLosses

FULL = {
    "fcosmo": AlpLosses(box=0.5, centerness=1.0, by_quality=True),
    "maskrcnn": AlpRegionLosses(box=0.5, proposal_box=0.5, by_quality=True),
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _storage() -> Iterator[None]:
    with EventStorage(0):
        yield


def losses_of(model: Any, items: list[Any]) -> dict[str, float]:
    torch.manual_seed(0)
    losses = model(items)
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    return {name: value.item() for name, value in losses.items()}


def assert_finite(losses: dict[str, float]) -> None:
    assert losses
    assert all(torch.isfinite(torch.tensor(v)) for v in losses.values()), losses


@pytest.mark.parametrize("kind", MODELS)
def test_masks_teach_everything(kind: str) -> None:
    model = MODELS[kind]()
    losses = losses_of(model, batch(0))
    assert_finite(losses)
    assert all(value > 0 for value in losses.values())
    assert {"loss_cls", "loss_box", "loss_mask"} <= set(losses)
    still = {n for n, p in model.named_parameters() if p.grad is None}
    assert {n for n in still if "fpn_output5" not in n} == set()  # the tiny R-CNN ends at p4


@pytest.mark.parametrize("kind", MODELS)
def test_alps_teach_no_masks_and_by_default_no_boxes(kind: str) -> None:
    model = MODELS[kind]()
    losses = losses_of(model, batch(0, "alp"))
    expected = {"fcosmo": {"loss_cls"}, "maskrcnn": {"loss_cls", "loss_rpn_cls"}}
    assert set(losses) == expected[kind]
    untouched = [n for n, p in model.named_parameters() if p.grad is None]
    kept = ("mask_branch", "bbox", "ctrness", "anchor_deltas", "fpn_lateral2", "fpn_output")
    assert [n for n in untouched if not any(name in n for name in kept)] == []
    assert any("mask_branch" in n for n in untouched)


@pytest.mark.parametrize("kind", MODELS)
def test_alps_teach_boxes_where_asked(kind: str) -> None:
    losses = losses_of(MODELS[kind](alp=FULL[kind]), batch(0, "alp"))
    assert "loss_box" in losses
    assert losses["loss_box"] > 0


@pytest.mark.parametrize("kind", MODELS)
def test_common_phrases_add_to_the_class_loss_of_masks_by_their_weight(kind: str) -> None:
    def loss(weight: float, things: int = 3) -> float:
        known = columns(known_weight=weight, common_phrases=(("star", "star"), ("moon", "moon")))
        items = [item(0, things=things), item(1, things=things)]
        return losses_of(MODELS[kind](columns=known), items)["loss_cls"]

    plain = loss(0.0)
    assert loss(1.0) > plain
    assert loss(1.0) - plain == pytest.approx(2 * (loss(0.5) - plain), rel=1e-3)
    assert loss(1.0, things=0) == pytest.approx(loss(0.0, things=0), rel=1e-6)  # no thing, no word


@pytest.mark.parametrize("kind", MODELS)
def test_phrases_of_base_classes_left_to_the_masks_teach_no_names(kind: str) -> None:
    items = batch(0, "alp")
    everything = sorted({phrase for one in items for phrase in one["phrases"]})
    left = columns(base_names=everything, base_phrases=False)
    losses = losses_of(MODELS[kind](columns=left), items)
    assert losses["loss_cls"] == 0
    assert sum(losses.values()) > 0 or kind == "fcosmo"  # proposals learn from their boxes
    some = columns(base_names=everything[:1], base_phrases=False)
    assert losses_of(MODELS[kind](columns=some), items)["loss_cls"] > 0


@pytest.mark.parametrize("kind", MODELS)
def test_true_boxes_teach_all_but_masks(kind: str) -> None:
    model = MODELS[kind](columns=columns(box_names=(*BASE, "star")))
    losses = losses_of(model, batch(0, "box"))
    assert "loss_box" in losses
    assert "loss_mask" not in losses


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("source", ["mask", "alp", "box"])
def test_images_without_annotations(kind: str, source: str) -> None:
    half_empty = [item(1, source), item(2, source, things=0)]
    empty = [item(1, source, things=0), item(2, source, things=0)]
    for items in (half_empty, empty):
        assert_finite(losses_of(MODELS[kind](alp=FULL[kind]), items))


@pytest.mark.parametrize("kind", MODELS)
def test_sizes_not_divisible_by_32_and_all_different(kind: str) -> None:
    items = [item(1, size=(33, 65)), item(2, size=(97, 50))]
    assert_finite(losses_of(MODELS[kind](), items))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("source", ["mask", "alp"])
def test_degenerate_boxes(kind: str, source: str) -> None:
    items = batch(0, source)
    boxes = items[0]["instances"].gt_boxes.tensor
    boxes[0] = torch.tensor([5.0, 5.0, 5.0, 20.0])  # no width
    boxes[1] = torch.tensor([20.0, 20.0, 10.0, 10.0])  # inside out
    assert_finite(losses_of(MODELS[kind](alp=FULL[kind]), items))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("count", [1, 1000])
def test_one_class_and_a_thousand(kind: str, count: int) -> None:
    names = [f"class {i}" for i in range(count)]
    model = MODELS[kind](columns=columns(base_names=names))
    items = batch(0)
    for one in items:
        one["instances"].gt_classes.clamp_(max=count - 1)
    assert_finite(losses_of(model, items))
    model.eval()
    model.set_vocabulary(names)
    assert len(model(items)) == 2


@pytest.mark.parametrize("kind", MODELS)
def test_a_thousand_phrases(kind: str) -> None:
    items = batch(0, "alp")
    for i, one in enumerate(items):
        more = [f"thing {i} {k}" for k in range(500)]
        one["phrases"] += more
        one["phrase_heads"] += more
    assert_finite(losses_of(MODELS[kind](), items))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_pixels_that_are_not_finite_show_in_the_loss_and_not_at_inference(
    kind: str, bad: float
) -> None:
    model = MODELS[kind]()
    items = batch(0, images=1)
    items[0]["image"] = items[0]["image"].float()
    items[0]["image"][:, 3, 3] = bad
    try:
        total = sum(model(items).values())
    except FloatingPointError:  # detectron2's proposals say it this way
        total = torch.tensor(bad)
    assert not torch.isfinite(total)
    model.eval()
    model.set_vocabulary(BASE)
    assert torch.isfinite(model(items)[0]["instances"].scores).all()


@pytest.mark.parametrize("kind", MODELS)
def test_detections_fit_the_file_s_size_and_the_vocabulary(kind: str) -> None:
    model = MODELS[kind]().eval()
    for module in model.modules():  # let an untrained model report something
        for name in ("test_score_thresh",):
            if hasattr(module, name):
                setattr(module, name, 0.0)
    model.set_vocabulary(("lamp", "red disc", "box"))
    one = item(3) | {"height": 128, "width": 192}
    (output,) = model([one])
    found = output["instances"]
    assert len(found) > 0
    assert found.image_size == (128, 192)
    assert found.pred_masks.shape == (len(found), 128, 192)
    assert found.pred_classes.max() < 3
    assert isinstance(found.pred_boxes, Boxes)
    assert found.pred_boxes.nonempty().all()
    assert (found.scores >= 0).all()
    assert (found.scores <= 1).all()


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_without_masks_detects_boxes(kind: str) -> None:
    change = {"mask_branch": None}
    model = MODELS[kind](**change) if kind == "fcosmo" else MODELS[kind]()
    if kind == "maskrcnn":
        model.roi_heads.mask_branch = None
    assert "loss_mask" not in losses_of(model, batch(0))
    model.eval()
    model.set_vocabulary(BASE)
    assert not model(batch(0))[0]["instances"].has("pred_masks")


@pytest.mark.parametrize("kind", MODELS)
def test_the_vocabulary_must_be_set_and_be_sensible(kind: str) -> None:
    model = MODELS[kind]().eval()
    with pytest.raises(UsageError, match="set_vocabulary"):
        model(batch(0))
    with pytest.raises(UsageError, match="at least one"):
        model.set_vocabulary(())
    with pytest.raises(UsageError, match="given twice: box"):
        model.set_vocabulary(("box", "disc", "box"))
