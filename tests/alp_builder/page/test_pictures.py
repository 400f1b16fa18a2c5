from __future__ import annotations

import struct
import zlib
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alp_builder.page.config import PageConfig
from alp_builder.page.pictures import encode, encode_all, link
from tests.alp_builder.page.conftest import write_image

CONFIG = PageConfig(image_side=64)
PLENTY = 10**6


def decoded(data: str) -> Image.Image:
    return Image.open(BytesIO(b64decode(data)), formats=["JPEG"])


def noise(path: Path, side: int = 64) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def claims(path: Path, width: int, height: int) -> Path:
    """A PNG that says it has this size, and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    pixels = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + pixels)
    return path


def test_images_are_shrunk_and_made_anew(tmp_path: Path) -> None:
    file = write_image(tmp_path / "a.png", (200, 100))
    made = encode(file, PLENTY, CONFIG)
    assert (made.width, made.height, made.side, made.problem) == (200, 100, 64, "")
    assert decoded(made.data).size == (64, 32)
    assert b"PNG" not in b64decode(made.data)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "CMYK", "1"])
def test_every_kind_of_pixels(mode: str, tmp_path: Path) -> None:
    file = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("RGB", (10, 10), "red").convert(mode).save(file)
    assert decoded(encode(file, PLENTY, CONFIG).data).mode == "RGB"


def test_images_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    made = encode(tmp_path / "a.jpg", PLENTY, CONFIG)
    assert (made.width, made.height) == (20, 40)
    assert decoded(made.data).size == (20, 40)
    assert not decoded(made.data).getexif()


def test_sides_go_down_until_an_image_fits(tmp_path: Path) -> None:
    file = noise(tmp_path / "a.png", 400)
    config = PageConfig(image_side=400, least_side=50)
    whole = encode(file, PLENTY, config)
    small = encode(file, len(whole.data) // 4, config)
    assert whole.side == 400
    assert 50 <= small.side < 300
    assert len(small.data) <= len(whole.data) // 4
    assert encode(file, 100, config).problem == "left out: the page would grow too large"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_many_pixels_are_refused_undecoded(tmp_path: Path) -> None:
    bomb = claims(tmp_path / "a.png", 60_000, 60_000)
    for made in (encode(bomb, PLENTY, CONFIG), link(bomb, tmp_path / "p.html", CONFIG)):
        assert made.problem.startswith("refused: ")
        assert not made.data
        assert not made.link
    large = encode(claims(tmp_path / "b.png", 12_000, 10_000), PLENTY, CONFIG)
    assert large.problem == "refused: 12000 x 10000 pixels, at most 100,000,000 are shown"


@pytest.mark.parametrize(
    "data", [b"", b"no image", b"\xff\xd8\xff\xe0 broken", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)  # fmt: skip
def test_what_is_no_image_is_told(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(data)
    assert encode(file, PLENTY, CONFIG).problem == "not a readable image"
    assert link(file, tmp_path / "p.html", CONFIG).problem == "not a readable image"


def test_a_truncated_image_is_told(tmp_path: Path) -> None:
    file = noise(tmp_path / "a.jpg")
    file.write_bytes(file.read_bytes()[:600])
    assert encode(file, PLENTY, CONFIG).problem == "not a readable image"


def test_links_are_relative_and_quoted(tmp_path: Path) -> None:
    file = write_image(tmp_path / "my photos" / 'a "b"#?.jpg')
    made = link(file, tmp_path / "pages" / "p.html", CONFIG)
    assert made.link == "../my%20photos/a%20%22b%22%23%3F.jpg"
    assert (made.width, made.height, made.data) == (80, 60, "")


def test_many_keep_their_order(tmp_path: Path) -> None:
    files = [write_image(tmp_path / f"{i}.png", (10 + i, 10)) for i in range(40)]
    assert [made.width for made in encode_all(files, PLENTY, CONFIG)] == list(range(10, 50))
