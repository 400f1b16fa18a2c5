"""Only images of the folder, each under a key, none by a name that came from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from alp_builder.errors import UsageError
from alp_builder.page.image_files import file_names
from alp_builder.record.images import find_images, image_key
from tests.alp_builder.record.conftest import write_images


def test_images_are_found_in_order_with_ids_that_name_them(tmp_path: Path) -> None:
    folder = write_images(
        tmp_path / "in", "b.png", "a.jpg", "a.png", "sub/Grün.webp", ".hidden.png"
    )
    (folder / "notes.txt").write_text("no image")
    found = find_images(folder)
    listed = [(image.file, image.image_id) for image in found.images.values()]
    assert listed == [
        ("a.jpg", "a.jpg"), ("a.png", "a.png"), ("b.png", "b"), ("sub/Grün.webp", "sub/Grün"),
    ]  # fmt: skip
    for image in found.images.values():  # `alps show --images` finds them by their ids
        assert image.file in file_names("recorded_in", image.image_id)
        assert found.path(image.key) == folder / image.file
    assert found.path(image_key("../b.png")) is None


def test_no_id_is_the_name_of_another_file(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a.jpg", "a.jpg.png")
    listed = [(image.file, image.image_id) for image in find_images(folder).images.values()]
    assert listed == [("a.jpg", "a"), ("a.jpg.png", "a.jpg.png")]


def test_what_is_no_image_or_leads_out_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "good.png")
    outside = write_images(tmp_path / "elsewhere", "secret.png") / "secret.png"
    (folder / "link.png").symlink_to(outside)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff but no more")
    (folder / "page.png").write_text("<svg onload=alert(1)>")
    found = find_images(folder)
    assert [image.file for image in found.images.values()] == ["good.png"]
    assert sorted(found.left_out.values()) == [1, 2]


def test_a_file_that_became_a_link_later_is_no_longer_served(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "one.png")
    found = find_images(folder)
    (tmp_path / "secret").write_text("secret")
    (folder / "one.png").unlink()
    (folder / "one.png").symlink_to(tmp_path / "secret")
    assert found.path(image_key("one.png")) is None


def test_sizes_are_those_a_browser_shows(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    tmp_path.joinpath("in").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "in" / "t.jpg", exif=turned)
    image = next(iter(find_images(tmp_path / "in").images.values()))
    assert (image.width, image.height) == (40, 60)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_no_images_is_one_clear_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no such folder|no image in it"):
        find_images(tmp_path / name)
