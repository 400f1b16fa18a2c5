"""Files the trainer reads, damaged after they were written well: one line, or what they really hold."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save

from alp_builder.reader import open_alps
from tests.faults.judge import Judge
from tests.faults.mutate import ODD, mutated_bytes
from tests.faults.subject import REPORTS, Subject, try_often
from trainer.data.alps import AlpDataset
from trainer.data.arraystore import ArrayStore, publish
from trainer.data.images import ImageFinder
from trainer.data.items import MaskMapper, read_image
from trainer.data.masks import MaskDataset
from trainer.engine.checkpoint import load_checkpoint, load_weights, save_checkpoint
from trainer.engine.config import load_config
from trainer.evaluation.coco import evaluate_coco
from trainer.evaluation.evaluator import read_hierarchy
from trainer.evaluation.open_images import evaluate_open_images
from trainer.evaluation.predictions import read_predictions
from trainer.evaluation.splits import load_split, split_of_all
from trainer.modeling.text_encoders.table import TableEncoder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

Make = Callable[[Path, Path], Subject]
"""Makes a subject in a folder of its own, beside a copy of the made-up world."""

OFTEN = 700
"""Cases of each subject by `make faults`; the default suite tries a part of them."""

CLASSES = ("dog", "cat")


def same(one: Any, two: Any) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and torch.equal(one, two)
    if isinstance(one, dict):
        return (
            isinstance(two, dict)
            and one.keys() == two.keys()
            and all(same(one[k], two[k]) for k in one)
        )
    return bool(one == two)


def _checkpoints(folder: Path, world: Path) -> Subject:
    path = folder / "step_0000007.pt"
    draw = torch.Generator().manual_seed(0)
    weights = {f"layer{i}.weight": torch.randn(17, 5, generator=draw) for i in range(6)}
    moments = {0: {"exp_avg": torch.randn(17, 5, generator=draw), "step": 7}}
    state = {
        "step": 7, "model": weights, "optimizer": {"state": moments, "param_groups": [{"lr": 0.1}]},
        "scaler": {}, "average": None, "info": {"model": "FCOSMO", "base": ["dog"], "text": "hash"},
    }  # fmt: skip
    save_checkpoint(path, state)

    def wrong(found: Any, data: bytes) -> str:
        return "" if same(found, {"format": 1, **state}) else "another state than was saved"

    return Subject(
        "checkpoints", path, lambda: load_checkpoint(path), path.read_bytes(), wrong=wrong
    )


def _weights(folder: Path, world: Path) -> Subject:
    path = folder / "weights.pth"
    weights = {"a": torch.arange(60.0), "b": torch.arange(12).reshape(3, 4)}
    torch.save(weights, path)
    wrong = lambda found, data: "" if same(found, weights) else "other weights"  # noqa: E731
    return Subject(
        "weights of others", path, lambda: load_weights(path), path.read_bytes(), wrong=wrong
    )


def _safetensors(folder: Path, world: Path) -> Subject:
    """The format has no check sum: values may change unseen, names and shapes may not break anything."""
    path = folder / "weights.safetensors"
    good = save({"a": torch.arange(60.0), "b": torch.arange(12).reshape(3, 4)})

    def wrong(found: Any, data: bytes) -> str:
        return "" if all(isinstance(v, torch.Tensor) for v in found.values()) else "no tensors"

    return Subject("safetensors", path, lambda: load_weights(path), good, wrong=wrong)


def coco_tree(world: Path) -> dict[str, Any]:
    """The world's COCO file with masks in all three forms."""
    from pycocotools import mask as mask_utils

    tree = json.loads((world / "instances.json").read_bytes())
    mask = np.zeros((60, 80), np.uint8, order="F")
    mask[5:30, 9:50] = 1
    code = mask_utils.encode(mask)["counts"].decode()
    things = tree["annotations"]
    things[0]["segmentation"] = {"size": [60, 80], "counts": code}
    things[1]["segmentation"] = {"size": [60, 80], "counts": [100, 200, 4500]}
    return dict(tree)


def _masks(folder: Path, world: Path) -> Subject:
    path, cache = folder / "instances.json", folder / "cache"
    mapper = MaskMapper(bitmaps=True)
    names = [c["name"] for c in coco_tree(world)["categories"]][:2]

    def use() -> Any:
        shutil.rmtree(cache, ignore_errors=True)
        data = MaskDataset(path, world / "train", names, cache=cache, max_missing=1.0)
        records = [data[index] for index in range(min(len(data), 2))]
        return records, [mapper(record, np.random.default_rng(0)) for record in records]

    def wrong(found: Any, data: bytes) -> str:
        for record in found[0]:
            if not np.isfinite(record.boxes).all() or (record.boxes < 0).any():
                return f"boxes {record.boxes}"
            if (record.boxes[:, 2:] > (record.width, record.height)).any():
                return f"a box outside the image: {record.boxes}"
        return ""

    good = json.dumps(coco_tree(world)).encode()
    return Subject("COCO files, trained on", path, use, good, True, wrong)


def _results(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Predictions that are the first instances of a COCO file."""
    from pycocotools import mask as mask_utils

    sizes = {i["id"]: (i["height"], i["width"]) for i in tree["images"]}
    found = []
    for thing in tree["annotations"][:6]:
        height, width = sizes[thing["image_id"]]
        x, y, w, h = map(int, thing["bbox"])
        mask = np.zeros((height, width), np.uint8, order="F")
        mask[y : y + h, x : x + w] = 1
        code = mask_utils.encode(mask)["counts"].decode()
        found.append({
            "image_id": thing["image_id"], "category_id": thing["category_id"], "score": 0.5,
            "bbox": [x, y, w, h], "segmentation": {"size": [height, width], "counts": code},
        })  # fmt: skip
    return found


def _figures_wrong(metrics: dict[str, Any], data: bytes) -> str:
    values = [v for group in metrics.values() if isinstance(group, dict) for v in group.values()]
    numbers = [v for v in values if isinstance(v, float) and v == v]
    return "" if all(0 <= v <= 1 for v in numbers) else f"figures outside 0 to 1: {numbers}"


def _evaluated(protocol: str) -> Make:
    def make(folder: Path, world: Path) -> Subject:
        path, tree = folder / "truth.json", coco_tree(world)
        results = _results(tree)

        def use() -> Any:
            split = split_of_all([c["name"] for c in tree["categories"]][:2])
            if protocol == "coco":
                return evaluate_coco(path, results, split)
            from trainer.data.cocofile import read_coco

            return evaluate_open_images(read_coco(path), results, split)

        good = json.dumps(tree).encode()
        return Subject(
            f"COCO files, evaluated on ({protocol})", path, use, good, True, _figures_wrong
        )

    return make


def _predictions(protocol: str) -> Make:
    def make(folder: Path, world: Path) -> Subject:
        path, truth, tree = folder / "results.json", folder / "truth.json", coco_tree(world)
        truth.write_text(json.dumps(tree))
        split = split_of_all([c["name"] for c in tree["categories"]])

        def use() -> Any:
            from trainer.data.cocofile import read_coco

            found = read_predictions(path)
            if protocol == "coco":
                return evaluate_coco(truth, found, split)
            return evaluate_open_images(read_coco(truth), found, split)

        good = json.dumps(_results(tree)).encode()
        return Subject(f"predictions ({protocol})", path, use, good, True, _figures_wrong)

    return make


def _images(suffix: str) -> Make:
    def make(folder: Path, world: Path) -> Subject:
        path = folder / f"photo{suffix}"
        pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
        cv2.imwrite(str(path), cv2.resize(pixels, (80, 60), interpolation=cv2.INTER_CUBIC))
        good = path.read_bytes()

        def wrong(image: Any, data: bytes) -> str:
            if len(data) < len(good) and good.startswith(data):
                return "" if np.array_equal(image, read_from(good)) else "a file cut short was read"
            return "" if image.shape == (60, 80, 3) else f"an image of {image.shape}"

        return Subject(
            f"{suffix} images",
            path,
            lambda: read_image(str(path), size=(60, 80)),
            good,
            wrong=wrong,
        )

    def read_from(data: bytes) -> Any:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    return make


def _shards(folder: Path, world: Path) -> Subject:
    alps = Path(shutil.copytree(world / "alps", folder / "alps"))
    path = alps / open_alps(alps).manifest.shards[0].path
    finder = ImageFinder({"simulated_world": world}, max_missing=1.0)
    whole = path.read_bytes()

    def use() -> Any:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        data = AlpDataset.open(alps, finder, cache=folder / "cache", shapes=False)
        return [data[index] for index in range(len(data))]

    wrong = lambda _, data: "" if data == whole else "a damaged shard was read"  # noqa: E731
    return Subject("Parquet shards, trained on", path, use, whole, wrong=wrong)


def _stores(folder: Path, world: Path) -> Subject:
    publish(folder / "store", {"box": np.ones((9, 4), np.float32), "first": np.arange(4)}, {"x": 1})
    path = folder / "store" / "box.npy"

    def use() -> Any:
        store = ArrayStore(folder / "store")
        return {name: store[name].sum() for name in store.info["arrays"]}

    return Subject("array caches", path, use, path.read_bytes())


def _csvs(folder: Path, world: Path) -> Subject:
    path = folder / "images.csv"
    rows = "dataset_id,image_id,file_name\nd,1,000000001.jpg\nd,2,../../x.jpg\nd,3,/etc/passwd\n"

    def use() -> Any:
        finder = ImageFinder(csv_file=path, csv_root=world / "train")
        return [finder.find("d", str(number)) for number in range(5)]

    def wrong(found: Any, data: bytes) -> str:
        inside = str((world / "train").resolve())
        return next((f"leads out: {f}" for f in found if f and not f.startswith(inside)), "")

    return Subject("CSV files of images, trained on", path, use, rows.encode(), wrong=wrong)


def _splits(folder: Path, world: Path) -> Subject:
    path = folder / "split.json"
    good = b'{"base": ["dog", "tree"], "novel": ["cat"]}'

    def wrong(split: Any, data: bytes) -> str:
        return "a class both base and novel" if set(split.base) & set(split.novel) else ""

    return Subject("class splits", path, lambda: load_split(path), good, True, wrong)


def _hierarchies(folder: Path, world: Path) -> Subject:
    from trainer.data.cocofile import CocoCategory, CocoFile

    path = folder / "hierarchy.json"
    animal = {
        "LabelName": "/m/0jbk",
        "Subcategory": [{"LabelName": "/m/0bt9lr"}, {"LabelName": "/m/01yrx"}],
    }
    truth = CocoFile([], [CocoCategory(1, "Animal"), CocoCategory(2, "Dog")])
    good = json.dumps({"LabelName": "/m/0bl9f", "Subcategory": [animal]}).encode()
    return Subject("hierarchies", path, lambda: read_hierarchy(truth, path), good, True)


def _tables(folder: Path, world: Path) -> Subject:
    path, target = folder / "vectors.npy", io.BytesIO()
    np.save(target, np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32))

    def use() -> Any:
        return TableEncoder(path, ["dog", "cat", "tree"]).encode(["dog", "tree"])

    wrong = lambda found, data: "" if np.isfinite(found).all() else "not finite"  # noqa: E731
    return Subject("tables of text vectors", path, use, target.getvalue(), wrong=wrong)


SUBJECTS: dict[str, Make] = {
    "checkpoints": _checkpoints,
    "weights": _weights,
    "safetensors": _safetensors,
    "coco": _masks,
    "truth_coco": _evaluated("coco"),
    "truth_open_images": _evaluated("open_images"),
    "predictions_coco": _predictions("coco"),
    "predictions_open_images": _predictions("open_images"),
    "jpg": _images(".jpg"),
    "png": _images(".png"),
    "webp": _images(".webp"),
    "tiff": _images(".tiff"),
    "shards": _shards,
    "stores": _stores,
    "image_csv": _csvs,
    "splits": _splits,
    "hierarchies": _hierarchies,
    "vectors": _tables,
}


@pytest.mark.parametrize("count", [60, pytest.param(OFTEN, marks=pytest.mark.faults)])
@pytest.mark.parametrize("name", list(SUBJECTS))
def test_mutated_files(name: str, count: int, tmp_path: Path, world: Path) -> None:
    judge = try_often(SUBJECTS[name](tmp_path, world), count, tmp_path / "kept")
    assert judge.counts["refused"] + judge.counts["read"] == count


_CONFIG = Path(__file__).parents[3] / "trainer" / "configs" / "fcosmo_tiny_world.py"
_KEYS = (
    "optimizer.lr",
    "train.loop.max_steps",
    "data.train.num_workers",
    "model.size_limit",
    "schedule",
    "",
)


@pytest.mark.parametrize("count", [30, pytest.param(OFTEN, marks=pytest.mark.faults)])
def test_mutated_overrides(count: int, tmp_path: Path) -> None:
    """Words of the command line: a config comes back, or one line."""
    judge, rng = Judge("overrides", tmp_path / "kept"), random.Random(0)
    for number in range(count):
        word = f"{rng.choice(_KEYS)}={rng.choice(ODD)}"
        if rng.random() < 0.5:
            word = mutated_bytes(word.encode(errors="replace"), rng, 2).decode(errors="replace")
        judge(
            lambda word=word: load_config(_CONFIG, [word]),
            word.encode(errors="replace"),
            f"{number}.txt",
        )
    REPORTS.append(judge.report())
    assert judge.counts["refused"]
    assert judge.counts["read"]
