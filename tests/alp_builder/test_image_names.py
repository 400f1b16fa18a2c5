"""What an image's file may be called, and which names are safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.image_names import MAX_NAME, OddEndings, is_safe_name, split_ending, with_endings

SAFE = [
    "holiday 01.jpg",
    "photo(1).jpg",
    "café.jpg",
    "a/b/c.png",
    "..a",
    "a..b/...",
    "日本.webp",
    "a\nb",
]
UNSAFE = ["", ".", "..", "/", "/a", "a/", "a//b", "./a", "a/.", "a/..", "../a", "a/../b", "a\\b", "a\0b",
          "\0", "a" * (MAX_NAME + 1)]  # fmt: skip


@pytest.mark.parametrize("name", SAFE)
def test_safe(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe(name: str) -> None:
    assert not is_safe_name(name)


def test_endings_are_those_of_images() -> None:
    assert split_ending("a/b.JpEg") == ("a/b", ".JpEg")
    assert split_ending("img.0001") == ("img.0001", "")
    assert split_ending(".jpg") == (".jpg", "")
    assert with_endings("b.Png")[0] == "b.Png"
    assert with_endings("b.1")[0] == "b.1.jpg"


def test_odd_endings(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("IMG_1.JPG", "usual.jpg", "sub/x.Webp", "note.TXT", "two.JPG", "two.PNG"):
        (tmp_path / name).write_bytes(b"x")
    odd = OddEndings(str(tmp_path))
    assert odd.names("IMG_1") == ["IMG_1.JPG"]
    assert odd.names("IMG_1.jpg") == ["IMG_1.JPG"]
    assert odd.names("IMG_1.png") == []
    assert odd.names("sub/x") == ["sub/x.Webp"]
    assert odd.names("two") == ["two.JPG", "two.PNG"]
    assert odd.names("usual") == odd.names("note") == odd.names("nowhere/x") == odd.names("") == []
    (tmp_path / "IMG_2.JPG").write_bytes(b"x")
    assert odd.names("IMG_2") == []  # a folder is listed once
