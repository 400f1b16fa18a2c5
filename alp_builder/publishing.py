"""Step 4 of a build: shards go to where readers find them, the manifest last.

From the first change on there is no data set, until the new manifest is there: it goes first and comes last,
so nobody reads a mixture. `Destination` says what a place must be able to do; `LocalFolder` is one on this
machine or a shared file system, `alp_builder.object_store` holds the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError
from alp_builder.files import flush_folder, move, sha256_of
from alp_builder.manifest import (
    META_FOLDER,
    QUARANTINE,
    Manifest,
    QuarantineInfo,
    deciding_config,
    joint_fingerprint,
    manifest_path,
    read_manifest,
    versions,
    write_manifest,
)
from alp_builder.planning import Plan
from alp_builder.schema import SCHEMA_VERSION
from alp_builder.shards import SHARD_PATH, ShardInfo


class Destination(Protocol):
    """Where a data set is published. Names are relative to it, with `/`."""

    def manifest(self) -> Manifest | None:
        """The manifest that is there, if one is and can be read."""
        ...

    def has_manifest(self) -> bool:
        """Whether there is a manifest, damaged or not."""
        ...

    def stranger(self) -> str | None:
        """A shard that is there although nothing tells that a build of ours put it there, if there is one."""
        ...

    def holds(self, name: str, sha256: str, size: int | None) -> bool:
        """Whether a file is there whole, as far as can be told without fetching it."""
        ...

    def retract(self) -> None:
        """Removes the manifest: from here on there is no data set."""
        ...

    def put(self, staged: Path, name: str) -> None:
        """Brings a file of the work folder to its place, unless it is there."""
        ...

    def keep_only(self, names: set[str]) -> None:
        """Removes shards that are not among these."""
        ...

    def announce(self, manifest: Manifest) -> None:
        """Publishes the manifest, and with it the data set."""
        ...


class LocalFolder:
    """A folder; the work lies in it, so that bringing a file to its place is renaming.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manifest(self) -> Manifest | None:
        """See `Destination`."""
        try:
            return read_manifest(self.folder) if self.has_manifest() else None
        except BadDataError:
            return None

    def has_manifest(self) -> bool:
        """See `Destination`."""
        return manifest_path(self.folder).exists()

    def stranger(self) -> str | None:
        """See `Destination`."""
        if (self.folder / META_FOLDER).exists():
            return None
        shards = self.folder.glob("split=*/*.parquet")
        return min((shard.relative_to(self.folder).as_posix() for shard in shards), default=None)

    def holds(self, name: str, sha256: str, size: int | None) -> bool:  # noqa: ARG002  the hash decides
        """See `Destination`."""
        path = self.folder / name
        return path.is_file() and sha256_of(path) == sha256

    def retract(self) -> None:
        """See `Destination`."""
        manifest_path(self.folder).unlink(missing_ok=True)
        flush_folder(self.folder / META_FOLDER)

    def put(self, staged: Path, name: str) -> None:
        """See `Destination`."""
        if staged.exists():
            move(staged, self.folder / name)

    def keep_only(self, names: set[str]) -> None:
        """See `Destination`."""
        for file in self.folder.glob("split=*/*.parquet"):
            name = file.relative_to(self.folder).as_posix()
            if name not in names and SHARD_PATH.fullmatch(name):
                file.unlink()
        for empty in self.folder.glob("split=*"):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()

    def announce(self, manifest: Manifest) -> None:
        """See `Destination`."""
        write_manifest(self.folder, manifest)


def is_published(place: Destination, manifest: Manifest) -> bool:
    """Whether everything a manifest lists is where it says."""
    quarantine = manifest.quarantine
    return place.holds(quarantine.path, quarantine.sha256, None) and all(
        place.holds(shard.path, shard.sha256, shard.size) for shard in manifest.shards
    )


def make_manifest(
    plan: Plan,
    config: BuildConfig,
    shards: list[ShardInfo],
    counts: dict[str, int],
    quarantine: Path,
) -> Manifest:
    """The manifest of a build that is ready to be published.

    Args:
        plan: What was built.
        config: All choices.
        shards: The shards.
        counts: Narratives, phrases and ALPs by what became of them.
        quarantine: File of the records set aside, one a line.
    """
    with quarantine.open("rb") as lines:
        records = sum(1 for _ in lines)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        groups=list(config.groups),
        fingerprint=joint_fingerprint(plan.fingerprint),
        config=deciding_config(config),
        versions=versions(config.phrases.spacy_model),
        inputs=plan.inputs,
        shards=shards,
        quarantine=QuarantineInfo(
            path=f"{META_FOLDER}/{QUARANTINE}", records=records, sha256=sha256_of(quarantine)
        ),
        counts=dict(sorted(counts.items())),
    )


def publish(
    place: Destination,
    manifest: Manifest,
    staged: Path,
    quarantine: Path,
    checkpoint: Callable[[str], object],
) -> None:
    """Publishes a data set; killed at any instant and called again, it goes on.

    Args:
        place: Where.
        manifest: What it consists of.
        staged: Folder of its shards.
        quarantine: File of the records set aside.
        checkpoint: Called with the name of each step as it is reached; for tests.
    """
    checkpoint("before")
    place.retract()
    checkpoint("old manifest gone")
    for shard in manifest.shards:
        place.put(staged / shard.path, shard.path)
        checkpoint(f"moved {shard.path}")
    place.keep_only({shard.path for shard in manifest.shards})
    place.put(quarantine, manifest.quarantine.path)
    checkpoint("quarantine written")
    place.announce(manifest)
    checkpoint("manifest written")
