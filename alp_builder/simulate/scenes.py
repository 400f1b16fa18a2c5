"""A scene: things over a textured background, drawn back to front, with the truth of every pixel.

A thing is rasterised once, at twice the size, into **labels** (which part covers a subpixel);
colours, pattern and light are put on the labels and 2 x 2 subpixels averaged. The thing's mask is
where at least half a pixel is covered. Things are then laid down one after the other; the **owner
map** says which thing is on top of each pixel, and a thing's visible mask is where it is the owner.
A place is taken only if everything there stays visible enough. Things of emoji are drawn otherwise, by
`emoji_things`; all else is the same.

Coordinates are pixels, x right and y down; arrays are `(height, width)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from alp_builder.simulate.background import paint_background
from alp_builder.simulate.config import SceneConfig
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.drawings import ACCENT, BODY, DARK, LIGHT
from alp_builder.simulate.shapes import shape
from alp_builder.simulate.textures import pattern_mask, shade
from alp_builder.simulate.vocabulary import CLASSES, COLORS, NATURAL_COLORS, WorldClass

TRIES = 8
"""Places tried for a thing before it is left out."""

MIN_AREA = 24
"""Least visible pixels of a thing."""

TURN = {"ball": 180.0, "key": 180.0, "star": 180.0, "banana": 180.0, "kite": 45.0, "fish": 35.0}
"""How far a thing may be turned, in degrees to each side; the others `USUAL_TURN`."""

USUAL_TURN = 18.0
"""Usual greatest turn in degrees."""

DARK_COLOR = np.array([52, 44, 40], dtype=np.float32)
LIGHT_COLOR = np.array([228, 226, 216], dtype=np.float32)
"""Colours of parts that are always dark or light."""

FAR_COLOR, COLOR_JITTER = 170, 18.0
"""Least distance of a thing's two colours (sum over channels), and by how much a colour varies."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A rasterised thing.

    Attributes:
        kind: Its class.
        color: Word of its body's colour.
        pixels: Colours times coverage, `(h, w, 3)`, float32 grey levels.
        coverage: Share of each pixel covered, `(h, w)`, float32 in [0, 1].
        mask: Where at least half a pixel is covered, `(h, w)`.
        solid: Where the thing, or what lies over it, hides what is behind; the mask is inside.
    """

    kind: WorldClass
    color: str
    pixels: NDArray[np.float32]
    coverage: NDArray[np.float32]
    mask: NDArray[np.bool_]
    solid: NDArray[np.bool_]


class Things(Protocol):
    """What draws the things of a world."""

    @property
    def classes(self) -> tuple[WorldClass, ...]:
        """Classes of the world, base first."""

    def pick(self, dice: Dice) -> tuple[WorldClass, str]:
        """A class and the word of a colour, empty where there is none."""

    def draw(self, kind: WorldClass, color: str, side: float, light: float, dice: Dice) -> Sprite:
        """A thing; arguments as of `draw_sprite`."""


@dataclass(frozen=True, slots=True)
class VectorThings:
    """Things made of vector shapes."""

    @property
    def classes(self) -> tuple[WorldClass, ...]:
        """The classes, base first."""
        return CLASSES

    def pick(self, dice: Dice) -> tuple[WorldClass, str]:
        """A class and a colour that is natural for it."""
        kind = dice.choice(CLASSES)
        return kind, dice.choice(NATURAL_COLORS.get(kind.shape, tuple(COLORS)))

    def draw(self, kind: WorldClass, color: str, side: float, light: float, dice: Dice) -> Sprite:
        """A thing, rasterised."""
        return draw_sprite(kind, color, side, light, dice)


VECTOR_THINGS = VectorThings()
"""Things of the usual world."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn scene.

    Attributes:
        image: `(size, size, 3)` RGB.
        owner: `(size, size)`, index of the thing on top of each pixel, -1 for the background.
        kinds: Class of each thing, in the order they were drawn (a later one lies on top).
        colors: Word of each thing's colour.
        backdrop: Names of the stuff, upper and lower.
        horizon: Where the lower stuff starts, in image heights.
    """

    image: NDArray[np.uint8]
    owner: NDArray[np.int16]
    kinds: list[WorldClass]
    colors: list[str]
    backdrop: list[str]
    horizon: float


def draw_scene(
    config: SceneConfig, split: str, index: int, things: Things = VECTOR_THINGS
) -> Scene:
    """Draw a scene.

    Args:
        config: Settings of the world.
        split: Split of the scene.
        index: Index within the split.
        things: What draws its things.

    Returns:
        The scene; the same for the same arguments, whatever else is drawn.
    """
    rng = generator("scene", config.seed, split, index)
    dice = Dice(rng)
    size = config.image_size
    ground = paint_background(size, config.clutter, dice)
    canvas = ground.pixels
    owner = np.full((size, size), -1, dtype=np.int16)
    visible: list[int] = []
    whole: list[int] = []
    kinds: list[WorldClass] = []
    colors: list[str] = []
    light = dice.between(0, 2 * np.pi)
    level, fall = dice.between(0.82, 1.1), dice.between(0.0, 0.18)
    wanted = config.min_things + dice.below(config.max_things - config.min_things + 1)
    kind, color = None, ""
    for _ in range(wanted):
        if kind is None or not dice.chance(config.repeat_rate):
            kind, color = things.pick(dice)
        ratio = config.max_scale / config.min_scale
        scale = config.min_scale * ratio ** dice.uniform()
        sprite = things.draw(kind, color, scale * size, light, dice)
        place = _find_place(sprite, owner, visible, whole, config, dice)
        if place is None:
            continue
        _lay(sprite, place, canvas, owner, len(kinds), config.shadow)
        kinds.append(kind)
        colors.append(color)
        whole.append(int(sprite.mask.sum()))
    _expose(canvas, level, fall, light)
    if config.grain:
        noise = np.frombuffer(rng.bytes(canvas.size), dtype=np.int8).reshape(canvas.shape)
        canvas += np.multiply(noise, np.float32(config.grain / 255), dtype=np.float32)
    image = np.clip(canvas, 0, 255, out=canvas).astype(np.uint8)
    return Scene(image, owner, kinds, colors, ground.names, ground.horizon)


def draw_sprite(kind: WorldClass, color: str, side: float, light: float, dice: Dice) -> Sprite:
    """Rasterise a thing.

    Args:
        kind: Its class.
        color: Word of its body's colour.
        side: Longer side in pixels.
        light: Direction the light comes from, in radians.
        dice: Where deformation, colours and texture come from.
    """
    rings, box = _outline(kind, side, dice)
    labels = _rasterise(kind, rings, box)
    inked = pattern_mask(kind.pattern, labels.shape, dice)
    if inked is not None:
        labels[inked & (labels == BODY)] = ACCENT
    # Averaging 2 x 2 subpixels is adding a quarter of each one's colour and coverage.
    palette = _palette(color, dice)
    quarters = [palette.take(labels[y::2, x::2], axis=0) for y in (0, 1) for x in (0, 1)]
    painted = quarters[0]
    for quarter in quarters[1:]:
        painted += quarter
    coverage = np.ascontiguousarray(painted[:, :, 3])
    pixels = painted[:, :, :3] * shade(coverage.shape, light, dice)[:, :, None]
    mask = coverage >= 0.5
    return Sprite(kind, color, pixels, coverage, mask, mask)


def _outline(
    kind: WorldClass, side: float, dice: Dice
) -> tuple[list[list[NDArray[np.float64]]], tuple[float, float]]:
    """Deformed rings of each part in pixels, and the width and height of their box."""
    turn = np.radians(TURN.get(kind.shape, USUAL_TURN)) * dice.between(-1, 1)
    stretch = dice.between(-0.16, 0.16)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear @ np.array([[1 + stretch, dice.between(-0.15, 0.15)], [0, 1 - stretch]])
    if dice.chance(0.5):
        linear[:, 0] *= -1
    wave = [dice.between(1.2, 2.6) for _ in range(2)]
    phase = [dice.between(0, 2 * np.pi) for _ in range(2)]
    depth = dice.between(0.0, 0.07)
    parts = shape(kind.shape)
    sizes = [len(ring) for part in parts for ring in part.rings]
    points = np.concatenate([ring for part in parts for ring in part.rings])
    points = points + depth * np.stack(
        [
            np.sin(wave[0] * points[:, 1] + phase[0]),
            np.sin(wave[1] * points[:, 0] + phase[1]),
        ],
        axis=1,
    )
    points = points @ linear.T
    low, high = points.min(0), points.max(0)
    zoom = side / float((high - low).max())
    points = (points - low) * zoom
    flat = iter(np.split(points, np.cumsum(sizes)[:-1]))
    width, height = ((high - low) * zoom).tolist()
    return [[next(flat) for _ in part.rings] for part in parts], (width, height)


def _rasterise(
    kind: WorldClass, rings: list[list[NDArray[np.float64]]], box: tuple[float, float]
) -> NDArray[np.uint8]:
    """Roles of the subpixels, 0 for none, `(2 h, 2 w)`."""
    w, h = int(np.ceil(box[0])) + 1, int(np.ceil(box[1])) + 1
    canvas = Image.new("L", (2 * w, 2 * h))
    draw = ImageDraw.Draw(canvas)
    for part, outlines in zip(shape(kind.shape), rings, strict=True):
        if any(part.is_hole):
            # A hole shows what lies under the part, so the part needs a stencil of its own.
            stencil = Image.new("1", canvas.size)
            pen = ImageDraw.Draw(stencil)
            for outline, hole in zip(outlines, part.is_hole, strict=True):
                pen.polygon((outline * 2).ravel().tolist(), fill=0 if hole else 1)
            canvas.paste(part.role, mask=stencil)
        else:
            for outline in outlines:
                draw.polygon((outline * 2).ravel().tolist(), fill=part.role)
    return np.array(canvas)


def _palette(color: str, dice: Dice) -> NDArray[np.float32]:
    """A quarter of the colour and coverage of each role, `(5, 4)`; nothing for role 0.

    The second colour stands apart from the first.
    """
    body = np.array(COLORS[color], dtype=np.float32)
    others = [np.array(rgb, dtype=np.float32) for name, rgb in COLORS.items() if name != color]
    far = [rgb for rgb in others if float(np.abs(rgb - body).sum()) > FAR_COLOR]
    colors = np.stack([body, dice.choice(far), DARK_COLOR, LIGHT_COLOR])
    jitter = [dice.between(-COLOR_JITTER, COLOR_JITTER) for _ in range(colors.size)]
    palette = np.zeros((5, 4), dtype=np.float32)
    palette[[BODY, ACCENT, DARK, LIGHT], :3] = colors + np.reshape(jitter, colors.shape)
    palette[1:, 3] = 1.0
    np.clip(palette, 0, 255, out=palette)
    return palette * np.float32(0.25)


def _find_place(
    sprite: Sprite,
    owner: NDArray[np.int16],
    visible: list[int],
    whole: list[int],
    config: SceneConfig,
    dice: Dice,
) -> tuple[int, int] | None:
    """Top left corner where everything stays visible enough, `None` if none was found.

    `visible` (visible pixels of each thing so far) is brought up to date for the place found.
    """
    size, (h, w) = config.image_size, sprite.mask.shape
    area = int(sprite.mask.sum())
    for _ in range(TRIES):
        # A thing may stick out of the image by a quarter of its box.
        x = round(dice.between(-0.25 * w, size - 0.75 * w))
        y = round(dice.between(-0.25 * h, size - 0.75 * h))
        solid, under = _crop(sprite.solid, x, y, size), _crop_canvas(owner, x, y, h, w)
        shown = int(_crop(sprite.mask, x, y, size).sum())
        if shown < max(MIN_AREA, config.min_visible * area):
            continue
        hidden = np.bincount(under[solid] + 1, minlength=len(whole) + 1)[1:].tolist()
        if all(
            v - loss >= max(MIN_AREA, config.min_visible * total)
            for v, loss, total in zip(visible, hidden, whole, strict=True)
            if loss
        ):
            visible[:] = [v - loss for v, loss in zip(visible, hidden, strict=True)] + [shown]
            return x, y
    return None


Pixels = TypeVar("Pixels", bound=np.generic)


def _crop(array: NDArray[Pixels], x: int, y: int, size: int) -> NDArray[Pixels]:
    """The part of a sprite's array that lies inside the image."""
    return array[max(0, -y) : max(0, size - y), max(0, -x) : max(0, size - x)]


def _crop_canvas(canvas: NDArray[Pixels], x: int, y: int, h: int, w: int) -> NDArray[Pixels]:
    """The part of the image that lies under a sprite."""
    return canvas[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)]


def _lay(
    sprite: Sprite,
    place: tuple[int, int],
    canvas: NDArray[np.float32],
    owner: NDArray[np.int16],
    index: int,
    shadow: float,
) -> None:
    """Paint a thing on the canvas and let `index` own its pixels."""
    (x, y), size, (h, w) = place, len(owner), sprite.mask.shape
    if shadow > 0:
        dx, dy = max(1, w // 16), max(1, h // 16)
        dark = _crop_canvas(canvas, x + dx, y + dy, h, w)
        dark *= 1 - shadow * _crop(sprite.coverage, x + dx, y + dy, size)[:, :, None]
    under = _crop_canvas(canvas, x, y, h, w)
    under *= 1 - _crop(sprite.coverage, x, y, size)[:, :, None]
    under += _crop(sprite.pixels, x, y, size)
    owned = _crop_canvas(owner, x, y, h, w)
    owned[_crop(sprite.solid, x, y, size)] = -1
    owned[_crop(sprite.mask, x, y, size)] = index


def _expose(canvas: NDArray[np.float32], level: float, fall: float, light: float) -> None:
    """Light on the whole scene: `level`, and `fall` more or less towards direction `light`."""
    line = np.linspace(-1, 1, len(canvas), dtype=np.float32)
    across = (level + fall * np.cos(light) * line).astype(np.float32)
    down = (fall * np.sin(light) * line).astype(np.float32)
    canvas *= (across[None, :] + down[:, None])[:, :, None]
