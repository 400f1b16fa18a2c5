from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.engine.config import construct, load_config
from trainer.evaluation.splits import class_facts, load_split
from trainer.modeling.text_classifier import DenseTextClassifier, RegionTextClassifier
from trainer.modeling.text_encoders import TableEncoder, TextEmbedder

CONFIG = Path(__file__).parents[3] / "trainer" / "configs" / "fcosmo_r50_coco_openimages.py"


def test_the_dense_logit_is_scaled_cosine_plus_bias() -> None:
    classifier = DenseTextClassifier(6, 5, scale=20.0, bias=-1.5)
    features, texts = torch.randn(2, 6, 3, 4), F.normalize(torch.randn(7, 5), dim=1)
    logits = classifier(features, texts)
    weight = classifier.projection.weight[:, :, 0, 0]
    for b, c, y, x in [(0, 0, 0, 0), (1, 6, 2, 3), (1, 3, 1, 2)]:
        projected = weight @ features[b, :, y, x] + classifier.projection.bias
        cosine = F.cosine_similarity(projected, texts[c], dim=0)
        assert logits[b, c, y, x].item() == pytest.approx(20 * cosine.item() - 1.5, abs=1e-4)


@pytest.mark.parametrize("spread", [1.0, 1e3], ids=["even", "ill-conditioned"])
def test_texts_brought_to_features_give_the_logits_of_features_brought_to_texts(
    spread: float,
) -> None:
    """A narrow map takes another way than a wide one: the same values and gradients as the plain formula."""
    torch.manual_seed(0)
    classifier = DenseTextClassifier(8, 24)
    with torch.no_grad():
        classifier.projection.weight *= torch.logspace(0, -math.log10(spread), 8)[:, None, None]
        classifier.projection.bias.normal_(std=0.1)
    features = F.relu(torch.randn(2, 8, 5, 7)).requires_grad_()
    texts = F.normalize(torch.randn(6, 24), dim=1)
    unit = F.normalize(classifier.projection(features), dim=1)
    plain = 50 * torch.einsum("bdhw,cd->bchw", unit, texts) + classifier.bias
    logits = classifier(features, texts)
    torch.testing.assert_close(logits, plain, rtol=1e-4, atol=1e-3)
    weights = torch.randn_like(logits)
    leaves = [features, *classifier.projection.parameters()]
    ours = torch.autograd.grad((logits * weights).sum(), leaves)
    theirs = torch.autograd.grad((plain * weights).sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_a_feature_of_nothing_has_the_bias_as_its_logit() -> None:
    classifier = DenseTextClassifier(4, 6)
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    logits = classifier(features, F.normalize(torch.randn(3, 6), dim=1))
    assert logits.flatten().tolist() == pytest.approx([-4.6] * 12)
    logits.sum().backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_the_region_logit_is_scaled_cosine_and_the_background_is_zero() -> None:
    classifier = RegionTextClassifier(6, 5, scale=50.0)
    features, texts = torch.randn(4, 6), F.normalize(torch.randn(3, 5), dim=1)
    logits = classifier(features, texts)
    cosine = F.cosine_similarity(classifier.projection(features)[:, None], texts[None], dim=2)
    torch.testing.assert_close(logits[:, :3], 50 * cosine)
    assert logits[:, 3].tolist() == [0.0] * 4


def test_the_learned_scale_is_capped() -> None:
    classifier = DenseTextClassifier(4, 4, scale=50.0, max_scale=100.0)
    assert classifier.scale().item() == pytest.approx(50)
    with torch.no_grad():
        classifier.scale.log_scale.fill_(math.log(1000))
    assert classifier.scale().item() == pytest.approx(100)
    classifier.scale().backward()  # a loss that a smaller scale lowers
    slope = classifier.scale.log_scale.grad
    assert slope is not None
    assert slope.item() == pytest.approx(100)


@pytest.mark.parametrize(
    ("learned", "expected"), [(True, {"scale.log_scale", "bias"}), (False, {"bias"})]
)
def test_what_is_learned_beside_the_projection(learned: bool, expected: set[str]) -> None:
    classifier = DenseTextClassifier(4, 4, learn_scale=learned)
    names = {n for n, _ in classifier.named_parameters() if not n.startswith("projection")}
    assert names == expected


def test_detic_s_variant_learns_the_projection_only() -> None:
    names = {n for n, _ in RegionTextClassifier(4, 4).named_parameters()}
    assert names == {"projection.weight", "projection.bias"}


def test_logits_are_float32_under_autocast() -> None:
    classifier = DenseTextClassifier(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = classifier(torch.randn(1, 4, 2, 2), F.normalize(torch.randn(3, 4), dim=1))
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("columns", [0, 1, 1000])
def test_any_number_of_columns(columns: int) -> None:
    texts = F.normalize(torch.randn(columns, 4), dim=1)
    assert DenseTextClassifier(4, 4)(torch.randn(2, 4, 3, 3), texts).shape == (2, columns, 3, 3)
    assert RegionTextClassifier(4, 4)(torch.randn(5, 4), texts).shape == (5, columns + 1)


# ---------------------------------------------------------------- real CLIP vectors


def clip_of_coco(shared_data: Path) -> TextEmbedder:
    """Detic's CLIP ViT-B/32 vectors of COCO's names."""
    vectors = shared_data / "clip_text_embeddings" / "coco_clip_a+cname.npy"
    return TextEmbedder(TableEncoder(vectors, list(class_facts().coco)))


def things(classes: Tensor, mixing: Tensor, each: int, generator: torch.Generator) -> Any:
    """Simulated visual features of things, `each` of a class: mixed, noisy text vectors; labels."""
    labels = torch.arange(len(classes)).repeat(each)
    noise = torch.randn(len(labels), classes.shape[1], generator=generator)
    return (classes[labels] + 0.5 * noise / classes.shape[1] ** 0.5) @ mixing, labels


def logits_of(classifier: Any, features: Tensor, texts: Tensor) -> Tensor:
    if isinstance(classifier, RegionTextClassifier):
        logits: Tensor = classifier(features, texts)[:, :-1]
        return logits
    dense: Tensor = classifier(features[:, :, None, None], texts)[:, :, 0, 0]
    return dense


@pytest.mark.parametrize("kind", [RegionTextClassifier, DenseTextClassifier])
def test_novel_names_score_by_log_odds_what_base_names_taught(
    kind: type[Any], shared_data: Path
) -> None:
    """48 base names teach the projection; the log-odds of 17 novel names then tell novel things.

    The vectors are CLIP's; the things are simulated: an unknown mixture of their name's vector, and
    noise. What is shown is that nothing in the classifier ties it to the names it was trained with.
    """
    embedder, split = clip_of_coco(shared_data), load_split("coco_48_17")
    base, novel = embedder.classes(split.base), embedder.classes(split.novel)
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(512, 256, generator=generator) / 512**0.5
    torch.manual_seed(0)
    classifier = kind(256, 512)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3)
    for _ in range(300):
        features, labels = things(base, mixing, 2, generator)
        target = F.one_hot(labels, len(base)).float()
        logits = logits_of(classifier, features, base)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    with torch.no_grad():
        features, labels = things(novel, mixing, 10, generator)
        logits = logits_of(classifier, features, novel)
        own = logits.gather(1, labels[:, None])[:, 0]
        others = (logits.sum(dim=1) - own) / (len(novel) - 1)
        wrong = logits_of(classifier, features, novel.flip(0))  # the columns follow the names
    assert (own - others).mean() > 2.0  # the odds of the right name are e**2 times a wrong one's
    assert (logits.argmax(dim=1) == labels).float().mean() > 0.4  # by chance 1 in 17
    torch.testing.assert_close(wrong, logits.flip(1))


def test_each_of_the_300_open_images_names_has_a_clip_vector(shared_data: Path) -> None:
    """As the configs have it; Detic's list calls the computer's mouse and the animal the same."""
    folder, cfg = shared_data / "clip_text_embeddings", load_config(CONFIG)
    cfg.text.encoders.table.vectors = str(folder / "oid_clip_a+cname.npy")
    cfg.text.encoders.table.names = str(folder / "oid500_row_order.csv")
    names = load_split("open_images_60_240").classes
    unit = TextEmbedder(construct(cfg.text.encoders.table)).classes(names)
    assert unit.shape == (300, 512)
    same = (unit @ unit.T - torch.eye(300) > 0.9999).nonzero()
    assert {names[i] for i in same.flatten().tolist()} == {"Computer mouse", "Mouse"}
