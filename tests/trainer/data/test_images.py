from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from alp_builder.errors import BadDataError, UsageError
from trainer.data.images import ImageFinder, SafeRoot, image_key
from trainer.data.loaders import EvalImages


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("family", "dataset_id", "image_id", "file"),
    [
        ("coco", "mscoco_val2017", "381639", "val2017/000000381639.jpg"),
        ("coco", "mscoco_train2017", "9", "000000000009.jpg"),
        ("open_images", "open_images_train", "0a1b", "train/0a1b.jpg"),
        ("open_images", "open_images_validation", "0a1b", "validation/0a1b.jpg"),
        ("open_images", "open_images", "0a1b", "test/0a1b.jpg"),
        ("flickr30k", "Flick30k_test", "1000092795", "flickr30k-images/1000092795.jpg"),
        ("flickr30k", "flickr30k_val", "1000092795", "1000092795.jpg"),
        ("ade20k", "ADE20k", "ADE_val_00000175", "images/validation/ADE_val_00000175.jpg"),
        ("ade20k", "ADE20k", "ADE_train_00000001", "images/training/ADE_train_00000001.jpg"),
        ("simulated_world", "simulated_world_val", "10000003", "val/010000003.jpg"),
        ("simulated_world", "simulated_world_val", "10000003", "val/010000003.png"),
    ],
)
def test_rules(tmp_path: Path, family: str, dataset_id: str, image_id: str, file: str) -> None:
    touch(tmp_path, file)
    assert ImageFinder({family: tmp_path}).find(dataset_id, image_id) == str(tmp_path / file)
    assert ImageFinder({family: tmp_path}).find(dataset_id, image_id + "0") is None


def test_a_named_split_comes_first(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.jpg", "validation/a.jpg")
    found = ImageFinder({"open_images": tmp_path}).find("open_images_validation", "a")
    assert found == str(tmp_path / "validation" / "a.jpg")


def test_an_exact_name_wins_over_its_family(tmp_path: Path) -> None:
    touch(tmp_path, "a/000000000001.jpg", "b/000000000001.jpg")
    finder = ImageFinder({"coco": tmp_path / "a", "mscoco_val2017": tmp_path / "b"})
    assert finder.find("mscoco_val2017", "1") == str(tmp_path / "b/000000000001.jpg")
    assert finder.find("mscoco_train2017", "1") == str(tmp_path / "a/000000000001.jpg")


def test_a_csv_names_files(tmp_path: Path) -> None:
    touch(tmp_path, "deep/photo one.jpg", "deep/photo-1.jpg")
    path = tmp_path / "files.csv"
    path.write_text("dataset_id,image_id,file_name\nmine,1,deep/photo-1.jpg\nmine,2,../x.jpg\n")
    finder = ImageFinder(csv_file=path)
    assert finder.find("mine", "1") == str(tmp_path / "deep/photo-1.jpg")
    assert finder.find("mine", "2") is None
    path.write_text("dataset,image\n")
    with pytest.raises(BadDataError, match="no column dataset_id, file_name, image_id"):
        ImageFinder(csv_file=path)
    with pytest.raises(UsageError, match="No such file"):
        ImageFinder(csv_file=tmp_path / "none.csv")


NAMES = ["holiday 01.jpg", "photo(1).jpg", "café.jpg", "sub folder/a+b, c.jpg", "日本.png"]


@pytest.mark.parametrize("name", NAMES)
def test_names_as_people_give_them(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"images/{name}")
    assert SafeRoot(tmp_path / "images").find(name)
    path = tmp_path / "files.csv"
    path.write_text(f'dataset_id,image_id,file_name\nmine,1,"images/{name}"\n', encoding="utf-8")
    assert ImageFinder(csv_file=path).find("mine", "1") == str(tmp_path / "images" / name)
    truth = tmp_path / "truth.json"
    image = {"id": 1, "file_name": name, "height": 4, "width": 4}
    truth.write_text(json.dumps({"images": [image], "categories": []}))
    assert len(EvalImages(truth, tmp_path / "images")) == 1


@pytest.mark.parametrize(
    "name", ["", ".", "./a.jpg", "sub/../a.jpg", "sub//a.jpg", "sub/", "..\\a.jpg", "a\0.jpg",
             "\ud800.jpg", "\ud800/a.jpg", "x" * 2000, "y/" * 500 + "a.jpg"],
)  # fmt: skip
@pytest.mark.parametrize("follow_links", [False, True])
def test_names_that_are_refused(tmp_path: Path, name: str, follow_links: bool) -> None:
    touch(tmp_path, "a.jpg", "images/a.jpg", "images/sub/a.jpg", "images/..\\a.jpg")
    root = SafeRoot(tmp_path / "images", follow_links=follow_links)
    assert root.find("a.jpg")
    assert root.find(name) is False
    assert root.find_odd(name) is None


@pytest.mark.parametrize(
    "image_id",
    ["../secret", "/etc/passwd", "a/../../secret", "..", "", "a\0b", "a\nb", "train/../../secret"],
)
def test_hostile_ids_find_nothing(tmp_path: Path, image_id: str) -> None:
    touch(tmp_path, "secret.jpg", "secret", "images/train/a.jpg")
    finder = ImageFinder({"open_images": tmp_path / "images", "coco": tmp_path / "images"})
    assert finder.find("open_images_train", image_id) is None
    assert finder.find(f"mscoco_{image_id}", image_id) is None
    assert SafeRoot(tmp_path / "images").find(image_id) is False


def test_links_out_of_the_root_are_refused_unless_allowed(tmp_path: Path) -> None:
    root = tmp_path / "images"
    touch(tmp_path, "elsewhere/a.jpg", "images/train/real.jpg")
    (root / "train" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    (root / "train" / "inner.jpg").symlink_to(root / "train" / "real.jpg")
    (root / "validation").symlink_to(tmp_path / "elsewhere")
    strict, lenient = SafeRoot(root), SafeRoot(root, follow_links=True)
    named = ("train/real.jpg", "train/inner.jpg", "train/link.jpg", "validation/a.jpg")
    assert [strict.find(name) for name in named] == [True, True, False, False]
    assert [lenient.find(name) for name in named] == [True] * 4
    touch(tmp_path, "elsewhere/b.JPG")
    assert [root.find_odd("validation/b") for root in (strict, lenient)] == [
        None,
        "validation/b.JPG",
    ]
    # The root itself may be a link: its owner made it.
    (tmp_path / "shortcut").symlink_to(root)
    assert SafeRoot(tmp_path / "shortcut").find("train/real.jpg")


def test_the_file_system_is_asked_once_about_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, *(f"val2017/{i:012d}.jpg" for i in range(20)), "odd/a.JPG")
    asked: list[str] = []
    real, listed = os.path.realpath, os.listdir
    monkeypatch.setattr(os.path, "realpath", lambda path: asked.append(path) or real(path))
    monkeypatch.setattr(os, "listdir", lambda path: asked.append(path) or listed(path))
    finder = ImageFinder({"coco": tmp_path, "mine": tmp_path})
    for i in range(40):
        assert (finder.find("mscoco_val2017", str(i)) is not None) == (i < 20)
        assert finder.find("mscoco_train2017", str(i)) is None
    # The two roots, the folder of the split, and the root as a folder; nothing is ever listed.
    assert len(asked) == 4
    for i in range(9):
        assert finder.find("mine", f"odd/{i}") is None
    assert finder.find("mine", "odd/a") == str(tmp_path / "odd/a.JPG")
    assert sum("odd" in Path(path).parts for path in asked) < 10


def test_missing_images_are_counted_and_too_many_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *(f"train/{i}.jpg" for i in range(19)))
    ids = [("open_images_train", str(i)) for i in range(20)]
    paths, present, report = ImageFinder({"open_images": tmp_path}).find_all(ids)
    assert present.tolist() == [True] * 19 + [False]
    assert (report.total, report.missing) == (20, 1)
    assert str(report) == "20 images, 1 without a file (such as open_images_train/19)"
    assert (paths[3], paths[19]) == (str(tmp_path / "train/3.jpg"), "")
    strict = ImageFinder({"open_images": tmp_path}, max_missing=0.01)
    with pytest.raises(UsageError, match=r"image root wrong.*at most 1% may be missing"):
        strict.find_all(ids)


def test_no_root_or_a_wrong_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image root"):
        ImageFinder()
    with pytest.raises(UsageError, match="no such folder"):
        ImageFinder({"coco": tmp_path / "nowhere"})
    assert ImageFinder({"coco": tmp_path}).find("unheard_of", "1") is None


def test_one_photo_has_one_key() -> None:
    same = {
        image_key("mscoco_train2017", "9"),
        image_key("mscoco_val2017", "000000000009"),
        image_key("coco", "COCO_val2014_000000000009"),
    }
    assert same == {"coco/9"}
    assert image_key("open_images_test", "0a") == image_key("open_images", "0a")
    assert image_key("simulated_world_val", "000000009") == "simulated_world_val/9"
    assert image_key("simulated_world_val", "9") != image_key("simulated_world_train", "9")


def test_any_other_data_set_by_its_exact_name(tmp_path: Path) -> None:
    touch(tmp_path, "frame-7.jpg")
    finder = ImageFinder({"OVIS": tmp_path})
    assert finder.find("OVIS", "frame-7") == str(tmp_path / "frame-7.jpg")
    assert finder.find("ovis_train", "frame-7") is None
