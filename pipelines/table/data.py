"""The data of the table: a simulated world, narratives of its train split, ALPs of them.

    DATA/world/                        images, instances_{train,val,test}.json, split.json
    DATA/narratives_PROFILE.jsonl      simulated narratives of the train split
    DATA/alps_PROFILE/                 ALPs of them

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
from alp_builder.inputs import NarrativeSource
from alp_builder.simulate import SceneConfig, find_profile, simulate_narratives, simulate_scenes


class _Info(msgspec.Struct):
    fingerprint: str


class _World(msgspec.Struct):
    info: _Info


def prepare(data: Path, settings: SceneConfig, profiles: Iterable[str]) -> None:
    """Make what is missing of the world and its ALPs.

    Args:
        data: Folder of all of it.
        settings: Of the world.
        profiles: Noise profiles to have ALPs of.

    Raises:
        UsageError: If there is a world of other settings.
    """
    world, workers = data / "world", os.cpu_count() or 1
    if world.exists():
        _check_world(world, settings)
    else:
        data.mkdir(parents=True, exist_ok=True)
        simulate_scenes(settings, world, workers)
    for profile in profiles:
        narratives, alps = data / f"narratives_{profile}.jsonl", data / f"alps_{profile}"
        if (alps / "_alps" / "manifest.json").exists():
            continue
        if not narratives.exists():
            simulate_narratives(
                world / "instances_train.json",
                find_profile(profile),
                narratives,
                seed=settings.seed,
                workers=workers,
            )
        source = NarrativeSource(location=str(narratives), split="train")
        build([source], alps, BuildConfig(), workers)


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
