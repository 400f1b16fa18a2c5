from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from trainer.modeling.text_classifier import DenseTextClassifier, RegionTextClassifier


def test_the_dense_logit_is_scaled_cosine_plus_bias() -> None:
    classifier = DenseTextClassifier(6, 5, scale=20.0, bias=-1.5)
    features, texts = torch.randn(2, 6, 3, 4), F.normalize(torch.randn(7, 5), dim=1)
    logits = classifier(features, texts)
    weight = classifier.projection.weight[:, :, 0, 0]
    for b, c, y, x in [(0, 0, 0, 0), (1, 6, 2, 3), (1, 3, 1, 2)]:
        projected = weight @ features[b, :, y, x] + classifier.projection.bias
        cosine = F.cosine_similarity(projected, texts[c], dim=0)
        assert logits[b, c, y, x].item() == pytest.approx(20 * cosine.item() - 1.5, abs=1e-4)


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
