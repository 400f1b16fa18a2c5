from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import hotcoco
import msgspec
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO

from alp_builder.errors import UsageError
from alp_builder.simulate import SceneConfig, simulate_scenes
from alp_builder.simulate import world as world_module
from alp_builder.simulate.config import ID_STRIDE, SPLITS
from alp_builder.simulate.scenes import draw_scene
from alp_builder.simulate.vocabulary import CLASSES

SMALL = SceneConfig(seed=3, train=70, val=3, test=2, image_size=48)


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("split", SPLITS)
def test_masks_in_the_file_are_what_was_drawn(world: Path, split: str) -> None:
    data = json.loads((world / f"instances_{split}.json").read_text())
    config = SceneConfig(**data["info"]["settings"])
    for record in data["images"][:4]:
        scene = draw_scene(config, split, record["id"] % ID_STRIDE)
        mine = [a for a in data["annotations"] if a["image_id"] == record["id"]]
        assert [a["category_id"] for a in mine] == [kind.category_id for kind in scene.kinds]
        for thing, annotation in enumerate(mine):
            mask = mask_utils.decode(annotation["segmentation"]).astype(bool)
            assert np.array_equal(mask, scene.owner == thing)
            rows, columns = np.nonzero(mask)
            x, y, w, h = annotation["bbox"]
            assert (x, y) == (columns.min(), rows.min())
            assert (x + w, y + h) == (columns.max() + 1, rows.max() + 1)
            assert annotation["area"] == mask.sum()
        assert "".join(scene.backdrop) == "".join(record["backdrop"])


@pytest.mark.parametrize("split", SPLITS)
def test_files_load_in_pycocotools_and_hotcoco(world: Path, split: str) -> None:
    path = world / f"instances_{split}.json"
    official, fast = COCO(str(path)), hotcoco.COCO(str(path))
    assert sorted(official.getImgIds()) == sorted(fast.get_img_ids())
    assert sorted(official.getAnnIds()) == sorted(fast.get_ann_ids())
    assert len(official.getCatIds()) == len(CLASSES)
    annotation = official.loadAnns(official.getAnnIds()[:1])[0]
    assert official.annToMask(annotation).sum() == annotation["area"]
    for image in official.loadImgs(official.getImgIds()[:3]):
        with Image.open(world / split / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])


def test_image_and_annotation_ids_are_unique_over_the_world(world: Path) -> None:
    images: list[int] = []
    annotations: list[int] = []
    for split in SPLITS:
        data = json.loads((world / f"instances_{split}.json").read_text())
        images += [image["id"] for image in data["images"]]
        annotations += [annotation["id"] for annotation in data["annotations"]]
        assert data["info"]["simulated"] is True
        assert data["info"]["dataset_id"] == f"simulated_world_{split}"
    assert len(set(images)) == len(images) == 220
    assert len(set(annotations)) == len(annotations)


def test_the_split_parts_the_classes(world: Path) -> None:
    split = json.loads((world / "split.json").read_text())
    assert set(split["base"]) | set(split["novel"]) == {kind.name for kind in CLASSES}
    assert not set(split["base"]) & set(split["novel"])
    seen = {
        a["category_id"]
        for a in json.loads((world / "instances_train.json").read_text())["annotations"]
    }
    assert set(split["base_ids"]) | set(split["novel_ids"]) == seen, "every class occurs"


def test_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    simulate_scenes(SMALL, tmp_path / "one", 1, progress=False)
    simulate_scenes(SMALL, tmp_path / "three", 3, progress=False)
    assert digest(tmp_path / "one") == digest(tmp_path / "three")


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = simulate_scenes(SMALL, tmp_path / "whole", progress=False)
    assert whole.resumed_scenes == 0
    real = draw_scene

    def stop(config: SceneConfig, split: str, index: int, things: Any) -> Any:
        if split == "val":
            raise KeyboardInterrupt
        return real(config, split, index, things)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(world_module, "draw_scene", stop)
        with pytest.raises(KeyboardInterrupt):
            simulate_scenes(SMALL, out, progress=False)
    assert not out.exists(), "a world is whole or not there"
    other = msgspec.structs.replace(SMALL, seed=4)
    with pytest.raises(UsageError, match="other settings"):
        simulate_scenes(other, out, progress=False)
    assert simulate_scenes(SMALL, out, progress=False).resumed_scenes == 70
    assert digest(out) == digest(tmp_path / "whole")


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        simulate_scenes(SMALL, tmp_path, progress=False)
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_world_that_is_there_is_kept_or_refused_but_never_mixed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = simulate_scenes(SMALL, out, progress=False)
    before = digest(out)
    again = simulate_scenes(SMALL, out, progress=False)
    assert again.things == first.things
    assert again.resumed_scenes == SMALL.total, "nothing was drawn"
    other = msgspec.structs.replace(SMALL, seed=4, clutter=2)
    with pytest.raises(UsageError, match=r"seed = 3 \(asked: 4\), clutter = 36 \(asked: 2\)"):
        simulate_scenes(other, out, progress=False)
    assert digest(out) == before
    (out / "world.json").unlink()
    with pytest.raises(UsageError, match="no world of this version"):
        simulate_scenes(SMALL, out, progress=False)


def test_two_processes_do_not_draw_one_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meet(config: SceneConfig, split: str, index: int, things: Any) -> Any:
        with pytest.raises(UsageError, match="under way in another process"):
            simulate_scenes(SMALL, tmp_path / "out", progress=False)
        raise KeyboardInterrupt

    monkeypatch.setattr(world_module, "draw_scene", meet)
    with pytest.raises(KeyboardInterrupt):
        simulate_scenes(SMALL, tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("train", -1), ("image_size", 8), ("min_scale", 0.9), ("min_visible", 0.0), ("grain", 300)],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, setting: str, value: float) -> None:
    config = msgspec.structs.replace(SMALL, **{setting: value})
    with pytest.raises(UsageError, match=setting.split("_")[0]):
        simulate_scenes(config, tmp_path / "out", progress=False)
    assert not list(tmp_path.iterdir())
