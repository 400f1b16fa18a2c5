"""What tests of the builder share: one loaded spaCy pipeline, builds in this process, one built data set."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from alp_builder.build import BuildSummary, build
from alp_builder.chunks import ChunkTask, build_chunk
from alp_builder.config import BuildConfig, load_config
from alp_builder.executors import Executor
from alp_builder.extraction import AlpExtractor
from alp_builder.inputs import NarrativeSource
from alp_builder.manifest import Manifest, read_manifest, write_manifest
from alp_builder.phrases import PhraseExtractor
from alp_builder.shards import logical_hash, read_shard
from tests.alp_builder.simulated import simulated_records, write_narratives

SMALL_SHARDS = ["shards.rows_per_shard=40", "shards.chunk_bytes=9000"]
"""Overrides by which a few dozen narratives fill several chunks and shards."""


@pytest.fixture(scope="session")
def phrase_extractor() -> PhraseExtractor:
    """The default spaCy pipeline, loaded once for all tests."""
    return PhraseExtractor(BuildConfig().phrases)


@pytest.fixture(scope="session")
def alp_extractor(phrase_extractor: PhraseExtractor) -> AlpExtractor:
    """The method under the default configuration."""
    return AlpExtractor(BuildConfig(), phrase_extractor)


@pytest.fixture(scope="session")
def here(phrase_extractor: PhraseExtractor) -> Executor:
    """An executor that runs tasks in this process with the pipeline at hand."""

    def run(
        tasks: list[ChunkTask], config: BuildConfig, workers: int
    ) -> Iterator[tuple[ChunkTask, int]]:
        before = phrase_extractor.config
        phrase_extractor.config = config.phrases
        try:
            for task in tasks:
                yield task, build_chunk(task, AlpExtractor(config, phrase_extractor), config)
        finally:
            phrase_extractor.config = before

    return run


class Builder(Protocol):
    """Builds in this process; see `build_here`."""

    def __call__(
        self,
        inputs: Path | dict[str, Path] | list[NarrativeSource],
        out: Path,
        *overrides: str,
        **options: Any,
    ) -> BuildSummary: ...


@pytest.fixture(scope="session")
def build_here(here: Executor) -> Builder:
    """`build` of a file, a dict of split to file, or sources, with overrides as of `--set`."""

    def run(
        inputs: Path | dict[str, Path] | list[NarrativeSource],
        out: Path,
        *overrides: str,
        **options: Any,
    ) -> BuildSummary:
        if isinstance(inputs, Path):
            inputs = {"train": inputs}
        if isinstance(inputs, dict):
            inputs = [NarrativeSource(location=str(p), split=s) for s, p in inputs.items()]
        config = load_config(None, list(overrides))
        options = {"executor": here, "progress": False} | options
        return build(inputs, out, config, **options)

    return run


@pytest.fixture(scope="session")
def inputs_of_two_splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Simulated narratives of a `train` and a `val` split."""
    folder = tmp_path_factory.mktemp("inputs")
    records = simulated_records(48)
    return {
        "train": write_narratives(folder / "train.jsonl", records[:36]),
        "val": write_narratives(folder / "val.jsonl", records[36:]),
    }


@pytest.fixture(scope="session")
def built(
    tmp_path_factory: pytest.TempPathFactory,
    build_here: Builder,
    inputs_of_two_splits: dict[str, Path],
) -> Path:
    """A data set of two splits and several shards. Never written to: see `copy_of_built`."""
    out = tmp_path_factory.mktemp("built") / "alps"
    build_here(inputs_of_two_splits, out, *SMALL_SHARDS, "with_traces=true")
    return out


@pytest.fixture
def copy_of_built(built: Path, tmp_path: Path) -> Path:
    """A copy of `built` to do harm to."""
    return Path(shutil.copytree(built, tmp_path / "copy"))


@pytest.fixture
def sign_again() -> Callable[..., Manifest]:
    """Makes the manifest agree with the files again, so that only deeper checks find what is wrong."""

    def sign(folder: Path, **changes: Any) -> Manifest:
        manifest = read_manifest(folder)
        shards = []
        for shard in manifest.shards:
            path = folder / shard.path
            table = read_shard(path)
            fields = {
                "rows": table.num_rows,
                "size": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "logical_sha256": logical_hash(table),
            }
            shards.append(msgspec.structs.replace(shard, **fields))
        rows = sum(shard.rows for shard in shards)
        counts = manifest.counts | {"alps_written": rows, "alps": rows}
        manifest = msgspec.structs.replace(manifest, shards=shards, counts=counts, **changes)
        write_manifest(folder, manifest)
        return manifest

    return sign


def tree_bytes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a data set except the locks, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", "plan.lock")
    }
