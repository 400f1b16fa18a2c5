"""Builds on a real Ray cluster of several nodes on this machine, one of which is killed at work."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alp_builder import ray_executor
from alp_builder.chunks import ChunkTask
from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError, UsageError
from alp_builder.inputs import Chunk, find_sources
from alp_builder.ray_executor import RayExecutor
from tests.alp_builder.conftest import Builder, tree_bytes
from tests.alp_builder.s3_server import s3_server
from tests.alp_builder.simulated import simulated_records, to_line, write_narratives

SMALL = ["shards.rows_per_shard=200", "shards.chunk_bytes=20000"]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that works at nothing, for nodes to join."""
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    try:
        yield cluster
    finally:
        cluster.shutdown()


class TestWithoutCluster:
    def test_nothing_to_do_starts_nothing(self) -> None:
        assert list(RayExecutor("nowhere:1")([], BuildConfig(), 1)) == []

    def test_without_ray_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "ray", None)
        chunk = Chunk(number=0, source=0, start=0, end=1, first_line=1)
        task = ChunkTask(chunk=chunk, path="x", name="x", output="o")
        with pytest.raises(UsageError, match=r"alp-toolkit\[ray\]"):
            next(iter(RayExecutor()([task], BuildConfig(), 1)))

    def test_a_node_of_other_versions_is_refused(self) -> None:
        check = ray_executor._check_versions
        check({"numpy": "1"}, {"numpy": "1", "other": "2"}, "n")
        with pytest.raises(UsageError, match=r"node n has other versions \(numpy 2, here 1\)"):
            check({"numpy": "1"}, {"numpy": "2"}, "n")


@pytest.mark.slow
def test_a_node_dies_at_work_and_the_bytes_are_those_of_one_machine(
    cluster: Any, tmp_path: Path, build_here: Builder
) -> None:
    nodes = {node.node_id: node for node in (cluster.add_node(num_cpus=1) for _ in range(3))}
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(400))
    with file.open("ab") as stream:
        stream.write(b"not json\n")
    ray = RayExecutor(cluster.address)
    killed: list[str] = []

    def kills_one(
        tasks: list[ChunkTask], config: BuildConfig, workers: int
    ) -> Iterator[tuple[ChunkTask, int]]:
        for done in ray(tasks, config, workers):
            yield done
            if len(ray.chunks) == 2 and not killed:  # two nodes have done something, and go on
                last = next(reversed(ray.chunks))
                victim = next(n for n in nodes if n.startswith(last.rpartition("-")[2]))
                cluster.remove_node(nodes[victim], allow_graceful=False)
                killed.append(last)
                joined = cluster.add_node(num_cpus=1)
                nodes[joined.node_id] = joined

    summary = build_here(file, tmp_path / "ray", *SMALL, executor=kills_one)
    assert len(killed) == 1
    assert len(ray.chunks) >= 3
    assert summary.built == 400
    (note,) = ray.notes()
    assert all(node in note for node in ray.chunks)
    build_here(file, tmp_path / "here", *SMALL)
    assert tree_bytes(tmp_path / "ray") == tree_bytes(tmp_path / "here")


@pytest.mark.slow
def test_what_is_wrong_on_a_node_is_one_line(
    cluster: Any, tmp_path: Path, build_here: Builder
) -> None:
    cluster.add_node(num_cpus=1)
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(40))
    ray = RayExecutor(cluster.address)
    with pytest.raises(UsageError, match="'no_such_model' is not installed"):
        build_here(file, tmp_path / "out", "phrases.spacy_model=no_such_model", executor=ray)

    def vanishes(
        tasks: list[ChunkTask], config: BuildConfig, workers: int
    ) -> Iterator[tuple[ChunkTask, int]]:
        file.unlink()
        yield from ray(tasks, config, workers)

    with pytest.raises(BadDataError, match=r"x\.jsonl: cannot be read any more"):
        build_here(file, tmp_path / "out", *SMALL, executor=vanishes)


@pytest.mark.slow
def test_from_and_to_object_storage(cluster: Any, tmp_path: Path, build_here: Builder) -> None:
    """Nodes have no credentials and no folder in common: the process that builds has."""
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    lines = [to_line(record) for record in simulated_records(60)]
    with s3_server() as files:
        files.pipe("bucket/in/x.jsonl.gz", gzip.compress(b"\n".join(lines)))
        sources = find_sources(["s3://bucket/in/"], "train")
        build_here(sources, tmp_path / "here", *SMALL)
        ray = RayExecutor(cluster.address)
        work = tmp_path / "work"
        build_here(sources, "s3://bucket/alps", *SMALL, executor=ray, work=work)  # type: ignore[arg-type]
        assert sum(ray.chunks.values()) > 2
        files.invalidate_cache()
        files.get("bucket/alps/", str(tmp_path / "there"), recursive=True)
    assert tree_bytes(tmp_path / "there") == tree_bytes(tmp_path / "here")
