"""FCOS-MO's own: averages of positives by source, stock FCOS as oracle, weights at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from detectron2.modeling.meta_arch.fcos import FCOS
from detectron2.structures import Boxes
from detectron2.utils.events import EventStorage

from tests.trainer.tiny import BASE, batch, fcosmo, item
from trainer.modeling.assignment import BACKGROUND, PointTargets
from trainer.modeling.columns import SOURCES
from trainer.modeling.fcosmo import FCOSMO, AlpLosses, centerness_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _storage() -> Iterator[EventStorage]:
    with EventStorage(0) as storage:
        yield storage


def test_each_source_has_its_own_average_of_positives() -> None:
    model = fcosmo(initial_positives=300.0)
    share = model._update_positives("mask", torch.tensor(100))
    assert share.item() == pytest.approx(280)  # 0.9 * 300 + 0.1 * 100
    share = model._update_positives("alp", torch.tensor(10))
    assert share.item() == pytest.approx(271)
    share = model._update_positives("mask", torch.tensor(0))
    assert share.item() == pytest.approx(0.9 * 280 + 0.1 * 1)  # never less than one
    expected = {"mask": 252.1, "alp": 271.0, "box": 300.0}
    assert model.positives.tolist() == pytest.approx([expected[s] for s in SOURCES])


def test_the_average_survives_a_checkpoint() -> None:
    model, other = fcosmo(), fcosmo(seed=1)
    model(batch(0))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.positives, model.positives)


def stock_losses(model: FCOSMO, items: list) -> dict[str, float]:
    """detectron2's own targets and losses on the predictions of our head."""
    images = model.preprocess_image(items)
    pyramid = model.backbone(images.tensor)
    levels = [pyramid[f] for f in model.head_in_features]
    columns = model.columns(items)
    predictions = model.head(levels, columns.embeddings)
    model.num_classes = len(columns)
    logits, deltas, centerness = model._transpose_dense_predictions(
        predictions, [len(columns), 4, 1]
    )
    anchors = model.anchor_generator(levels)
    instances = columns.relabel([i["instances"] for i in items])
    labels, boxes = model.label_anchors(anchors, instances)
    losses = FCOS.losses(model, anchors, logits, labels, deltas, boxes, centerness)
    return {name: value.item() for name, value in losses.items()}


@pytest.mark.parametrize("things", [(2, 3), (0, 4), (0, 0)])
def test_mask_batches_have_the_losses_of_stock_fcos(things: tuple[int, int]) -> None:
    items = [item(i, things=count, size=(128, 160)) for i, count in enumerate(things)]
    model = fcosmo(mask_branch=None, initial_positives=300.0)  # detectron2's fixed start
    ours = {name: value.item() for name, value in model(items).items()}
    stock = stock_losses(model, items)
    assert ours["loss_cls"] == pytest.approx(stock["loss_fcos_cls"], rel=1e-5)
    assert ours["loss_box"] == pytest.approx(stock["loss_fcos_loc"], rel=1e-5, abs=1e-9)
    assert ours["loss_centerness"] == pytest.approx(stock["loss_fcos_ctr"], rel=1e-5, abs=1e-9)


def test_centerness_by_hand() -> None:
    sides = torch.tensor([[2.0, 2.0, 2.0, 2.0], [1.0, 4.0, 4.0, 1.0], [1.0, 1.0, 3.0, 3.0]])
    assert centerness_of(sides).tolist() == pytest.approx([1.0, 0.25, 1 / 3])


def test_the_ring_and_the_option_without_it_reach_the_loss() -> None:
    items = batch(0, "alp")
    for one in items:
        one["instances"].ignore_boxes = Boxes(
            torch.tensor([[0.0, 0.0, 96.0, 64.0]]).repeat(len(one["instances"]), 1)
        )
    with_ring = fcosmo(alp=AlpLosses(ring=True))(items)["loss_cls"]
    without = fcosmo(alp=AlpLosses(ring=False))(items)["loss_cls"]
    assert with_ring < without


def test_quality_weighs_positives() -> None:
    items = batch(0, "alp")
    for one in items:
        one["instances"].scores[:] = 0.0
    model = fcosmo(alp=AlpLosses(by_quality=True))
    plain = fcosmo(alp=AlpLosses())
    assert model(items)["loss_cls"] != plain(items)["loss_cls"]


def test_points_weigh_how_well_their_boxes_agree_with_the_alp() -> None:
    """Each positive point predicts a box of a known size; its weight is the IoU with the ALP's."""
    model = fcosmo(alp=AlpLosses(by_agreement=True))
    column = torch.tensor([[0, BACKGROUND, 1]])
    boxes = torch.tensor([[[0.0, 0.0, 16.0, 16.0], [0.0] * 4, [0.0, 0.0, 8.0, 16.0]]])
    targets = PointTargets(column, boxes, torch.full((1, 3, 2), 0.5))
    anchors = torch.tensor([[4.0, 4.0, 12.0, 12.0]] * 3)  # the centre is (8, 8), a stride 8
    deltas = torch.ones(1, 3, 4)  # one stride to each side: the box (0, 0, 16, 16)
    model._weigh_agreement(targets, deltas, anchors)
    assert targets.weights is not None
    assert targets.weights[0].tolist() == [[0.5, 0.5], [0.5, 0.5], [0.5, 0.25]]


def test_agreement_lowers_the_loss_of_alps_and_of_nothing_else() -> None:
    plain, agreeing = fcosmo(), fcosmo(alp=AlpLosses(by_agreement=True))
    assert agreeing(batch(0, "alp"))["loss_cls"] < plain(batch(0, "alp"))["loss_cls"]
    assert agreeing(batch(0))["loss_cls"] == plain(batch(0))["loss_cls"]


def test_weights_of_losses_are_factors() -> None:
    items = batch(0, "alp")
    one = fcosmo(alp=AlpLosses(classification=1.0, box=1.0, centerness=1.0))(items)
    half = fcosmo(alp=AlpLosses(classification=0.5, box=0.25, centerness=2.0))(items)
    for name, factor in (("loss_cls", 0.5), ("loss_box", 0.25), ("loss_centerness", 2.0)):
        assert half[name].item() == pytest.approx(factor * one[name].item(), rel=1e-5)


def test_points_are_assigned_as_by_hand() -> None:
    """A box of 16 px round (48, 48): points of p3 are 8 px apart from (4, 4) on; four lie inside it."""
    one = item(0, things=1, size=(96, 96))
    one["instances"].gt_boxes = Boxes(torch.tensor([[40.0, 40.0, 56.0, 56.0]]))
    one["instances"].gt_classes = torch.tensor([1])
    model = fcosmo()
    columns = model.columns([one])
    anchors = model.anchor_generator([torch.zeros(1, 1, s, s) for s in (12, 6, 3)])
    targets = model.point_targets("mask", columns, anchors, columns.relabel([one["instances"]]))
    points = Boxes.cat(anchors).get_centers()[targets.positive[0]]
    assert points.tolist() == [[44.0, 44.0], [52.0, 44.0], [44.0, 52.0], [52.0, 52.0]]
    assert targets.column[targets.positive].tolist() == [1] * 4
    assert targets.weights is None


def test_changing_the_vocabulary_changes_the_classes_found() -> None:
    model = fcosmo(score_threshold=0.0).eval()
    items = batch(0, images=1)
    model.set_vocabulary(BASE)
    both = model(items)[0]["instances"]
    model.set_vocabulary(BASE[1:])
    one = model(items)[0]["instances"]
    assert set(both.pred_classes.tolist()) == {0, 1}
    assert set(one.pred_classes.tolist()) == {0}
    best = both.scores[both.pred_classes == 1].max()
    assert one.scores.max().item() == pytest.approx(best.item(), rel=1e-5)
