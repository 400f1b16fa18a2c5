"""Files that were damaged after they were written well: refused in one line, or read as what they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard
from PIL import Image
from pycocotools import mask as mask_utils

from alp_builder.audit.coco import CocoTruth, read_truth
from alp_builder.audit.gold import read_gold
from alp_builder.build import build
from alp_builder.cached_file import CachedFile, Record
from alp_builder.calibration import (
    INPUTS,
    SHIFT_FEATURES,
    SIDE_FEATURES,
    calibrated_boxes,
    made_with,
    read_calibration,
)
from alp_builder.cli import main
from alp_builder.cli.build import _config_lines
from alp_builder.config import BuildConfig, load_config
from alp_builder.copies import localise
from alp_builder.executors import Executor
from alp_builder.inputs import NarrativeSource
from alp_builder.manifest import manifest_path
from alp_builder.narratives import read_narratives
from alp_builder.page import PageConfig, PageRequest, write_page
from alp_builder.page.image_files import ImageFiles
from alp_builder.page.pictures import encode, link
from alp_builder.reader import open_alps, read_alps
from alp_builder.validation import validate
from tests.alp_builder.conftest import SMALL_SHARDS, tree_bytes
from tests.alp_builder.simulated import simulated_records, to_line
from tests.faults.subject import Subject, try_often

Make = Callable[[Path, Path], Subject]
"""Makes a subject in a folder of its own, beside a copy of a data set."""

OFTEN = 700
"""Cases of each subject by `make faults`; the default suite tries a part of them."""


def _shards(folder: Path, alps: Path) -> Subject:
    path = alps / open_alps(alps).manifest.shards[0].path
    good, whole = read_alps(alps), path.read_bytes()

    def use() -> Any:
        table = read_alps(alps)
        validate(alps, progress=False)
        return table

    def wrong(table: Any, data: bytes) -> str:
        return "" if data == whole and table.equals(good) else "a damaged shard was read"

    return Subject("Parquet shards", path, use, whole, wrong=wrong)


def _manifests(folder: Path, alps: Path) -> Subject:
    good, path = read_alps(alps), manifest_path(alps)

    def wrong(table: Any, data: bytes) -> str:
        return "" if table.equals(good) else "other rows than were built"

    return Subject("manifests", path, lambda: read_alps(alps), path.read_bytes(), True, wrong)


def _manifests_validated(folder: Path, alps: Path) -> Subject:
    path = manifest_path(alps)
    use = lambda: validate(alps, progress=False)  # noqa: E731
    return Subject("manifests, validated", path, use, path.read_bytes(), True)


def _quarantines(folder: Path, alps: Path) -> Subject:
    path = alps / open_alps(alps).manifest.quarantine.path
    line = {
        "file": "x",
        "line": 1,
        "byte_offset": 0,
        "reason": "not_json",
        "detail": "",
        "sha256": "",
    }
    path.write_bytes(json.dumps(line).encode() + b"\n")
    manifest = json.loads(manifest_path(alps).read_bytes())
    manifest["quarantine"] |= {
        "records": 1,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    manifest["counts"]["rejected.not_json"] = 1
    manifest_path(alps).write_text(json.dumps(manifest))
    good = path.read_bytes()
    use = lambda: validate(alps, progress=False)  # noqa: E731
    wrong = lambda _, data: "" if data == good else "a changed quarantine was accepted"  # noqa: E731
    return Subject("quarantine files", path, use, good, True, wrong)


def _configs(folder: Path, alps: Path) -> Subject:
    good = "\n".join(_config_lines(BuildConfig())).encode()

    def wrong(config: BuildConfig, data: bytes) -> str:
        again = msgspec.convert(msgspec.to_builtins(config), BuildConfig)
        return "" if again == config else "a configuration that its own rules refuse"

    path = folder / "config.toml"
    return Subject("configurations", path, lambda: load_config(path), good, wrong=wrong)


def _calibrations(folder: Path, alps: Path) -> Subject:
    path = folder / "calibration.json"
    rows = {name: np.linspace(0.1, 0.9, 6) for name in INPUTS} | {"head_lemma": ["dog"] * 6}
    tree = {
        "side": dict.fromkeys(SIDE_FEATURES, 0.1),
        "shift": dict.fromkeys(SHIFT_FEATURES, 0.1),
        "made_with": made_with(BuildConfig()),
    }

    def wrong(boxes: Any, data: bytes) -> str:
        inside = np.isfinite(boxes).all() and (boxes >= 0).all() and (boxes <= 1).all()
        return "" if inside else "calibrated boxes outside the image"

    def use() -> Any:
        return calibrated_boxes(read_calibration(path), rows)

    return Subject("calibrations", path, use, json.dumps(tree).encode(), True, wrong)


def coco_tree() -> dict[str, Any]:
    """A COCO file of two images and masks in all three forms."""
    side = 40
    things = [
        {
            "segmentation": [[2.0, 2.0, 30.0, 2.5, 30.0, 20.0, 2.0, 20.0]],
            "bbox": [2.0, 2.0, 28.0, 18.0],
        },
        {
            "segmentation": {"size": [side, side], "counts": [100, 50, 1450]},
            "bbox": [2.0, 0.0, 2.0, 40.0],
        },
        {
            "segmentation": {"size": [side, side], "counts": _compressed(side)},
            "bbox": [5.0, 3.0, 20.0, 27.0],
        },
        {"bbox": [5.0, 5.0, 10.0, 10.0]},
    ]
    return {
        "info": {"dataset_id": "x"},
        "images": [
            {"id": 1, "file_name": "000000000001.jpg", "width": side, "height": side},
            {"id": 2, "file_name": "b.jpg", "width": side, "height": side},
        ],
        "annotations": [
            {
                "id": n + 1,
                "image_id": 1 + n % 2,
                "category_id": 1 + n % 2,
                "iscrowd": 0,
                "area": 9.0,
                **thing,
            }
            for n, thing in enumerate(things)
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }


def _compressed(side: int) -> str:
    mask = np.zeros((side, side), np.uint8, order="F")
    mask[3:30, 5:25] = 1
    return str(mask_utils.encode(mask)["counts"].decode())


def _cocos(folder: Path, alps: Path) -> Subject:
    path = folder / "instances.json"

    def use() -> Any:
        truth = CocoTruth(path)
        return truth, [truth.mask(number) for number in range(len(truth))]

    def wrong(read: Any, data: bytes) -> str:
        truth, masks = read
        if not np.isfinite(truth.boxes).all() or (abs(truth.boxes - 0.5) > 0.5).any():
            return "a box outside its image"
        too_large = any(m.area > m.width * m.height for m in masks)
        return "a mask larger than its image" if too_large else ""

    return Subject("COCO files, audited", path, use, json.dumps(coco_tree()).encode(), True, wrong)


def _narrated(folder: Path, alps: Path) -> Subject:
    path, out = folder / "instances.json", folder / "out.jsonl"
    words = [
        "simulate",
        "narratives",
        "--coco",
        str(path),
        "--profile",
        "clean",
        "--out",
        str(out),
        "--json",
    ]

    def use() -> int:
        out.unlink(missing_ok=True)
        parsed = main.make_parser().parse_args(words)
        return int(parsed.run(parsed))

    def wrong(code: int, data: bytes) -> str:
        read = read_narratives(out, 0, out.stat().st_size, 1, BuildConfig().input)
        return "the narrator wrote records that the builder sets aside" if read.rejected else ""

    return Subject("COCO files, narrated", path, use, json.dumps(coco_tree()).encode(), True, wrong)


def _gold(folder: Path, alps: Path) -> Subject:
    path = folder / "gold.csv"
    header = "dataset_id,image_id,caption,char_start,char_end,x0,y0,x1,y1,is_group,is_stuff\n"
    rows = "".join(f"d,i{n},a red dog,2,{n + 4},0.1,0.2,0.3,0.4,0,{n % 2}\n" for n in range(5))

    def wrong(gold: Any, data: bytes) -> str:
        boxes = np.concatenate(gold.boxes)
        return "" if (boxes[:, :2] < boxes[:, 2:]).all() else "a box without area"

    return Subject(
        "gold boxes", path, lambda: read_gold(path), (header + rows).encode(), wrong=wrong
    )


def _sides(folder: Path, alps: Path) -> Subject:
    path = folder / "x.truth.jsonl"
    coco = folder / "coco.json"
    coco.write_text(json.dumps(coco_tree()))
    said = folder / "x.jsonl"
    words = [
        "simulate",
        "narratives",
        "--coco",
        str(coco),
        "--profile",
        "clean",
        "--out",
        str(said),
        "--json",
    ]
    assert main.main(words) == 0
    return Subject("truth of narrators", path, lambda: read_truth(path), path.read_bytes())


def _photo(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    target = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(target, kind, exif=exif)
    return target.getvalue()


def _pictures(kind: str) -> Make:
    def make(folder: Path, alps: Path) -> Subject:
        path = folder / f"photo.{kind.lower()}"
        config = PageConfig()

        def use() -> Any:
            return encode(path, 10**6, config), link(path, folder / "page.html", config)

        def wrong(found: Any, data: bytes) -> str:
            for picture in found:
                if bool(picture.problem) == bool(picture.data or picture.link):
                    return f"a picture that neither shows nor says why: {picture}"
            return ""

        return Subject(f"{kind} files on a page", path, use, _photo(kind), wrong=wrong)

    return make


def _csvs(folder: Path, alps: Path) -> Subject:
    path = folder / "images.csv"
    (folder / "a.jpg").write_bytes(_photo("JPEG"))
    rows = "dataset_id,image_id,file_name\nd,1,a.jpg\nd,2,../a.jpg\nd,3,/etc/passwd\n"

    def use() -> Any:
        files = ImageFiles([], path)
        return [files.find("d", str(number)) for number in range(5)]

    def wrong(found: Any, data: bytes) -> str:
        outside = [file for file in found if file and file.parent != folder.resolve()]
        return f"leads out of the folder: {outside}" if outside else ""

    return Subject("CSV files of images", path, use, rows.encode(), wrong=wrong)


def _predictions(folder: Path, alps: Path) -> Subject:
    path = folder / "results.json"
    tree = coco_tree()
    (folder / "instances.json").write_text(json.dumps(tree))
    results = [
        {"image_id": t["image_id"], "category_id": t["category_id"], "score": 0.5, "bbox": t["bbox"],
         "segmentation": t.get("segmentation")} for t in tree["annotations"]
    ]  # fmt: skip

    def use() -> str:
        request = PageRequest(predictions=path)
        write_page(request, folder / "page.html", PageConfig(sample=0), progress=False)
        return (folder / "page.html").read_text()

    return Subject("predictions on a page", path, use, json.dumps(results).encode(), True)


def _records(folder: Path, alps: Path) -> Subject:
    path = folder / ".file.json"
    (folder / "file").write_bytes(b"abc")
    good = msgspec.json.encode(Record(url="https://x", total=3, validator='"a"', md5="0" * 32))
    file = CachedFile(folder / "file")
    return Subject(
        "records of downloads", path, lambda: (file.record(), file.is_complete()), good, True
    )


def _archives(suffix: str) -> Make:
    def make(folder: Path, alps: Path) -> Subject:
        plain = b"".join(to_line(record) + b"\n" for record in simulated_records(8))
        packed = gzip.compress(plain) if suffix == ".gz" else zstandard.compress(plain)
        path = folder / f"x.jsonl{suffix}"

        def use() -> Any:
            shutil.rmtree(folder / "copies", ignore_errors=True)
            source = NarrativeSource(location=str(path), split="train")
            copy = localise(source, folder / "copies", 200)
            return read_narratives(copy, 0, copy.stat().st_size, 1, BuildConfig().input)

        def wrong(read: Any, data: bytes) -> str:
            total = len(read.rejected) + sum(
                n for name, n in read.counts.items() if name != "lines"
            )
            return "" if total == read.counts["lines"] else "a line is not accounted for"

        return Subject(f"packed narratives ({suffix})", path, use, packed, wrong=wrong)

    return make


SUBJECTS: dict[str, Make] = {
    "shards": _shards,
    "manifests": _manifests,
    "manifests_validated": _manifests_validated,
    "quarantines": _quarantines,
    "configs": _configs,
    "calibrations": _calibrations,
    "coco_audited": _cocos,
    "coco_narrated": _narrated,
    "gold": _gold,
    "truth": _sides,
    "jpeg": _pictures("JPEG"),
    "png": _pictures("PNG"),
    "webp": _pictures("WEBP"),
    "image_csv": _csvs,
    "predictions": _predictions,
    "download_records": _records,
    "gz": _archives(".gz"),
    "zst": _archives(".zst"),
}


@pytest.mark.parametrize("count", [60, pytest.param(OFTEN, marks=pytest.mark.faults)])
@pytest.mark.parametrize("name", list(SUBJECTS))
def test_mutated_files(name: str, count: int, tmp_path: Path, copy_of_built: Path) -> None:
    subject = SUBJECTS[name](tmp_path, copy_of_built)
    judge = try_often(subject, count, tmp_path / "kept")
    assert judge.counts["refused"] + judge.counts["read"] == count


@pytest.mark.parametrize("count", [6, pytest.param(100, marks=pytest.mark.faults)])
@pytest.mark.parametrize("which", ["plan.json", "chunks/*.arrow", "shards/*/*.json"])
def test_mutated_work_of_an_interrupted_build(
    which: str, count: int, tmp_path: Path, inputs_of_two_splits: dict[str, Path], here: Executor
) -> None:
    """Goes on from what is there, starts afresh, or says which file to delete."""
    out = tmp_path / "out"
    sources = [NarrativeSource(location=str(p), split=s) for s, p in inputs_of_two_splits.items()]
    config = load_config(None, SMALL_SHARDS)

    def stop(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(sources, out, config, 1, False, here, stop)
    kept = shutil.copytree(out, tmp_path / "interrupted")
    path = next((out / "_alps" / "work").glob(which))
    good = path.read_bytes()

    def use() -> Any:
        data = path.read_bytes()
        shutil.rmtree(out)
        shutil.copytree(kept, out)
        path.write_bytes(data)
        build(sources, out, config, 1, False, here)
        validate(out, progress=False)
        return tree_bytes(out)

    subject = Subject(f"work files ({which})", path, use, good, which.endswith("json"))
    try_often(subject, count, tmp_path / "kept")
