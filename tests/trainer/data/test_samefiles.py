"""An evaluation image is known by its file, whatever it is called, and nothing else is taken for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainer.data.cocofile import CocoFile, CocoImage
from trainer.data.samefiles import EvaluationFiles


def write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> EvaluationFiles:
    """Two photographs of COCO, and the first frames of two videos."""
    return EvaluationFiles(
        [
            write(tmp_path / "val/000000000007.jpg", b"seven"),
            write(tmp_path / "val/000000000008.jpg", b"eight"),
            write(tmp_path / "val/a/frame_01.jpg", b"black"),
            write(tmp_path / "val/b/frame_01.jpg", b"black"),
            str(tmp_path / "val/missing.jpg"),
        ]
    )


def held(files: EvaluationFiles, path: Path | str) -> bool:
    return bool(files.among([str(path)]))


def test_the_same_file_by_any_name(files: EvaluationFiles, tmp_path: Path) -> None:
    photo = tmp_path / "val/000000000007.jpg"
    (tmp_path / "holiday.jpg").symlink_to(photo)
    os.link(photo, tmp_path / "linked.jpg")
    (tmp_path / "photos").symlink_to(tmp_path / "val")
    names = ("val/000000000007.jpg", "holiday.jpg", "linked.jpg", "photos/000000000008.jpg")
    for name in (*names, "val/../val/a/frame_01.jpg"):
        assert held(files, tmp_path / name), name


@pytest.mark.parametrize(
    "name", ["000000000007.jpg", "7.JPG", "COCO_val2014_000000000007.jpg", "deep/000000000007.jpeg"]
)
def test_a_copy_with_its_name(files: EvaluationFiles, tmp_path: Path, name: str) -> None:
    assert held(files, write(tmp_path / "mine" / name, b"seven"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("000000000007.jpg", b"other"),  # another photograph of that number, of the same size
        ("000000000007.jpg", b"longer"),
        ("000000000009.jpg", b"seven"),  # a photograph that is in a data set twice
        ("c/frame_01.jpg", b"black"),  # the first frame of another video
    ],
)
def test_others_are_not_taken_for_one(
    files: EvaluationFiles, tmp_path: Path, name: str, content: bytes
) -> None:
    assert not held(files, write(tmp_path / "mine" / name, content))


def test_file_systems_that_number_all_files_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.samefiles._identity", lambda path: (1, 0, 5))
    files = EvaluationFiles([write(tmp_path / "val/1.jpg", b"seven")])
    assert not held(files, write(tmp_path / "train/2.jpg", b"other"))
    assert held(files, tmp_path / "val/1.jpg")


def test_many_files_in_their_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.jpg", b"%d" % i) for i in range(50)]
    files = EvaluationFiles(paths[::10])
    assert files.among(["", str(tmp_path / "none.jpg"), *paths]) == [
        (i + 2, paths[i]) for i in range(0, 50, 10)
    ]
    assert EvaluationFiles([]).among(paths) == []


def test_of_a_coco_file_only_what_is_held_out(tmp_path: Path) -> None:
    names = ("000000000001.jpg", "000000000002.jpg", "../secret.jpg")
    for name in names:
        write(tmp_path / "val" / name, name.encode())
    listed = [CocoImage(i, 1, 1, name) for i, name in enumerate(names)]
    files = EvaluationFiles.of(CocoFile(listed, []), tmp_path / "val", {"coco/2", "coco/secret"})
    assert len(files) == 1
    assert files.knows_name("holiday/2")
    assert files.knows_name("COCO_val2014_000000000002")
    assert not files.knows_name("1")
    assert not files.knows_name("2.1")
