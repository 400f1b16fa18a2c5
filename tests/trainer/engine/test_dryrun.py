"""A dry run names every file a recipe reads, what is wrong with it, and whether the files fit together.

The data roots are small ones of real photographs and class lists, laid out as docs/recipes.md says.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from pipelines.synthetic_shards import table_of, write_data_set
from tests.trainer.engine.commands import changes, command
from trainer import train
from trainer.engine.config import load_config
from trainer.engine.dryrun import Need, needs_of, report
from trainer.evaluation.open_images_masks import main as convert
from trainer.evaluation.splits import class_facts

CONFIGS = Path(__file__).parents[3] / "trainer" / "configs"
RECIPES = sorted(path.name for path in CONFIGS.glob("*_r50_*.py"))
COCO = [name for name in RECIPES if "openimages" not in name]
OPEN_IMAGES = [name for name in RECIPES if "openimages" in name]
DOG = "/m/0bt9lr"


def coco_root(root: Path, shared: Path) -> None:
    """Five photographs of each split of COCO with all they are annotated with."""
    tiny = shared / "coco_tiny"
    (root / "coco" / "annotations").mkdir(parents=True)
    for part in ("train2017", "val2017"):
        record = json.loads((tiny / f"annotations/instances_{part}.json").read_text())
        record["images"] = record["images"][:5]
        ids = {image["id"] for image in record["images"]}
        record["annotations"] = [a for a in record["annotations"] if a["image_id"] in ids]
        (root / "coco" / part).mkdir()
        for image in record["images"]:
            shutil.copy(tiny / part / image["file_name"], root / "coco" / part)
        path = root / f"coco/annotations/instances_{part}.json"
        path.write_text(json.dumps(record))


def alps(folder: Path, dataset_id: str, image_ids: list[str]) -> None:
    """ALPs of some images."""
    rows = [
        {"dataset_id": dataset_id, "image_id": i, "phrase_text": "dog", "head_lemma": "dog"}
        for i in image_ids
    ]
    write_data_set(folder, [table_of(rows)], count=1, split="train")


def open_images_root(root: Path, shared: Path) -> None:
    """Photographs of Open Images, test truth by the converter, the challenge's hierarchy."""
    source = shared / "open_images_masks" / "dog"
    photos = sorted(source.glob("images/*.jpg"))
    hierarchy = "rvc_oid-challenge-2019-label300-segmentable-hierarchy.json"
    for part in ("train", "test"):
        folder = root / "open_images" / part
        folder.mkdir(parents=True)
        chosen = photos[:2] if part == "train" else photos[2:]
        for photo in chosen:
            shutil.copy(photo, folder)
        rows = [
            {"ImageID": p.stem, "LabelName": DOG, "XMin": 0.1, "XMax": 0.9, "YMin": 0.1, "YMax": 0.9,
             "IsGroupOf": 0}
            for p in chosen
        ]  # fmt: skip
        table = root / f"{part}.csv"
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        truth = root / f"open_images/instances_{part}.json"
        assert convert([f"--boxes={table}", f"--images={folder}", f"--out={truth}"]) == 0
    shutil.copy(shared / "class_lists" / hierarchy, root / "open_images" / "hierarchy.json")


@pytest.fixture(scope="module")
def whole(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    coco_root(root, shared_data)
    open_images_root(root, shared_data)
    ids = [p.stem for p in (root / "coco/train2017").glob("*.jpg")]
    alps(root / "coco_alps", "mscoco_train2017", [i.lstrip("0") for i in ids])
    ids = [p.stem for p in (root / "open_images/train").glob("*.jpg")]
    alps(root / "open_images_alps", "open_images_train", ids)
    return root


def overrides(root: Path, recipe: str) -> list[str]:
    alps_of = "open_images_alps" if "openimages" in recipe else "coco_alps"
    return [f"data.root={root}", f"data.alps={root / alps_of}"]


def dry_run(root: Path, recipe: str) -> int:
    config = str(CONFIGS / recipe)
    return train.main(["--config-file", config, "--dry-run", *overrides(root, recipe)])


# ------------------------------------------------------------------ a root that is whole


def test_the_class_lists_are_the_published_ones(shared_data: Path) -> None:
    lists = shared_data / "class_lists"
    listed = lists / "rvc_oid-challenge-2019-classes-description-segmentable300.csv"
    rows = list(csv.reader(listed.read_text().splitlines()))
    assert {name: label for label, name in rows} == dict(class_facts().open_images)
    names = (lists / "rvc_coco-labels-2014_2017.txt").read_text().splitlines()
    assert {n.partition(": ")[2] or n for n in names if n.strip()} >= set(class_facts().coco)


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_is_missing_of_a_whole_root(
    recipe: str, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = dry_run(whole, recipe)
    out = capsys.readouterr().out
    assert code == 0, out
    assert "nothing is missing" in out
    assert "classes to learn are among its categories" in out
    assert "classes to score are among its categories" in out
    assert "none of its images is trained on" in out


@pytest.mark.parametrize("recipe", RECIPES)
def test_of_an_empty_root_every_file_is_named(recipe: str) -> None:
    lines, missing, _ = report(load_config(CONFIGS / recipe, ["data.root=/nowhere"]))
    assert missing == len(lines) >= 4
    assert any("/nowhere/coco/annotations/instances_train2017.json" in line for line in lines)


# ------------------------------------------------------------------ each fault of a root


def _unlink(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def _remove(path: str) -> Callable[[Path], None]:
    return lambda root: shutil.rmtree(root / path)


def _edit(path: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        record = json.loads((root / path).read_text())
        change(record)
        (root / path).write_text(json.dumps(record))

    return edit


def _image(folder: str) -> Callable[[Path], None]:
    return lambda root: min((root / folder).glob("*.jpg")).unlink()


def _leak(root: Path) -> None:
    """The narrative of an evaluation image among those of the train split, under another split's name."""
    photo = next((root / "coco/val2017").glob("*.jpg"))
    ids = [p.stem.lstrip("0") for p in (root / "coco/train2017").glob("*.jpg")]
    shutil.rmtree(root / "coco_alps")
    shutil.copy(photo, root / "coco/train2017")
    alps(root / "coco_alps", "mscoco_train2017", [*ids, photo.stem.lstrip("0")])


FAULTS = [
    ("coco", _unlink("coco/annotations/instances_train2017.json"), "instances_train2017.json", "no such"),
    ("coco", _unlink("coco/annotations/instances_val2017.json"), "instances_val2017.json", "no such"),
    ("coco", _remove("coco/train2017"), "coco/train2017", "no such folder"),
    ("coco", _remove("coco/val2017"), "coco/val2017", "no such folder"),
    ("coco", _remove("coco_alps"), "folder of ALP shards", "no such folder"),
    ("coco", _image("coco/val2017"), "coco/val2017: 5 of 5", "1 are not there, such as 0000"),
    ("coco", _image("coco/train2017"), "coco/train2017: 5 of 5", "1 are not there, such as 0000"),
    ("coco", _image("coco/train2017"), "coco_alps: images", "1 without a file"),
    ("coco", _unlink("coco_alps/_alps/manifest.json"), "coco_alps", "unfinished build"),
    ("coco", _edit("coco/annotations/instances_train2017.json", lambda r: r.pop("categories")),
     "instances_train2017.json", "not in COCO format"),
    ("coco", _edit("coco/annotations/instances_train2017.json", lambda r: r["categories"].pop(0)),
     "instances_train2017.json", "'person' is in no category"),
    ("coco", _edit("coco/annotations/instances_val2017.json", lambda r: r["categories"].pop(0)),
     "instances_val2017.json", "'person' of split coco_48_17 is in no category"),
    ("coco", _leak, "instances_val2017.json: none of its images is trained on", "1 are in"),
    ("open_images", _unlink("open_images/hierarchy.json"), "hierarchy.json", "no such file"),
    ("open_images", _unlink("open_images/instances_test.json"), "instances_test.json", "no such file"),
    ("open_images", _remove("open_images/test"), "open_images/test", "no such folder"),
    ("open_images", _image("open_images/test"), "open_images/test: 3 of 3", "1 are not there"),
    ("open_images", _edit("open_images/hierarchy.json", lambda r: r.pop("LabelName")),
     "hierarchy.json", "not an Open Images hierarchy"),
    ("open_images", _edit("open_images/instances_test.json", lambda r: r["categories"].pop()),
     "instances_test.json", "is in no category of the truth"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "fault", "where", "says"), FAULTS)
def test_each_fault_is_named(
    data: str,
    fault: Callable[[Path], None],
    where: str,
    says: str,
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "root"
    shutil.copytree(whole, root)
    fault(root)
    recipe = f"fcosmo_r50_coco_{'48_17' if data == 'coco' else 'openimages'}.py"
    assert dry_run(root, recipe) == 1
    lines = capsys.readouterr().out.splitlines()
    bad = [line for line in lines if line.startswith(("MISSING", "WRONG"))]
    assert any(where in line and says in line for line in bad), lines
    assert f"{len(bad)} of {len(lines) - 1} missing or wrong" in lines[-1]


def test_a_leak_under_another_data_sets_name_is_named(whole: Path, tmp_path: Path) -> None:
    """Narratives recorded on the folder of the evaluation's images, and on a copy of one of them."""
    root = tmp_path / "root"
    shutil.copytree(whole, root)
    shutil.rmtree(root / "coco_alps")
    stems = sorted(p.stem for p in (root / "coco/val2017").glob("*.jpg"))
    mine = root / "mine"
    mine.mkdir()
    shutil.copy(root / f"coco/val2017/{stems[0]}.jpg", mine)
    for i, photo in enumerate(sorted((root / "coco/train2017").glob("*.jpg"))):
        shutil.copy(photo, mine / f"holiday {i}.jpg")
        shutil.copy(photo, mine / f"{stems[-1]}.jpg")  # another photograph of that number
    ids = [stems[0], stems[-1], *(f"holiday {i}" for i in range(5))]
    lines: dict[str, list[str]] = {}
    for name, folder, images in (
        ("recorded_val2017", "coco/val2017", stems),
        ("mine", "mine", ids),
    ):
        alps(root / f"alps_{name}", name, images)
        roots = f"data.train.alps.records.finder.roots={{{name}: {root / folder}}}"
        change = [f"data.root={root}", f"data.alps={root / f'alps_{name}'}", roots]
        found = report(load_config(CONFIGS / "fcosmo_r50_coco_48_17.py", change)).lines
        lines[name] = [line for line in found if line.startswith(("MISSING", "WRONG"))]
        assert any("none of its files is trained on" in line for line in found if "ok" in line)
    (recorded,) = lines["recorded_val2017"]
    assert f"5 are in {root}/alps_recorded_val2017, such as recorded_val2017/" in recorded
    (copied,) = lines["mine"]
    assert copied.endswith(f"such as mine/{stems[0].lstrip('0')} ({stems[0]}.jpg)")
    assert "1 are in" in copied


def test_the_oracle_needs_the_train_boxes(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(whole, root)
    (root / "open_images/instances_train.json").unlink()
    recipe = "maskrcnn_box_r50_coco_openimages.py"
    lines, missing, _ = report(load_config(CONFIGS / recipe, overrides(root, recipe)))
    assert missing == 1
    assert any("MISSING" in x and "open_images/instances_train.json" in x for x in lines)


def test_an_unknown_split_is_named() -> None:
    needs = needs_of(load_config(CONFIGS / COCO[0], ["data.split=coco_48"]))
    assert any("expected coco_48_17" in need.problem for need in needs)


def test_vectors_of_a_table_of_text_are_needed_too(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.zeros((1, 4), np.float32))
    table = [f"text.encoders.table.vectors={tmp_path}/vectors.npy", "text.name=table"]
    needs = {n.key: n for n in needs_of(load_config(CONFIGS / COCO[0], table))}
    assert not needs["text.encoders.table.vectors"].problem
    assert needs["text.encoders.table.names"].problem == "no such file"
    assert not any(n.what == "text encoder" for n in needs_of(load_config(CONFIGS / COCO[0])))


def test_names_of_the_evaluation_are_needed(tmp_path: Path) -> None:
    change = f"data.test.names={tmp_path}/none.json"
    needs = needs_of(load_config(CONFIGS / OPEN_IMAGES[0], [change]))
    assert [n.problem for n in needs if n.key == "data.test.names"] == ["no such file"]


def test_alps_on_object_storage_are_looked_for_there(tmp_path: Path) -> None:
    folder = write_data_set(tmp_path / "alps", [table_of([{"phrase_text": "cat"}])], count=1)
    files = fsspec.filesystem("memory")
    files.put(str(folder), f"/{tmp_path.name}", recursive=True)
    (found,) = _alps_of(f"memory://{tmp_path.name}")
    assert found.line().startswith(f"ok       memory://{tmp_path.name}  (folder of ALP shards")
    (found,) = _alps_of("memory://nowhere")
    assert "MISSING  memory://nowhere" in found.line()
    assert ": not there; expected a finished ALP data set" in found.line()


def _alps_of(url: str) -> list[Need]:
    needs = needs_of(load_config(CONFIGS / "fcosmo_r50_coco_48_17.py", [f"data.alps={url}"]))
    return [need for need in needs if need.path == url]


# ------------------------------------------------------------------ ALPs on object storage


def _uploaded(place: Path, name: str) -> str:
    url = f"memory://{name}/alps"
    fsspec.filesystem("memory").put(str(place / "alps"), url, recursive=True)
    return url


def _dry_run_of(place: Path, tmp_path: Path, *more: str) -> int:
    data = [*changes(place, tmp_path / "run"), f"data.cache={tmp_path}/cache"]
    return train.main(command("fcosmo", "--dry-run", *data, *more))


def test_alps_on_object_storage_are_checked_like_those_of_a_folder(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = _uploaded(place, tmp_path.name)
    assert _dry_run_of(place, tmp_path, f"data.alps={url}") == 0
    there = capsys.readouterr().out
    assert _dry_run_of(place, tmp_path) == 0
    assert there == capsys.readouterr().out.replace(f"{place}/alps", url)
    assert f"ok       {url}: images of its ALPs, 8 looked for" in there
    assert there.endswith("nothing is missing\n")
    kept = list((tmp_path / "cache" / "shards").glob("*/split=train/*.parquet"))
    assert len(kept) == 1  # where training looks for it

    leak = f"data.held_out=[{place}/world/instances_train.json]"
    assert _dry_run_of(place, tmp_path, f"data.alps={url}", leak) == 1
    assert f"8 are in {url}, such as" in capsys.readouterr().out
    images = f"data.train.alps.records.finder.roots.simulated_world={tmp_path}"
    assert _dry_run_of(place, tmp_path, f"data.alps={url}", images) == 1
    assert f"WRONG    {url}: images of its ALPs: " in capsys.readouterr().out
    split = "data.train.alps.records.split=val"
    assert _dry_run_of(place, tmp_path, f"data.alps={url}", split) == 1
    assert f"WRONG    {url}: {url}: no split 'val'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            "data.train.alps.records.shard_cache_gib=1e-6",
            "their cache takes 1,073; raise shard_cache",
        ),
        ("data.train.alps.records.shard_cache_gib=null", "its source names no cache for shards"),
    ],
)
def test_what_was_not_checked_is_told(
    change: str, why: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = _uploaded(place, tmp_path.name)
    assert _dry_run_of(place, tmp_path, f"data.alps={url}", change) == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("not checked: ")]
    assert f"{url}: its rows, their images, and whether they leak" in line
    assert why in line
    assert lines[-1] == f"1 of {len(lines) - 1} not checked"


def test_alps_that_are_not_there_are_told_once(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _dry_run_of(place, tmp_path, "data.alps=memory://nowhere/alps") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:8] for line in lines if "memory://nowhere" in line] == ["MISSING "]
    assert lines[-1] == f"1 of {len(lines) - 1} missing or wrong"
