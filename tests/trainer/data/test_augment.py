from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.errors import UsageError
from trainer.data.augment import AugmentConfig, Resize, draw_transforms, mirrored_text, resized


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("man on the left", "man on the right"),
        ("Left hand", "Right hand"),
        ("RIGHT SIDE", "LEFT SIDE"),
        ("leftmost of two cars", "rightmost of two cars"),
        ("right-hand side", "left-hand side"),
        ("left and right shoe", "right and left shoe"),
        ("bright leftover copyright", "bright leftover copyright"),
        ("upright piano", "upright piano"),
        ("dog", "dog"),
    ],
)
def test_left_and_right_are_swapped(text: str, mirrored: str) -> None:
    assert mirrored_text(text) == mirrored
    assert mirrored_text(mirrored) == text


@given(st.text(alphabet="leftrigh -'LR", max_size=40))
def test_mirrored_twice_is_the_same(text: str) -> None:
    assert mirrored_text(mirrored_text(text)).casefold() == text.casefold()


def test_resized_keeps_the_limits() -> None:
    assert resized(480, 640, 800, 1333) == (800, 1067)
    assert resized(300, 1000, 800, 1333) == (400, 1333)
    assert resized(1, 5000, 800, 1333) == (1, 1333)


CONFIGS = [
    AugmentConfig(short_sides=(20, 30), max_long_side=45),
    AugmentConfig(mode="jitter", jitter_size=(40, 32), jitter_scale=(0.3, 2.0)),
]


@pytest.mark.parametrize("config", CONFIGS, ids=["resize", "jitter"])
@pytest.mark.parametrize("seed", range(12))
def test_boxes_and_bitmaps_go_where_the_pixels_go(config: AugmentConfig, seed: int) -> None:
    """A bright rectangle is followed through the image, its box, its polygon and its bitmap."""
    rng = np.random.default_rng(seed)
    height, width = 50, 70
    box = np.array([[20.0, 10, 50, 40]])
    image = np.zeros((height, width, 3), np.uint8)
    image[10:40, 20:50] = 255
    transforms, _ = draw_transforms(height, width, config, rng)
    moved = transforms.apply_image(image)
    bitmap = transforms.apply_segmentation(image[:, :, 0])
    if config.mode == "jitter":
        assert moved.shape[:2] == config.jitter_size
        moved = np.where(moved == config.pad_value, 0, moved)
    expected = np.clip(transforms.apply_box(box)[0], 0, [*moved.shape[1::-1]] * 2)
    corners = np.array([[20.0, 10], [50, 10], [50, 40], [20, 40]])
    polygons = transforms.apply_polygons([corners])
    for picture in (moved[:, :, 0] > 127, bitmap > 127):
        ys, xs = np.nonzero(picture)
        if not len(xs):
            assert (expected[2:] - expected[:2]).min() < 2
            continue
        found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(found, expected, atol=1.5)
        points = np.concatenate(polygons)
        np.testing.assert_allclose([*points.min(0), *points.max(0)], expected, atol=1e-6)


def test_the_flip_is_reported_and_drawn_with_its_probability() -> None:
    never, always = (AugmentConfig(flip=p, short_sides=(10,)) for p in (0.0, 1.0))
    ramp = np.tile(np.arange(10, dtype=np.uint8)[None, :, None], (10, 1, 3))
    for config, mirrored in ((never, False), (always, True)):
        transforms, flipped = draw_transforms(10, 10, config, np.random.default_rng(0))
        assert flipped is mirrored
        assert (transforms.apply_image(ramp)[0, 0, 0] == 9) is np.bool_(mirrored)
    rng = np.random.default_rng(0)
    half = AugmentConfig(short_sides=(10,))
    flips = sum(draw_transforms(10, 10, half, rng)[1] for _ in range(400))
    assert 160 < flips < 240


def test_shrinking_does_not_alias() -> None:
    """A fine checkerboard becomes grey, not stripes."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    config = AugmentConfig(short_sides=(16,), flip=0)
    transforms, _ = draw_transforms(64, 64, config, np.random.default_rng(0))
    small = transforms.apply_image(cv2.cvtColor(board, cv2.COLOR_GRAY2BGR))
    assert int(small.max()) - int(small.min()) < 10


@pytest.mark.parametrize("side", [64, 96, 160, 200])
def test_masks_stay_in_their_place_as_they_shrink(side: int) -> None:
    mask = np.zeros((256, 256), np.uint8)
    cv2.circle(mask, (128, 128), 40, 1, -1)
    small = Resize(256, 256, side, side).apply_segmentation(mask)
    rows, columns = (indices.mean() + 0.5 for indices in np.nonzero(small))
    centre = np.array([rows, columns]) * 256 / side
    np.testing.assert_allclose(centre, 128.5, atol=0.51)  # pixels of the large one


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "crop"}, {"short_sides": ()}, {"flip": 1.5}, {"jitter_scale": (0.0, 1.0)}],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        AugmentConfig(**wrong)
