"""Benchmarks of data and evaluation, each a ratio to a named reference in the same run.

* `loader_vs_detectron2`: images/s of our mask loader over those of detectron2's `DatasetMapper` in
  its own training loader: same images, sizes to choose from, batch and workers. The two are timed
  by turns, and the ratio is that of the medians.
* `alp_rss_mb`: what a process pays for opening N ALPs and reading at random, besides the mapped
  files: growth of its anonymous memory in MB. The process starts fresh, so nothing is shared by a
  fork: an upper bound for a worker.
* `eval_vs_pycocotools`: time of pycocotools over ours for the same truth and predictions, loading
  included.

    python -m pipelines.bench_loader [--images DIR --annotations FILE] --json out.json

Without images of your own, scenes of the simulated world are drawn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from alp_builder.errors import AlpError
from alp_builder.simulate.config import SceneConfig
from alp_builder.simulate.world import simulate_scenes
from pipelines.synthetic_shards import ROWS_PER_SHARD, random_tables, write_data_set
from trainer.data.alps import AlpDataset
from trainer.data.augment import AugmentConfig
from trainer.data.cocofile import Rle, read_coco
from trainer.data.images import ImageFinder
from trainer.data.items import MaskMapper
from trainer.data.loaders import TrainSource, build_train_loader
from trainer.data.masks import MaskDataset
from trainer.evaluation.coco import Backend, precision_table
from trainer.evaluation.predictions import write_json

READS = 20_000
"""Images read at random when memory is measured."""


def simulated_images(folder: Path, scenes: int = 96) -> tuple[Path, Path]:
    """Draw scenes of the simulated world, of the size of photographs; images and annotations."""
    config = SceneConfig(train=scenes, val=0, test=0, image_size=512)
    simulate_scenes(config, folder, progress=False)
    return folder / "train", folder / "instances_train.json"


def bench_loaders(
    images: Path,
    annotations: Path,
    *,
    batch: int = 8,
    workers: int = 2,
    steps: int = 12,
    rounds: int = 3,
) -> dict[str, float]:
    """Images/s of our loader and of detectron2's on the same images.

    Args:
        images: Folder of images.
        annotations: COCO-format file.
        batch: Images of a batch.
        workers: Worker processes of each.
        steps: Batches of a round.
        rounds: How often each is timed, by turns.

    Returns:
        `ours` and `detectron2` in images/s, and `ratio`.
    """
    config = AugmentConfig()
    with tempfile.TemporaryDirectory() as cache:
        makers: dict[str, Callable[[], Iterator[Any]]] = {
            "ours": lambda: _ours(images, annotations, Path(cache), config, batch, workers),
            "detectron2": lambda: _stock(images, annotations, config, batch, workers),
        }
        speeds: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(rounds):
            for name, make in makers.items():
                stream = make()
                for _ in islice(stream, 2):  # workers have started, caches are warm
                    pass
                start = time.perf_counter()
                for _ in islice(stream, steps):
                    pass
                speeds[name].append(steps * batch / (time.perf_counter() - start))
                del stream
    result = {name: statistics.median(found) for name, found in speeds.items()}
    return result | {"ratio": result["ours"] / result["detectron2"]}


def _ours(
    images: Path, annotations: Path, cache: Path, config: AugmentConfig, batch: int, workers: int
) -> Iterator[Any]:
    names = [category.name for category in read_coco(annotations).categories]
    masks = MaskDataset(annotations, images, names, cache=cache)
    mapper = MaskMapper(config, bitmaps=_has_bitmaps(annotations))
    source = TrainSource(masks, mapper, batch)
    return iter(build_train_loader(masks=source, num_workers=workers))


def _stock(
    images: Path, annotations: Path, config: AugmentConfig, batch: int, workers: int
) -> Iterator[Any]:
    from detectron2.data import DatasetMapper, build_detection_train_loader
    from detectron2.data import transforms as T  # noqa: N812 - detectron2's own name for it
    from detectron2.data.datasets import load_coco_json

    records = [r for r in load_coco_json(str(annotations), str(images)) if r["annotations"]]
    resize = T.ResizeShortestEdge(config.short_sides, config.max_long_side, "choice")
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[resize, T.RandomFlip()],
        image_format="BGR",
        use_instance_mask=True,
        instance_mask_format="bitmask" if _has_bitmaps(annotations) else "polygon",
    )
    loader = build_detection_train_loader(
        records, mapper=mapper, total_batch_size=batch, num_workers=workers
    )
    return iter(loader)


def _has_bitmaps(annotations: Path) -> bool:
    """Whether instances other than crowds are run lengths, which detectron2 takes as bitmaps only."""
    found = read_coco(annotations).annotations
    return any(isinstance(a.segmentation, Rle) and not a.iscrowd for a in found)


class _Assumed(ImageFinder):
    """Believes in every image, so that no million files need be made."""

    def __init__(self) -> None:
        super().__init__({"open_images": tempfile.gettempdir()})

    def find(self, dataset_id: str, image_id: str) -> str | None:
        """A path of usual length."""
        return f"/data/{dataset_id}/train/{image_id}.jpg"


def memory_of_opening(folder: Path, cache: Path) -> dict[str, float]:
    """Open a data set, read at random, and say what that cost this process, in MB.

    Returns:
        `anonymous_mb`, growth of memory of its own; `mapped_mb`, size of the mapped files; `alps`.
    """
    before = _anonymous_mb()
    alps = AlpDataset.open(folder, _Assumed(), cache=cache, shapes=False)
    rng = np.random.default_rng(0)
    boxes = sum(len(alps[int(index)].boxes) for index in rng.integers(len(alps), size=READS))
    assert boxes >= READS
    grown = _anonymous_mb() - before
    return {"anonymous_mb": grown, "mapped_mb": alps.store.nbytes / 2**20, "alps": alps.num_alps}


def _anonymous_mb() -> float:
    """Anonymous and shared resident memory of this process; pages of mapped files are not in it."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1024


def bench_memory(sizes: Sequence[int]) -> dict[int, dict[str, float]]:
    """`memory_of_opening` for data sets of these many ALPs, each in a process of its own."""
    found = {}
    for alps in sizes:
        with tempfile.TemporaryDirectory() as place:
            folder, cache = Path(place) / "alps", Path(place) / "cache"
            shards = -(-alps // ROWS_PER_SHARD)
            write_data_set(folder, random_tables(alps), count=shards)
            for _ in range(2):  # the first one makes the cache
                mine = [sys.executable, "-m", "pipelines.bench_loader", "--measure"]
                command = [*mine, str(folder), str(cache)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
            found[alps] = json.loads(done.stdout)
    return found


def bench_evaluation(images: int = 500, per_image: int = 100) -> dict[str, float]:
    """Seconds of both backends for mask AP of random rectangles, and their ratio."""
    truth, predictions = _random_results(images, per_image)
    seconds: dict[str, float] = {}
    backends: tuple[Backend, Backend] = ("hotcoco", "pycocotools")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "truth.json"
        path.write_text(json.dumps(truth))
        categories = [category["id"] for category in truth["categories"]]
        tables = {}
        for backend in backends:
            start = time.perf_counter()
            tables[backend] = precision_table(path, predictions, categories, backend=backend)
            seconds[backend] = time.perf_counter() - start
    if not np.allclose(tables["hotcoco"], tables["pycocotools"], atol=1e-9):
        raise AssertionError("the backends differ; their times mean nothing")
    return seconds | {"ratio": seconds["pycocotools"] / seconds["hotcoco"]}


def _random_results(images: int, per_image: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """COCO-format truth, and predictions that are its rectangles moved a little."""
    rng = np.random.default_rng(0)
    height, width, classes = 240, 320, 40
    annotations: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        low = rng.integers(0, (width - 60, height - 60), (per_image, 2))
        size = rng.integers(8, 60, (per_image, 2))
        moved = np.hstack([low, size]) + rng.integers(-3, 4, (per_image, 4))
        boxes = np.vstack([np.hstack([low, size])[: per_image // 10], np.maximum(moved, 1)])
        codes = mask_utils.frPyObjects(boxes.astype(np.float64), height, width)
        labels = rng.integers(1, classes + 1, per_image)
        for row, (box, code) in enumerate(zip(boxes.tolist(), codes, strict=True)):
            rle = {"size": code["size"], "counts": code["counts"].decode("ascii")}
            base = {"image_id": image, "bbox": box, "segmentation": rle}
            if row < per_image // 10:
                extra = {"id": len(annotations) + 1, "iscrowd": 0, "area": box[2] * box[3]}
                annotations.append(base | extra | {"category_id": int(labels[row])})
            else:
                label = int(labels[row - per_image // 10])
                predictions.append(base | {"category_id": label, "score": float(rng.random())})
    record = {
        "images": [{"id": i, "height": height, "width": width} for i in range(1, images + 1)],
        "categories": [{"id": c, "name": f"class {c}"} for c in range(1, classes + 1)],
        "annotations": annotations,
    }
    return record, predictions


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of the module's text; the exit code."""
    parser = argparse.ArgumentParser(description="benchmarks of loader and evaluation")
    parser.add_argument("--images", type=Path, help="folder of images")
    parser.add_argument("--annotations", type=Path, help="COCO-format file of them")
    parser.add_argument("--alps", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure:
        sys.stdout.write(json.dumps(memory_of_opening(*given.measure)))
        return 0
    figures: dict[str, Any] = {}
    try:
        with tempfile.TemporaryDirectory() as place:
            if given.images is None or given.annotations is None:
                sys.stdout.write("no --images and --annotations: scenes of the simulated world\n")
                given.images, given.annotations = simulated_images(Path(place) / "world")
            speed = bench_loaders(given.images, given.annotations)
        sys.stdout.write(f"images/s: {shown(speed)}\n")
        figures["loader_vs_detectron2"] = speed["ratio"]
        memory = bench_memory(given.alps)
        for alps, found in memory.items():
            sys.stdout.write(f"{alps:,} ALPs: {shown(found)}\n")
        figures["alp_rss_mb"] = {str(n): found["anonymous_mb"] for n, found in memory.items()}
        scoring = bench_evaluation()
        sys.stdout.write(f"seconds of evaluation: {shown(scoring)}\n")
        figures["eval_vs_pycocotools"] = scoring["ratio"]
        if given.json:
            write_json(given.json, figures)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def shown(figures: dict[str, float]) -> str:
    """Figures on one line, with their names."""
    return ", ".join(f"{name} {value:,.2f}" for name, value in figures.items())


if __name__ == "__main__":
    sys.exit(main())
