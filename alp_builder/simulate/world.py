"""A world on disk: images, COCO instance files and the split of base and novel classes.

    OUT/train/000000000.jpg ...      instances_train.json   split.json
    OUT/val/010000000.jpg ...        instances_val.json
    OUT/test/020000000.jpg ...       instances_test.json

A world of emoji has `synonyms.json` too, another name of each class for the test of an open vocabulary.
Work goes on in `OUT.partial` and is renamed to `OUT` at the end, so a world is whole or not there.
Scenes are drawn in chunks; a finished chunk leaves its annotations in `OUT.partial/.chunks`, and a
run that is started again draws only the chunks that are missing. Bytes depend on the settings only,
for any number of workers. Every file says that the data are simulated.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image
from pycocotools import mask as mask_utils
from tqdm import tqdm

from alp_builder.errors import UsageError
from alp_builder.files import exclusive, write_atomic
from alp_builder.simulate.config import (
    ID_STRIDE,
    SPLITS,
    WORLD_VERSION,
    EmojiConfig,
    SceneConfig,
)
from alp_builder.simulate.emoji_classes import emoji_synonyms
from alp_builder.simulate.emoji_things import emoji_things
from alp_builder.simulate.scenes import VECTOR_THINGS, Scene, Things, draw_scene
from alp_builder.simulate.vocabulary import WorldClass

CHUNK = 64
"""Scenes of a chunk."""

VECTOR_LICENCE = "Generated data, no rights reserved"
EMOJI_LICENCE = (
    "Drawn with a colour-emoji font, whose licence holds for its glyphs (Noto: SIL OFL 1.1)"
)
"""What the files say of rights."""


class SceneSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run made."""

    simulated: bool
    folder: str
    scenes: dict[str, int]
    things: dict[str, int]
    classes: int
    novel_classes: int
    resumed_scenes: int
    fingerprint: str


class _Chunk(msgspec.Struct):
    """Scenes `start` to `stop` of a split."""

    split: str
    start: int
    stop: int

    @property
    def file(self) -> str:
        return f"{self.split}-{self.start:08d}-{self.stop:08d}.json"


class _World(msgspec.Struct):
    """What `world.json` tells of a whole world: how it was drawn, and the things of its splits."""

    fingerprint: str
    settings: dict[str, Any]
    things: dict[str, int]
    simulated: bool = True


class _Drawn(msgspec.Struct):
    """Image and annotation records of a chunk; annotation ids are given when all are there."""

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]


def simulate_scenes(
    config: SceneConfig,
    out_dir: Path,
    workers: int = 1,
    *,
    progress: bool = True,
    emoji_font: str = "",
) -> SceneSummary:
    """Draw a world.

    Args:
        config: Settings of the world: an `EmojiConfig` for a world of emoji.
        out_dir: Folder that shall appear.
        workers: Processes.
        progress: Whether to show a progress bar.
        emoji_font: Font of a world of emoji; by default the one installed.

    Returns:
        Counts; `resumed_scenes` were already there, from a run that was stopped or a whole one.

    Raises:
        UsageError: If a setting is out of range, the folder exists and is no world of these
            settings, a stopped run of other settings lies beside it, another process draws it, or
            there is no font to draw emoji with.
        BadDataError: If the font lacks a class.
    """
    config.check()
    if workers < 1:
        raise UsageError(f"workers must be at least 1, got {workers}")
    kit: Things = VECTOR_THINGS
    if isinstance(config, EmojiConfig):
        config, kit = emoji_things(config, emoji_font)
    if out_dir.exists():
        there = _drawn_before(out_dir, config)
        return _summary(config, out_dir, there, config.total, kit.classes)
    work = out_dir.with_name(out_dir.name + ".partial")
    _claim(work, config)
    lock = exclusive(work / ".chunks" / "lock", f"drawing {out_dir}")
    chunks = [
        _Chunk(split, start, min(start + CHUNK, config.count(split)))
        for split in SPLITS
        for start in range(0, config.count(split), CHUNK)
    ]
    missing = [chunk for chunk in chunks if not (work / ".chunks" / chunk.file).exists()]
    total = config.total
    resumed = total - sum(chunk.stop - chunk.start for chunk in missing)
    draw = partial(_draw_chunk, config=config, work=work, kit=kit)
    with ExitStack() as stack:
        stack.enter_context(lock)
        bar = stack.enter_context(
            tqdm(
                total=total,
                initial=resumed,
                unit="scene",
                desc="simulated scenes",
                disable=not progress,
            )
        )
        if workers == 1:
            done: Iterator[int] = map(draw, missing)
        else:
            done = stack.enter_context(ProcessPoolExecutor(workers)).map(draw, missing)
        for count in done:
            bar.update(count)
    things = {split: _write_split(work, split, chunks, config, kit.classes) for split in SPLITS}
    write_atomic(work / "split.json", _json(_split_record(kit.classes)))
    if isinstance(config, EmojiConfig):
        write_atomic(work / "synonyms.json", _json(emoji_synonyms()))
    world = _World(config.fingerprint(), msgspec.to_builtins(config), things)
    write_atomic(work / "world.json", _json(world))
    shutil.rmtree(work / ".chunks")
    work.rename(out_dir)
    return _summary(config, out_dir, things, resumed, kit.classes)


def _summary(
    config: SceneConfig,
    out_dir: Path,
    things: dict[str, int],
    resumed: int,
    classes: tuple[WorldClass, ...],
) -> SceneSummary:
    return SceneSummary(
        simulated=True,
        folder=str(out_dir),
        scenes={split: config.count(split) for split in SPLITS},
        things=things,
        classes=len(classes),
        novel_classes=sum(kind.is_novel for kind in classes),
        resumed_scenes=resumed,
        fingerprint=config.fingerprint(),
    )


def _drawn_before(out_dir: Path, config: SceneConfig) -> dict[str, int]:
    """Things of each split of a world that is there, if it is of these settings."""
    try:
        there = msgspec.json.decode((out_dir / "world.json").read_bytes(), type=_World)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{out_dir} exists and is no world of this version; remove it or give another folder"
        ) from error
    old, new = there.settings, msgspec.to_builtins(config)
    old, new = ({"shapes": "vector", **settings} for settings in (old, new))
    if other := [
        f"{name} = {old.get(name)} (asked: {new[name]})"
        for name in new
        if old.get(name) != new[name]
    ]:
        raise UsageError(
            f"{out_dir} was drawn with {', '.join(other)}; remove it, or give another folder"
        )
    if there.fingerprint != config.fingerprint():
        raise UsageError(f"{out_dir} was drawn by another version; remove it to draw it anew")
    return there.things


def _claim(work: Path, config: SceneConfig) -> None:
    """Make the working folder, or check that it is of the same settings."""
    mark = work / ".chunks" / "settings"
    if work.exists():
        if not mark.exists() or mark.read_text() != config.fingerprint():
            raise UsageError(
                f"{work} is a stopped run of other settings; remove it or repeat its settings"
            )
        return
    for split in SPLITS:
        (work / split).mkdir(parents=True)
    (work / ".chunks").mkdir()
    write_atomic(mark, config.fingerprint().encode())


def _draw_chunk(chunk: _Chunk, config: SceneConfig, work: Path, kit: Things) -> int:
    """Draw a chunk's scenes; its record appears last, when all images are there."""
    drawn = _Drawn([], [])
    for index in range(chunk.start, chunk.stop):
        scene = draw_scene(config, chunk.split, index, kit)
        image_id = SPLITS.index(chunk.split) * ID_STRIDE + index
        name = f"{image_id:09d}.jpg"
        buffer = io.BytesIO()
        Image.fromarray(scene.image).save(buffer, "JPEG", quality=config.jpeg_quality)
        (work / chunk.split / name).write_bytes(buffer.getvalue())
        drawn.images.append(
            {
                "id": image_id,
                "file_name": name,
                "width": scene.image.shape[1],
                "height": scene.image.shape[0],
                "backdrop": scene.backdrop,
                "horizon": scene.horizon,
            }
        )
        drawn.annotations += annotations_of(scene, image_id)
    write_atomic(work / ".chunks" / chunk.file, _json(drawn))
    return chunk.stop - chunk.start


def annotations_of(scene: Scene, image_id: int) -> list[dict[str, Any]]:
    """COCO annotations of a scene's things, without ids.

    The mask is the visible one as compressed RLE, `bbox` is xywh in pixels and tight round it.
    """
    things = len(scene.kinds)
    # pycocotools wants (height, width, things) in Fortran order: things, columns, rows in C order.
    columns = np.ascontiguousarray(scene.owner.T)
    masks = columns[None] == np.arange(things, dtype=np.int16)[:, None, None]
    codes = mask_utils.encode(masks.view(np.uint8).transpose(2, 1, 0)) if things else []
    boxes, areas = (mask_utils.toBbox(codes), mask_utils.area(codes)) if things else ([], [])
    return [
        {
            "image_id": image_id,
            "category_id": kind.category_id,
            "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode("ascii")},
            "bbox": box.tolist(),
            "area": int(area),
            "iscrowd": 0,
            "color": color,
        }
        for kind, color, code, box, area in zip(
            scene.kinds, scene.colors, codes, boxes, areas, strict=True
        )
    ]


def _write_split(
    work: Path,
    split: str,
    chunks: list[_Chunk],
    config: SceneConfig,
    classes: tuple[WorldClass, ...],
) -> int:
    """Write a split's COCO file; the number of its things."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for chunk in chunks:
        if chunk.split == split:
            data = (work / ".chunks" / chunk.file).read_bytes()
            drawn = msgspec.json.decode(data, type=_Drawn)
            images += drawn.images
            annotations += drawn.annotations
    first = SPLITS.index(split) * 100 * ID_STRIDE + 1
    record = {
        "info": {
            "description": f"Simulated world, {split} split: drawn by a program, no photographs",
            "simulated": True,
            "dataset_id": f"simulated_world_{split}",
            "split": split,
            "world_version": WORLD_VERSION,
            "fingerprint": config.fingerprint(),
            "settings": msgspec.to_builtins(config),
        },
        "licenses": [
            {
                "id": 1,
                "name": EMOJI_LICENCE if isinstance(config, EmojiConfig) else VECTOR_LICENCE,
                "url": "",
            }
        ],
        "images": images,
        "annotations": [{"id": first + i, **a} for i, a in enumerate(annotations)],
        "categories": [
            {
                "id": kind.category_id,
                "name": kind.name,
                "plural": kind.many,
                "supercategory": kind.supercategory,
            }
            for kind in classes
        ],
    }
    write_atomic(work / f"instances_{split}.json", _json(record))
    return len(annotations)


def _split_record(classes: tuple[WorldClass, ...]) -> dict[str, Any]:
    """Base and novel classes by name and by id."""
    base = [kind for kind in classes if not kind.is_novel]
    novel = [kind for kind in classes if kind.is_novel]
    return {
        "simulated": True,
        "base": [kind.name for kind in base],
        "novel": [kind.name for kind in novel],
        "base_ids": [kind.category_id for kind in base],
        "novel_ids": [kind.category_id for kind in novel],
    }


def _json(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
