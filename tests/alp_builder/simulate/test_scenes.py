from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageFilter
from shapely.geometry import Polygon
from shapely.ops import unary_union

from alp_builder.simulate.config import SceneConfig
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.scenes import Scene, _outline, draw_scene, draw_sprite
from alp_builder.simulate.shapes import shape
from alp_builder.simulate.vocabulary import CLASSES, WorldClass

PLAIN = SceneConfig(image_size=160, shadow=0.0, grain=0, clutter=4, repeat_rate=0.0)


def outline_area(kind: WorldClass, side: float) -> float:
    """Area in pixels of the vector shape that `draw_sprite` rasterises from the same numbers."""
    rings, _ = _outline(kind, side, Dice(generator("area", kind.name)))
    polygons: list[Polygon] = []
    for part, outlines in zip(shape(kind.shape), rings, strict=True):
        for ring, hole in zip(outlines, part.is_hole, strict=True):
            piece = Polygon(ring).buffer(0)
            if hole:
                polygons[-1] = polygons[-1].difference(piece)
            else:
                polygons.append(piece)
    return float(unary_union(polygons).area)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.name)
def test_a_mask_has_the_area_of_the_vector_shape(kind: WorldClass) -> None:
    dice = Dice(generator("area", kind.name))
    sprite = draw_sprite(kind, "red", 150.0, 0.3, dice)
    expected = outline_area(kind, 150.0)
    # Pillow draws a polygon's border too: half a subpixel all round.
    assert sprite.mask.sum() == pytest.approx(expected, rel=0.09)
    assert float(sprite.coverage.sum()) == pytest.approx(expected, rel=0.09)


def grown(mask: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.MaxFilter(3))) > 0


def scene_of(things: int, index: int) -> Scene:
    config = msgspec.structs.replace(PLAIN, min_things=things, max_things=things)
    return draw_scene(config, "train", index)


@pytest.mark.parametrize("index", range(12))
def test_one_more_thing_changes_the_pixels_of_its_mask_and_no_others(index: int) -> None:
    before, after = scene_of(4, index), scene_of(5, index)
    if len(after.kinds) == len(before.kinds):
        assert np.array_equal(before.image, after.image), "no place was found, nothing is drawn"
        return
    new = len(after.kinds) - 1
    mask = after.owner == new
    changed = (before.image.astype(int) != after.image).any(axis=2)
    assert not (changed & ~grown((mask * 255).astype(np.uint8))).any(), "drawn outside its mask"
    assert changed[mask].mean() > 0.97, "owned but not drawn"
    # The one drawn last lies on top: elsewhere every pixel keeps its owner.
    assert np.array_equal(after.owner[~mask], before.owner[~mask])


@pytest.mark.parametrize("index", range(10))
def test_things_stay_visible_and_within_scale(index: int) -> None:
    config = SceneConfig(image_size=160)
    scene = draw_scene(config, "val", index)
    assert 1 <= len(scene.kinds) <= config.max_things
    for thing in range(len(scene.kinds)):
        rows, columns = np.nonzero(scene.owner == thing)
        assert len(rows) >= 24
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert extent <= config.max_scale * config.image_size + 2


def test_a_scene_depends_on_seed_split_and_index_only() -> None:
    config = SceneConfig(image_size=64)
    one = draw_scene(config, "train", 7)
    draw_scene(config, "train", 8)
    assert np.array_equal(one.image, draw_scene(config, "train", 7).image)
    more = msgspec.structs.replace(config, train=99_999, val=1)
    assert np.array_equal(one.image, draw_scene(more, "train", 7).image)
    for other in (
        draw_scene(config, "val", 7),
        draw_scene(config, "train", 9),
        draw_scene(msgspec.structs.replace(config, seed=1), "train", 7),
    ):
        assert not np.array_equal(one.image, other.image)
