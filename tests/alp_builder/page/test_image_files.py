from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from alp_builder.errors import BadDataError, UsageError
from alp_builder.export.pictures import Pictures
from alp_builder.page.image_files import ImageFiles, ImageFolder, file_names
from alp_builder.record.images import find_images


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


CASES = [
    ("mscoco_val2017", "381639", "val2017/000000381639.jpg"),
    ("mscoco_train2017", "9", "000000000009.jpg"),
    ("coco", "COCO_val2014_000000381639", "000000381639.jpg"),
    ("open_images_train", "0a1b", "train/0a1b.jpg"),
    ("open_images_validation", "0a1b", "validation/0a1b.jpg"),
    ("open_images", "0a1b", "test/0a1b.jpg"),
    ("Flick30k_test", "1000092795", "flickr30k-images/1000092795.jpg"),
    ("flickr30k_val", "1000092795", "1000092795.jpg"),
    ("ADE20k", "ADE_val_00000175", "images/validation/ADE_val_00000175.jpg"),
    ("ADE20k", "ADE_train_00000001", "images/training/ADE_train_00000001.jpg"),
    ("simulated_world_val", "10000003", "val/010000003.jpg"),
    ("simulated_world_val", "10000003", "val/010000003.png"),
]


@pytest.mark.parametrize(("dataset_id", "image_id", "file"), CASES)
def test_rules(dataset_id: str, image_id: str, file: str, tmp_path: Path) -> None:
    touch(tmp_path, file)
    files = ImageFiles([str(tmp_path)])
    assert files.find(dataset_id, image_id) == tmp_path / file
    assert files.find(dataset_id, image_id + "0") is None


@pytest.mark.parametrize(("dataset_id", "image_id", "file"), CASES)
def test_the_trainer_finds_the_same_files(
    dataset_id: str, image_id: str, file: str, tmp_path: Path
) -> None:
    images = pytest.importorskip("trainer.data.images")
    touch(tmp_path, file)
    family = images.family_of(dataset_id)
    found = images.ImageFinder({family: tmp_path}).find(dataset_id, image_id)
    assert found == str(ImageFiles([str(tmp_path)]).find(dataset_id, image_id))


RECORDED = [
    ("IMG_0001", "IMG_0001.JPG"),
    ("holiday/01", "holiday/01.jpg"),
    ("holiday/02", "holiday/02.PnG"),
    ("same.jpg", "same.jpg"),
    ("same.png", "same.png"),
    ("both.jpg", "both.jpg"),
    ("both.JPG", "both.JPG"),
    ("café (1)", "café (1).jpeg"),
    ("train/a", "train/a.webp"),
    ("0007", "0007.jpg"),
]
"""Image ids and files of one folder that `alps record` was given."""


def test_recorded_images_are_found_by_all(tmp_path: Path) -> None:
    images = pytest.importorskip("trainer.data.images")
    for _, file in RECORDED:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 3)).save(tmp_path / file, format="PNG")
    recorded = find_images(tmp_path).images.values()
    assert sorted((i.image_id, i.file) for i in recorded) == sorted(RECORDED)
    shown, exported = ImageFiles([str(tmp_path)]), Pictures(root=tmp_path)
    trained = images.ImageFinder({"recorded_photos": tmp_path})
    for image_id, file in RECORDED:
        assert shown.find("recorded_photos", image_id) == tmp_path / file
        picture = exported.find("recorded_photos", image_id)
        assert picture is not None
        assert picture.file_name == file
        assert trained.find("recorded_photos", image_id) == str(tmp_path / file)
    for image_id in ("IMG_0002", "holiday/03", "same.webp", "01", "../holiday/01"):
        assert shown.find("recorded_photos", image_id) is None
        assert trained.find("recorded_photos", image_id) is None


@pytest.mark.parametrize("folder", ["", "holiday", "train"])
def test_a_recorded_image_is_found_where_its_id_says(folder: str, tmp_path: Path) -> None:
    """Also where other folders have a file of the same name, whatever they are called."""
    images = pytest.importorskip("trainer.data.images")
    for place in ("", "holiday", "train", "other"):
        (tmp_path / place).mkdir(exist_ok=True)
        Image.new("RGB", (4, 3)).save(tmp_path / place / "01.jpg")
    image_id = f"{folder}/01".lstrip("/")
    wanted = tmp_path / folder / "01.jpg"
    for data_set in ("recorded_photos", "recorded_holiday"):
        assert ImageFiles([str(tmp_path)]).find(data_set, image_id) == wanted
        picture = Pictures(root=tmp_path).find(data_set, image_id)
        assert picture is not None
        assert picture.path == wanted
        assert images.ImageFinder({data_set: tmp_path}).find(data_set, image_id) == str(wanted)


OTHERS = pytest.mark.parametrize(
    ("dataset_id", "image_id", "file"),
    [
        ("vidln_OVIS_train", "c1a4/img_01", "OVIS_train/c1a4/img_01.jpg"),
        ("simulated_instances_val2017", "5001", "val2017/000000005001.jpg"),
        ("simulated_instances_val2017", "5001", "000000005001.jpg"),
        ("mine", "holiday (1)", "holiday (1).jpeg"),
        ("mine", "photo.png", "photo.png"),
        ("mine", "7", "000000000007.webp"),
        ("mine", "a", "val/a.JPEG"),
    ],
)


@OTHERS
def test_the_trainer_finds_other_data_sets_too(
    dataset_id: str, image_id: str, file: str, tmp_path: Path
) -> None:
    images = pytest.importorskip("trainer.data.images")
    touch(tmp_path, file)
    found = images.ImageFinder({dataset_id: tmp_path}).find(dataset_id, image_id)
    assert found == str(tmp_path / file)


@OTHERS
def test_other_data_sets(dataset_id: str, image_id: str, file: str, tmp_path: Path) -> None:
    touch(tmp_path, file)
    assert ImageFiles([str(tmp_path)]).find(dataset_id, image_id) == tmp_path / file


def test_a_split_that_ids_speak_of_comes_first() -> None:
    assert file_names("open_images_validation", "a")[0] == "validation/a.jpg"
    assert file_names("open_images_test", "a")[0] == "test/a.jpg"


class TestNothingLeadsOut:
    @pytest.mark.parametrize(
        "name", ["../secret.jpg", "a/../../secret.jpg", "/etc/hostname", "./a.jpg", "a//b", "", "a\0b",
                 "..\\secret.jpg", "x" * 2000],
    )  # fmt: skip
    def test_names(self, name: str, tmp_path: Path) -> None:
        touch(tmp_path, "secret.jpg", "root/a.jpg")
        assert ImageFolder(tmp_path / "root").find(name) is None

    def test_ids(self, tmp_path: Path) -> None:
        touch(tmp_path, "secret.jpg", "root/a.jpg")
        files = ImageFiles([str(tmp_path / "root")])
        for image_id in ("../secret", "a/../../secret", str(tmp_path / "secret")):
            assert files.find("mine", image_id) is None
        assert files.find("x_..", "secret") is None
        assert files.locate(str(tmp_path / "secret.jpg")) is None
        assert files.locate(str(tmp_path / "root/a.jpg")) == tmp_path / "root/a.jpg"

    def test_links(self, tmp_path: Path) -> None:
        touch(tmp_path, "secret.jpg", "root/a.jpg", "other/b.jpg")
        root = tmp_path / "root"
        (root / "out.jpg").symlink_to(tmp_path / "secret.jpg")
        (root / "folder").symlink_to(tmp_path / "other")
        (root / "in.jpg").symlink_to(root / "a.jpg")
        (root / "odd.JPG").symlink_to(tmp_path / "secret.jpg")
        touch(tmp_path, "other/c.JPG")
        folder = ImageFolder(root)
        assert folder.find("out.jpg") is None
        assert folder.find("folder/b.jpg") is None
        assert folder.find("in.jpg") == root / "a.jpg"
        assert folder.find_odd("odd") is None
        assert folder.find_odd("folder/c") is None
        assert folder.find_odd("../other/c") is None

    def test_pipes_are_no_images(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.jpg")
        assert ImageFolder(tmp_path).find("a.jpg") is None


def test_a_root_for_one_data_set_goes_first(tmp_path: Path) -> None:
    touch(tmp_path, "any/a.jpg", "own/a.jpg")
    files = ImageFiles([str(tmp_path / "any"), f"mine={tmp_path / 'own'}"])
    assert files.find("mine", "a") == tmp_path / "own/a.jpg"
    assert files.find("yours", "a") == tmp_path / "any/a.jpg"


def test_a_csv_names_the_files(tmp_path: Path) -> None:
    touch(tmp_path, "x/y.jpg", "secret.jpg")
    table = tmp_path / "x" / "names.csv"
    table.write_text("dataset_id,image_id,file_name\nmine,1,y.jpg\nmine,2,../secret.jpg\n")
    files = ImageFiles([], table)
    assert files.find("mine", "1") == tmp_path / "x/y.jpg"
    assert files.find("mine", "2") is None
    table.write_text("image_id,file_name\n")
    with pytest.raises(
        BadDataError, match="dataset_id.*expected a header line dataset_id,image_id"
    ):
        ImageFiles([], table)


def test_missing_folders_are_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        ImageFiles([str(tmp_path / "none")])
    with pytest.raises(UsageError, match="cannot be read"):
        ImageFiles([], tmp_path / "none.csv")
