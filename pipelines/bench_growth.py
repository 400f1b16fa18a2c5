"""How cost grows: with narratives, with ALPs, with workers. Cost is CPU time, speed is wall time.

- `cpu_ms_by_narratives`: CPU milliseconds a narrative of a whole build in this process, the model loaded:
  flat if a build costs the same for each narrative however many there are.
- `merge_us_by_alps`: CPU microseconds an ALP of joining, sorting and writing shards, the number of ALPs to a
  shard fixed, so that chunks and shards grow together: a cost of chunks times shards would show as a rise.
- `speed_by_workers`: wall time of a build with one worker over that with N, processes of this machine.
- `ray_vs_processes`: wall time of a build with as many processes over that on a Ray cluster of this machine,
  started and warm, as clusters are; absent without the extra `ray`.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from alp_builder.build import build
from alp_builder.chunks import ChunkTask, chunk_rows, write_rows
from alp_builder.config import BuildConfig, load_config
from alp_builder.executors import Executor
from alp_builder.extraction import AlpExtractor
from alp_builder.files import atomic_file, write_atomic
from alp_builder.inputs import Chunk, NarrativeSource, ScannedInput
from alp_builder.merging import collect, merge
from alp_builder.planning import Plan, Workplace
from alp_builder.publishing import LocalFolder
from alp_builder.ray_executor import RayExecutor
from alp_builder.shards import IMAGE_HASH, image_hashes
from pipelines.bench_alps import build_loaded, tile

CHUNK_NARRATIVES = 328
"""Narratives of real size in 8 MB, the default chunk."""

ALPS_PER_SHARD = 4096
"""So few that some hundred thousand ALPs make as many shards as some million do by default."""


def growth_with_narratives(source: Path, folder: Path, counts: list[int]) -> dict[str, float]:
    """CPU milliseconds a narrative, by number of narratives."""
    config = BuildConfig()
    extractor = AlpExtractor(config)
    build_loaded(tile(source, folder / "warm.jsonl", 60), folder / "warm", config, extractor)
    found = {}
    for count in tqdm(counts, desc="narratives"):
        file = tile(source, folder / "growth.jsonl", count)
        start = time.process_time()
        build_loaded(file, folder / "growth", config, extractor)
        found[str(count)] = (time.process_time() - start) / count * 1000
    return found


def growth_with_alps(source: Path, folder: Path, chunk_counts: list[int]) -> dict[str, float]:
    """CPU microseconds an ALP of merging, by number of ALPs."""
    config = load_config(None, [f"shards.rows_per_shard={ALPS_PER_SHARD}"])
    file = tile(source, folder / "chunk.jsonl", CHUNK_NARRATIVES)
    size = file.stat().st_size
    chunk = Chunk(number=0, source=0, start=0, end=size, first_line=1)
    task = ChunkTask(chunk=chunk, path=str(file), name="growth", output="")
    with file.open("rb") as stream:
        rows, _ = chunk_rows(stream, task, AlpExtractor(config), config)
    found = {}
    for count in tqdm(chunk_counts, desc="ALPs"):
        shutil.rmtree(folder / "merge", ignore_errors=True)
        place = Workplace(folder / "merge" / "_alps")
        plan = _plan_of(count, size)
        for number in range(count):
            with atomic_file(place.chunk(number)) as stream:
                write_rows(_renamed(rows, number), stream)
        start = time.process_time()
        collected = collect(plan, place)
        merge(plan, place, LocalFolder(folder / "merge"), collected, config, progress=False)
        seconds = time.process_time() - start
        alps = collected.counts["alps_written"]
        if alps != count * rows.num_rows:
            raise AssertionError("ALPs were lost; the time of merging them means nothing")
        found[str(alps)] = seconds / alps * 1e6
    return found


def _plan_of(chunks: int, size: int) -> Plan:
    """A plan of equal chunks of one input."""
    entry = ScannedInput(location="growth", split="train", size=size, sha256="", lines=0)
    return Plan(
        fingerprint={},
        inputs=[entry],
        files=[],
        chunks=[Chunk(number=n, source=0, start=0, end=size, first_line=1) for n in range(chunks)],
    )


def _renamed(rows: pa.Table, number: int) -> pa.Table:
    """Rows of a chunk as those of another one: other images, other narratives."""
    images = [f"{number}-{name}" for name in rows["image_id"].to_pylist()]
    narratives = [f"{number:06x}{name[6:]}" for name in rows["narrative_id"].to_pylist()]
    hashes = image_hashes(rows["dataset_id"].to_pylist(), images)
    for name, values in (("image_id", images), ("narrative_id", narratives), (IMAGE_HASH, hashes)):
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))
    return rows.take(pa.array(np.argsort(hashes, kind="stable")))


def speed_with_workers(source: Path, folder: Path, count: int, most: int) -> dict[str, float]:
    """How many times as fast a build is with N workers as with one, N from 1 to `most` by doubling."""
    file = tile(source, folder / "workers.jsonl", count)
    numbers = [1]
    while numbers[-1] * 2 <= most:
        numbers.append(numbers[-1] * 2)
    seconds = {
        n: _seconds(lambda n=n: _build(file, folder / "workers", n))  # type: ignore[misc]
        for n in tqdm(numbers, desc="workers")
    }
    return {str(n): seconds[1] / found for n, found in seconds.items()}


def ray_against_processes(source: Path, folder: Path, count: int, workers: int) -> float:
    """How many times as fast a build is on Ray as with as many processes."""
    file = tile(source, folder / "ray.jsonl", count)
    with _ray_cluster(workers):
        ray = RayExecutor()
        _build(tile(source, folder / "warm.jsonl", 400), folder / "ray", workers, ray)
        on_ray = _seconds(lambda: _build(file, folder / "ray", workers, ray))
    return _seconds(lambda: _build(file, folder / "ray", workers)) / on_ray


@contextmanager
def _ray_cluster(workers: int) -> Iterator[None]:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    try:
        yield
    finally:
        ray.shutdown()


def _build(file: Path, out: Path, workers: int, executor: Executor | None = None) -> None:
    shutil.rmtree(out, ignore_errors=True)
    source = NarrativeSource(location=str(file), split="train")
    config = load_config(None, ["shards.chunk_bytes=1048576"])  # enough chunks to share out
    if executor is None:
        build([source], out, config, workers, progress=False)
    else:
        build([source], out, config, workers, progress=False, executor=executor)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark and prints its figures.

    Args:
        arguments: Of the command line; default those of this process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("narratives", type=Path, help="simulated narratives to measure on")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--counts", type=int, nargs="+", default=[300, 1200, 4800])
    parser.add_argument("--chunks", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--worker-count", type=int, default=6000, help="narratives of a build")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="most workers")
    args = parser.parse_args(arguments)
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as name:
        folder = Path(name)
        figures["cpu_ms_by_narratives"] = growth_with_narratives(
            args.narratives, folder, args.counts
        )
        figures["merge_us_by_alps"] = growth_with_alps(args.narratives, folder, args.chunks)
        figures["speed_by_workers"] = speed_with_workers(
            args.narratives, folder, args.worker_count, args.workers
        )
        if importlib.util.find_spec("ray"):
            figures["ray_vs_processes"] = ray_against_processes(
                args.narratives, folder, args.worker_count, args.workers
            )
    for key, value in figures.items():
        sys.stdout.write(f"{key:<24}{value}\n")
    if args.json:
        write_atomic(args.json, msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
