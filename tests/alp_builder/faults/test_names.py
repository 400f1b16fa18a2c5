"""Names, texts and addresses chosen by somebody who means harm."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
import requests
import zstandard
from PIL import Image

from alp_builder.copies import localise
from alp_builder.errors import AlpError, BadDataError, UsageError
from alp_builder.export.export import export
from alp_builder.export.pictures import Pictures
from alp_builder.export.selection import Selection
from alp_builder.fetch import fetch_file
from alp_builder.http_range import FetchConfig, FetchError, is_near, open_at
from alp_builder.inputs import NarrativeSource, find_sources
from alp_builder.page import PageConfig, PageRequest, write_page
from alp_builder.page.image_files import ImageFiles
from alp_builder.page.pictures import encode
from alp_builder.reader import open_alps, read_alps
from alp_builder.validation import validate
from tests.alp_builder.conftest import Builder
from tests.alp_builder.file_server import Faults, FileServer, serve
from tests.alp_builder.simulated import simulated_record, to_line, write_narratives
from tests.conftest import ROOT

PATHS = [
    "..", "../x", "../../etc/passwd", "/etc/passwd", "a/../../x", "a//b", "./x", "~/x", "~root/x", "C:\\x",
    "..\\x", "\\\\host\\share", "x\0.jpg", "file:///etc/passwd", "", " ", ".", "a" * 5000, "CON", "\u202egpj.x",
    "%2e%2e/x", "x\n../y", "|id", "-rf", "$(id)", "`id`", "*", "[x]", "{id}",
]  # fmt: skip
MARKUP = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "<!--", "]]>", "&lt;b&gt;",
    "javascript:alert(1)", "\u2028", "'\"><svg/onload=alert(1)>", "{{7*7}}", "${7*7}", "\x1b]0;x\x07",
]  # fmt: skip
FORMULAS = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(1)",
    "=cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
    '=HYPERLINK("x","y")',
]


def _hostile_record(number: int, text: str) -> dict[str, Any]:
    """A good narrative whose names and caption hold a text."""
    record = simulated_record(number)
    record |= {"image_id": text or "x", "dataset_id": text or "x"}
    record["caption"] = f"a red dog {text} and a white car"
    return record


def test_hostile_texts_go_through_a_build_as_texts(tmp_path: Path, build_here: Builder) -> None:
    """Whatever a name says, nothing is written but the data set, and rows hold it to the letter."""
    texts = [*PATHS, *MARKUP, *FORMULAS]
    file = tmp_path / "in" / "x.jsonl"
    write_narratives(file, [_hostile_record(n, t) for n, t in enumerate(texts)])
    out = tmp_path / "out"
    summary = build_here(file, out, "with_traces=true")
    assert summary.counts["lines"] == len(texts)
    validate(out, progress=False)
    found = set(read_alps(out)["image_id"].to_pylist())
    kept = {text or "x" for text in texts} - {entry["image_id"] for entry in _rejected(out, file)}
    assert found == kept
    assert len(kept) >= len(texts) - 4
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}

    photo = tmp_path / "photos"
    photo.mkdir()
    Image.new("RGB", (40, 30)).save(photo / "x.jpg")
    page = tmp_path / "page.html"
    write_page(PageRequest(alps=out, images=[str(photo)]), page, PageConfig(), progress=False)
    source = page.read_text()
    for text in MARKUP:
        if "<" in text:
            assert text not in source
    blocks = re.findall(r"<script[^>]*>(.*?)</script>", source, re.DOTALL)
    assert any("a red dog" in block for block in blocks)
    assert "onerror=alert" not in re.sub(r"<script[^>]*>.*?</script>", "", source, flags=re.DOTALL)

    counts = export(
        open_alps(out), tmp_path / "coco.json", "coco", Selection(), Pictures(root=photo)
    ).counts
    assert counts["images"] == 1
    names = {
        image["file_name"] for image in json.loads((tmp_path / "coco.json").read_bytes())["images"]
    }
    assert names == {"x.jpg"}


def _rejected(out: Path, file: Path) -> list[dict[str, Any]]:
    lines = file.read_bytes().splitlines()
    told = (out / "_alps" / "quarantine.jsonl").read_bytes().splitlines()
    return [json.loads(lines[json.loads(entry)["line"] - 1]) for entry in told]


def test_nothing_here_writes_a_csv() -> None:
    """Spreadsheets run what starts with =, +, - or @: whoever adds a CSV writer must think of it, and of this."""
    writers = re.compile(
        r"csv\.(writer|DictWriter|write_csv)|\.to_csv\(|\.write_csv\(|to_excel|ExcelWriter"
    )
    files = [
        path
        for name in ("alp_builder", "trainer", "pipelines")
        for path in (ROOT / name).rglob("*.py")
    ]
    assert len(files) > 100
    assert not [path for path in files if writers.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("name", PATHS)
def test_no_name_leads_out_of_a_folder(name: str, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "x.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "x.jpg")
    (root / "folder").symlink_to(tmp_path)
    table = root / "images.csv"
    quoted = name.replace('"', '""')
    table.write_text(
        f'dataset_id,image_id,file_name\nd,1,"{quoted}"\nd,2,link.jpg\nd,3,folder/x.jpg\n'
    )
    for dataset in ("d", "coco_val2017", "open_images", name):
        assert ImageFiles([str(root)]).find(dataset, name) is None
    assert ImageFiles([str(root)]).find("d", "link") is None
    try:
        listed = ImageFiles([str(root)], table)
    except AlpError:
        return  # no CSV any more: one line
    assert [listed.find("d", str(n)) for n in (1, 2, 3)] == [None] * 3


class _Sending(requests.adapters.BaseAdapter):
    """A server that sends its visitors elsewhere."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]
        response = requests.Response()
        response.request, response.url, response.status_code = request, request.url or "", 302
        response.headers["Location"] = self.place
        return response

    def close(self) -> None:
        pass


class TestAddresses:
    def test_which_addresses_are_near(self) -> None:
        near = [
            "http://localhost/x",
            "http://a.localhost",
            "http://127.0.0.1:80",
            "http://[::1]/",
            "http://10.1.2.3",
            "http://172.16.0.1",
            "http://169.254.169.254/",
            "http://[fe80::1]",
            "http://0.0.0.0",
            "http://127.1",
            "http://2852039166/latest",
            "http://0xa9.0xfe.0xa9.0xfe",
        ]
        far = [
            "https://example.org/localhost",
            "https://8.8.8.8",
            "http://localhost.example.org",
            "https://[2606:4700::1]",
            "http://134744072",
        ]
        assert all(map(is_near, near))
        assert not any(map(is_near, far))

    @pytest.mark.parametrize(
        "place", ["file:///etc/passwd", "ftp://x/y", "gopher://x", "data:,x", "//\0"]
    )
    def test_a_build_is_not_led_off_the_web(self, place: str, tmp_path: Path) -> None:
        with serve(FileServer(to_line(simulated_record(0)))) as server:
            server.faults = [Faults(status=302, headers={"Location": place}) for _ in range(12)]
            source = NarrativeSource(location=server.url, split="train")
            with pytest.raises(BadDataError) as told:
                localise(source, tmp_path / "work", 200)
        assert "root:" not in str(told.value)
        assert not [p for p in (tmp_path / "work").rglob("*") if p.suffix == ".jsonl"]

    @pytest.mark.parametrize(
        "place", ["http://169.254.169.254/latest/", "http://localhost:8080/", "//[::1]/x"]
    )
    def test_a_redirect_into_this_machine_is_refused(self, place: str) -> None:
        """A cloud machine's keys lie at the first address; nobody's friend sends us there."""
        with requests.Session() as session:
            session.mount("http://", _Sending(place))
            with pytest.raises(FetchError, match="an address of this machine or its network"):
                open_at(session, "http://example.org/x", 0, None, FetchConfig())

    @pytest.mark.parametrize(
        "place", ["http://[", "http://a b/", "http://x:99999/", "http://\u00e9..x/"]
    )
    def test_a_redirect_to_no_address_is_one_line(self, place: str, tmp_path: Path) -> None:
        once = FetchConfig(backoff=0.01, first_attempts=1, attempts=1)
        with serve(FileServer(b"x")) as server:
            server.faults = [
                Faults(status=302, headers={"Location": place.encode().decode("latin1")})
            ]
            with pytest.raises((FetchError, UsageError)):
                fetch_file(server.url, tmp_path / "x", config=once)

    @pytest.mark.parametrize("location", ["file:///nowhere/x.jsonl", "local:///nowhere/x.jsonl"])
    def test_a_local_address_is_a_path(self, location: str) -> None:
        with pytest.raises(UsageError, match="no such file"):
            find_sources([location], "train")


class TestBombs:
    @pytest.mark.parametrize("suffix", [".gz", ".zst"])
    @pytest.mark.parametrize("megabytes", [40, pytest.param(4000, marks=pytest.mark.faults)])
    def test_an_archive_that_unpacks_to_far_more(
        self, suffix: str, megabytes: int, tmp_path: Path
    ) -> None:
        path = tmp_path / f"x.jsonl{suffix}"
        with path.open("wb") as stream:
            if suffix == ".gz":
                packer: Any = gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=9)
            else:
                packer = zstandard.ZstdCompressor(level=3).stream_writer(stream, closefd=False)
            with packer:
                for _ in range(megabytes // 4):
                    packer.write(bytes(4 * 2**20))
        source = NarrativeSource(location=str(path), split="train")
        with pytest.raises(BadDataError, match="raise input.max_inflation"):
            localise(source, tmp_path / "work", 20)
        assert not [p for p in (tmp_path / "work").rglob("*") if p.is_file()]

    @pytest.mark.parametrize("side", [40_000, 2**31 - 1])
    def test_an_image_of_billions_of_pixels(self, side: int, tmp_path: Path) -> None:
        path = tmp_path / "x.png"
        path.write_bytes(huge_png(side))
        picture = encode(path, 10**6, PageConfig())
        assert not picture.data
        assert "refused" in picture.problem or "not a readable image" in picture.problem


def huge_png(side: int) -> bytes:
    """A PNG of a few bytes whose header tells of side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )
