from __future__ import annotations

import numpy as np
import pytest
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from alp_builder.simulate.drawings import BODY
from alp_builder.simulate.shapes import EDGE, SHAPES, shape, silhouette
from alp_builder.simulate.vocabulary import CLASSES


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_fills_its_frame_and_can_be_bent(name: str) -> None:
    x0, y0, x1, y1 = silhouette(name).bounds
    assert max(x1 - x0, y1 - y0) == pytest.approx(2.0, abs=1e-6)
    assert (x0 + x1) / 2 == pytest.approx(0, abs=1e-6)
    assert (y0 + y1) / 2 == pytest.approx(0, abs=1e-6)
    rings = [ring for part in shape(name) for ring in part.rings]
    assert max(np.hypot(*np.diff(ring, axis=0).T).max() for ring in rings) <= EDGE + 1e-9
    assert any(part.role == BODY for part in shape(name)), "no part takes the thing's colour"


def test_there_are_enough_classes_and_their_names_are_apart() -> None:
    assert len(CLASSES) >= 24
    assert len({kind.name for kind in CLASSES}) == len(CLASSES)
    assert [kind.category_id for kind in CLASSES] == list(range(1, len(CLASSES) + 1))
    assert {kind.shape for kind in CLASSES} == set(SHAPES)


def test_a_compositional_novel_class_is_made_of_what_base_classes_show() -> None:
    base = [kind for kind in CLASSES if not kind.is_novel]
    composed = [kind for kind in CLASSES if kind.is_novel and kind.pattern]
    assert len(composed) >= 3
    for kind in composed:
        assert kind.pattern in {other.pattern for other in base}
        assert kind.shape in {other.shape for other in base}


def best_overlap(one: BaseGeometry, other: BaseGeometry) -> float:
    """Largest IoU of two silhouettes of the same box, over quarter turns and mirroring."""
    best = 0.0
    for mirror in (1, -1):
        for turn in (0, 90, 180, 270):
            moved = affinity.rotate(affinity.scale(other, mirror, 1, origin=(0, 0)), turn)
            x0, y0, x1, y1 = moved.bounds
            moved = affinity.translate(moved, -(x0 + x1) / 2, -(y0 + y1) / 2)
            best = max(best, one.intersection(moved).area / one.union(moved).area)
    return best


def test_some_novel_shapes_resemble_no_base_shape() -> None:
    base = {kind.shape for kind in CLASSES if not kind.is_novel}
    novel = {kind.shape for kind in CLASSES if kind.is_novel} - base
    overlap = {
        name: max(best_overlap(silhouette(name), silhouette(other)) for other in base)
        for name in novel
    }
    apart = [name for name, value in overlap.items() if value < 0.6]
    assert len(apart) >= 5, overlap
