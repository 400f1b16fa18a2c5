from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from alp_builder.errors import BadDataError
from tests.trainer.data.conftest import alp, write_shards
from trainer.data.alps import AlpDataset
from trainer.data.cocofile import CocoFile, CocoImage
from trainer.data.images import ImageFinder, image_key
from trainer.data.leaks import check_leaks, evaluation_keys, keys_of_files
from trainer.data.masks import MaskDataset
from trainer.data.samefiles import EvaluationFiles


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """An evaluation file that holds image 2 of the training split, and one of its own."""
    names = ("000000002.jpg", "000000050.jpg")
    record = {
        "info": {"dataset_id": "simulated_world_train"},
        "images": [
            {"id": i, "file_name": name, "height": 60, "width": 80} for i, name in enumerate(names)
        ],
        "categories": [],
    }
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(record))
    return path


def test_clean_data_passes(alps: AlpDataset, open_masks: Callable[..., MaskDataset]) -> None:
    check_leaks(masks=open_masks("dog"), alps=alps, novel=["tree"], evaluation={"coco/1"})
    check_leaks()


def test_novel_masks_are_refused_by_name(open_masks: Callable[..., MaskDataset]) -> None:
    with pytest.raises(BadDataError, match=r"novel classes with masks .*: tree \(6 masks\)$"):
        check_leaks(masks=open_masks("dog", "tree"), novel=["Tree", "ball"])


def test_novel_annotations_of_a_file_do_not_reach_the_source(
    open_masks: Callable[..., MaskDataset],
) -> None:
    masks = open_masks("dog")
    check_leaks(masks=masks, novel=["tree", "ball"])
    assert masks.dropped == {"class ball": 6, "class tree": 6}
    assert masks.store["label"].max() == 0


def test_evaluation_images_are_refused_by_name(
    alps: AlpDataset, open_masks: Callable[..., MaskDataset], evaluation: Path
) -> None:
    keys = evaluation_keys([evaluation])
    assert keys == {"simulated_world_train/2", "simulated_world_train/50"}
    with pytest.raises(BadDataError) as error:
        check_leaks(masks=open_masks("dog"), alps=alps, evaluation=keys)
    message = str(error.value)
    assert message.count("\n") == 0
    assert "1 mask images are evaluation images: simulated_world_train/2;" in message
    assert "1 images with ALPs are evaluation images: simulated_world_train/2 (leave" in message
    check_leaks(alps=alps.without(keys), evaluation=keys)


def test_files_of_evaluation_images_are_refused_whatever_their_data_set_is_called(
    world: Path, tmp_path: Path, open_masks: Callable[..., MaskDataset]
) -> None:
    """Narratives recorded on the evaluation's folder, or on a copy of it."""
    test = Path(shutil.copytree(world / "train", tmp_path / "test"))
    for other in ("000000003.jpg", "000000004.jpg", "000000005.jpg", "000000006.jpg"):
        (test / other).write_bytes((test / other).read_bytes() + b"another image of this number")
    names = [path.name for path in sorted(test.iterdir())]
    listed = [CocoImage(i, 60, 80, name) for i, name in enumerate(names)]
    file = CocoFile(listed, [], info={"dataset_id": "coco"})
    held = {image_key("coco", Path(name).stem) for name in names}
    files = EvaluationFiles.of(file, test, held)
    rows = [alp(f"00000000{i}", "dog", (0, 0, 1, 1), dataset_id="recorded_mine") for i in (1, 2, 3)]
    finder = ImageFinder({"recorded_mine": world / "train"})
    alps = AlpDataset.open(write_shards(tmp_path / "mine", rows), finder, cache=tmp_path)
    check_leaks(alps=alps, evaluation=held)  # the names alone do not tell
    with pytest.raises(BadDataError) as error:
        check_leaks(masks=open_masks("dog"), alps=alps, evaluation=held, files=files)
    message = str(error.value)
    assert message.count("\n") == 0
    assert "2 mask images are files of evaluation images: simulated_world_train/1 (0" in message
    assert "2 images with ALPs are files of evaluation images: recorded_mine/1 (0000" in message
    assert list(keys_of_files(alps, files)) == ["recorded_mine/1", "recorded_mine/2"]
    rest = alps.without(keys_of_files(alps, files))
    assert len(rest) == 1
    check_leaks(alps=rest, evaluation=held, files=files)
    check_leaks(masks=open_masks("dog"), alps=alps, evaluation=held, files=EvaluationFiles([]))


def test_coco_photographs_are_known_by_number_in_every_split(shared_data: Path) -> None:
    file = shared_data / "coco_tiny" / "annotations" / "instances_val2017.json"
    keys = evaluation_keys([file])
    assert len(keys) == 80
    assert all(key.startswith("coco/") for key in keys)


def test_many_names_are_cut(alps: AlpDataset) -> None:
    class Many:
        def image_keys(self) -> list[str]:
            return [f"coco/{i}" for i in range(9)]

    with pytest.raises(BadDataError, match=r"9 images .*coco/0, .*coco/4 and 4 more"):
        check_leaks(alps=Many(), evaluation=[f"coco/{i}" for i in range(9)])  # type: ignore[arg-type]
