"""The data of the table: a simulated world, narratives of its train split, ALPs of them.

    DATA/world/                        images, instances_{train,val,test}.json, split.json
    DATA/narratives_PROFILE.jsonl      simulated narratives of the train split
    DATA/alps_PROFILE/                 ALPs of them
    DATA/alps_PROFILE_Npercent/        ALPs of the first N percent of them

Each part is made once and kept; a world of other settings in the same place is refused, not replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from alp_builder.build import build
from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import write_atomic
from alp_builder.inputs import NarrativeSource
from alp_builder.simulate import SceneConfig, find_profile, simulate_narratives, simulate_scenes
from pipelines.table.plan import AlpSet


class _Info(msgspec.Struct):
    fingerprint: str


class _World(msgspec.Struct):
    info: _Info


def prepare(data: Path, settings: SceneConfig, wanted: Iterable[AlpSet]) -> None:
    """Make what is missing of the world and its ALPs.

    Args:
        data: Folder of all of it.
        settings: Of the world.
        wanted: ALPs to have.

    Raises:
        UsageError: If there is a world of other settings.
    """
    world, workers = data / "world", os.cpu_count() or 1
    if world.exists():
        _check_world(world, settings)
    else:
        data.mkdir(parents=True, exist_ok=True)
        simulate_scenes(settings, world, workers)
    for alps in sorted(set(wanted)):
        folder = data / alps.folder
        if not (folder / "_alps" / "manifest.json").exists():
            source = NarrativeSource(location=str(_narrate(data, settings, alps)), split="train")
            build([source], folder, BuildConfig(), workers)


def _narrate(data: Path, settings: SceneConfig, alps: AlpSet) -> Path:
    """Narratives of the train split, as many as are wanted."""
    file = data / f"narratives_{alps.profile}.jsonl"
    if not file.exists():
        simulate_narratives(
            data / "world" / "instances_train.json",
            find_profile(alps.profile),
            file,
            seed=settings.seed,
            workers=os.cpu_count() or 1,
        )
    if alps.percent == 100:
        return file
    lines = file.read_bytes().splitlines(keepends=True)
    part = data / f"narratives_{alps.profile}_{alps.percent}percent.jsonl"
    # Scenes are drawn independently of one another, so the first ones are a random sample.
    write_atomic(part, b"".join(lines[: max(1, len(lines) * alps.percent // 100)]))
    return part


def _check_world(world: Path, settings: SceneConfig) -> None:
    file = world / "instances_train.json"
    try:
        found = msgspec.json.decode(file.read_bytes(), type=_World).info.fingerprint
    except (OSError, msgspec.DecodeError) as error:
        raise BadDataError(f"{file}: not of a simulated world ({error}); remove {world}") from None
    if found != settings.fingerprint():
        raise UsageError(
            f"{world} is a world of other settings ({found}, expected {settings.fingerprint()}): "
            "remove it, or name another folder with --data"
        )
