"""The manifest: what a data set is, written last.

`_alps/manifest.json` lists every shard with its hashes, every input, the full configuration, the versions of
what made it, and the counts. Without it there is no data set: readers refuse the folder. It lies in a folder
whose name starts with an underscore because Parquet readers (pandas, pyarrow, Spark) skip such names; a JSON
file beside the shards would make `pd.read_parquet(folder)` fail.
"""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.config import BuildConfig, config_dict
from alp_builder.errors import BadDataError
from alp_builder.files import write_atomic
from alp_builder.inputs import ScannedInput
from alp_builder.schema import SCHEMA_VERSION
from alp_builder.shards import ShardInfo

META_FOLDER = "_alps"
MANIFEST = "manifest.json"
QUARANTINE = "quarantine.jsonl"
MAX_MANIFEST_BYTES = 256 * 2**20


class QuarantineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The quarantine file: its records and their hash."""

    path: str
    records: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a built data set.

    Attributes:
        schema_version: Version of the columns.
        groups: Column groups the shards carry.
        fingerprint: Hash of inputs, configuration and versions; equal fingerprints, equal bytes.
        config: Every field of the configuration that decides what is written, see `deciding_config`.
        versions: Of the program and of what decides its output.
        inputs: The inputs, in order.
        shards: The shards, by split and index.
        quarantine: The records set aside.
        counts: Narratives, phrases and ALPs by what became of them.
    """

    schema_version: int
    groups: list[str]
    fingerprint: str
    config: dict[str, Any]
    versions: dict[str, str]
    inputs: list[ScannedInput]
    shards: list[ShardInfo]
    quarantine: QuarantineInfo
    counts: dict[str, int]


def manifest_path(folder: Path) -> Path:
    """Where the manifest of a data set lies."""
    return folder / META_FOLDER / MANIFEST


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a data set.

    Raises:
        BadDataError: If the folder holds no finished data set, or the manifest is not one of ours.
    """
    path = manifest_path(folder)
    try:
        if not path.is_file():
            raise BadDataError(_absence(folder))
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BadDataError(f"{path}: larger than any manifest; build the data set again")
        data = path.read_bytes()
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return decode_manifest(data, str(path))


def _absence(folder: Path) -> str:
    """What is wrong with a place that has no manifest."""
    if folder.is_file():
        return f"{folder}: a file; expected the folder of an ALP data set, as `alps build --out` names it"
    what = "an unfinished build" if (folder / META_FOLDER).is_dir() else "no ALP data set"
    return f"{folder}: {what} (no {META_FOLDER}/{MANIFEST}); build one with `alps build ... --out {folder}`"


def decode_manifest(data: bytes, path: str) -> Manifest:
    """Reads the bytes of a manifest.

    Args:
        data: The bytes.
        path: Where they come from, for messages.

    Raises:
        BadDataError: If they are no manifest, or name files elsewhere.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataError(
            f"{path}: damaged manifest ({error}); build the data set again"
        ) from error
    for name in [shard.path for shard in manifest.shards] + [manifest.quarantine.path]:
        parts = Path(name).parts
        if Path(name).is_absolute() or ".." in parts or len(parts) != 2 or "\0" in name:
            raise BadDataError(f"{path}: path {name!r} leads out of the data set")
    if problem := _contradiction(manifest):
        raise BadDataError(f"{path}: damaged manifest ({problem}); build the data set again")
    return manifest


def _contradiction(manifest: Manifest) -> str:
    """What a manifest says against itself, an empty string for nothing: its own bytes have no hash."""
    if len({shard.path for shard in manifest.shards}) < len(manifest.shards):
        return "a shard is listed twice"
    for shard in manifest.shards:
        if not shard.path.startswith(f"split={shard.split}/"):
            return f"{shard.path}: it says it is of split {shard.split!r}"
    rows, written = (
        sum(shard.rows for shard in manifest.shards),
        manifest.counts.get("alps_written"),
    )
    return "" if written in (None, rows) else f"its shards hold {rows} of {written} ALPs"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Publishes the manifest, and with it the data set."""
    write_atomic(manifest_path(folder), encode_manifest(manifest))


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as the bytes of its file."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def versions(spacy_model: str) -> dict[str, str]:
    """Versions of the program and of the packages that decide what a build writes.

    `code` is a hash of the builder's own modules: a clone that is updated keeps its version number, yet may
    build other boxes.
    """
    names = ("alp-toolkit", "spacy", "numpy", "pyarrow")
    found = {name: _version(name) for name in names}
    found[spacy_model] = _version(spacy_model)
    found["schema"] = str(SCHEMA_VERSION)
    found["code"] = _code_hash()
    return found


@functools.cache
def _code_hash() -> str:
    """SHA-256 over the modules of the builder, without its commands, audits and simulations."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def deciding_config(config: BuildConfig) -> dict[str, Any]:
    """The fields that decide what a build writes: all but those that only change its speed.

    A calibration is there whole, and its `sha256` with it.
    """
    tree = config_dict(config)
    del tree["phrases"]["spacy_batch_size"], tree["phrases"]["spacy_batch_chars"]
    del tree["shards"]["run_bytes"]
    del tree["shards"]["worker_timeout"]
    if config.calibration is None:
        del tree["calibration"]
    else:
        tree["calibration"]["sha256"] = config.calibration.sha256
    return tree


def fingerprint(
    inputs: list[ScannedInput], config: BuildConfig, package_versions: dict[str, str]
) -> dict[str, str]:
    """Hashes of what decides a build's output, by part, so that a change can be named.

    Args:
        inputs: The inputs; where they lie does not count, what is in them does.
        config: The configuration.
        package_versions: See `versions`.

    Returns:
        Hexadecimal hashes under `inputs`, `config` and `versions`.
    """
    parts: dict[str, Any] = {
        "inputs": [(entry.split, entry.size, entry.sha256) for entry in inputs],
        "config": deciding_config(config),
        "versions": package_versions,
    }
    return {
        name: hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
        for name, value in parts.items()
    }


def joint_fingerprint(parts: dict[str, str]) -> str:
    """One hash over the parts of `fingerprint`."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
