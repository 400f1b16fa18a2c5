"""A dry run names every file a recipe reads, and what is wrong with those that are not sound."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

from pipelines.synthetic_shards import table_of, write_data_set
from trainer import train
from trainer.engine.config import load_config
from trainer.engine.dryrun import Need, needs_of, report

CONFIGS = Path(__file__).parents[3] / "trainer" / "configs"
RECIPES = sorted(path.name for path in CONFIGS.glob("*_r50_*.py"))
COCO = CONFIGS / "fcosmo_r50_coco_48_17.py"


def _data(root: Path) -> list[str]:
    """A data root with everything `COCO` reads; the overrides that point at it."""
    empty = json.dumps({"images": [{"id": 1}], "categories": [{"id": 1}, {"id": 2}]})
    for part in ("train2017", "val2017"):
        (root / "coco" / part).mkdir(parents=True)
        (root / "coco" / part / "1.jpg").write_bytes(b"x")
        (root / "coco/annotations").mkdir(exist_ok=True)
        (root / f"coco/annotations/instances_{part}.json").write_text(empty)
    (root / "alps").mkdir()
    (root / "alps/manifest.json").write_text("{}")
    return [f"data.root={root}", f"data.alps={root / 'alps'}"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_says_what_it_needs(recipe: str) -> None:
    lines, missing = report(load_config(CONFIGS / recipe, ["data.root=/nowhere"]))
    assert missing == len(lines) >= 4
    assert any("/nowhere/coco/annotations/instances_train2017.json" in line for line in lines)


def test_a_whole_root_lacks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = _data(tmp_path)
    assert train.main(["--config-file", str(COCO), "--dry-run", *overrides]) == 0
    out = capsys.readouterr().out
    assert "nothing is missing" in out
    assert "1 images, 2 categories" in out


def test_each_fault_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = _data(tmp_path)
    (tmp_path / "coco/val2017/1.jpg").unlink()
    (tmp_path / "coco/annotations/instances_train2017.json").write_text("[]")
    (tmp_path / "alps/manifest.json").unlink()
    (tmp_path / "alps").rmdir()
    assert train.main(["--config-file", str(COCO), "--dry-run", *overrides]) == 1
    out = capsys.readouterr().out
    assert "val2017  (folder of images, data.test.loader.images.images): is empty" in out
    assert "not in COCO format" in out
    assert (
        "alps  (folder of ALP shards (`make alps`), data.train.alps.records.folder): no such" in out
    )
    assert "3 of " in out


def test_an_unknown_split_is_named() -> None:
    needs = needs_of(load_config(COCO, ["data.split=coco_48"]))
    assert any("expected coco_48_17" in need.problem for need in needs)


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
    needs = needs_of(load_config(COCO, [f"data.alps={url}"]))
    return [need for need in needs if need.path == url]
