from __future__ import annotations

import errno
import gzip
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import fsspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.copies import localise
from alp_builder.errors import BadDataError, UsageError
from alp_builder.http_range import FetchConfig
from alp_builder.inputs import NarrativeSource, find_sources, scan
from tests.alp_builder.file_server import Faults, FileServer, serve

DATA = b"".join(b'{"line": %d}\n' % number for number in range(5000))


def _source(location: str | Path) -> NarrativeSource:
    return NarrativeSource(location=str(location), split="train")


class TestFindSources:
    def _names(self, inputs: list[str | Path]) -> list[str]:
        return [Path(s.location).name for s in find_sources([str(i) for i in inputs], "val")]

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("b.jsonl", "a.jsonl.gz", "deep/c.ndjson.zst", "d.json", "notes.txt", ".e.jsonl",
                     "b.truth.jsonl",
                     "_alps/quarantine.jsonl", ".hidden/f.jsonl"):  # fmt: skip
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"")
        return tmp_path

    def test_a_folder_stands_for_its_narratives_by_name(self, folder: Path) -> None:
        assert self._names([folder]) == ["a.jsonl.gz", "b.jsonl", "c.ndjson.zst"]

    def test_a_glob_stands_for_its_matches_by_name(self, folder: Path) -> None:
        assert self._names([folder / "[a-d].j*"]) == ["a.jsonl.gz", "b.jsonl", "d.json"]
        assert self._names([folder / "**" / "c*"]) == ["c.ndjson.zst"]

    def test_a_file_may_have_any_name(self, folder: Path) -> None:
        assert self._names([folder / "notes.txt"]) == ["notes.txt"]

    def test_a_name_that_looks_like_a_glob_is_a_file_first(self, tmp_path: Path) -> None:
        (tmp_path / "part[1].jsonl").write_bytes(b"")
        assert self._names([tmp_path / "part[1].jsonl"]) == ["part[1].jsonl"]

    def test_order_is_kept_and_each_file_is_taken_once(self, folder: Path) -> None:
        names = self._names([folder / "d.json", folder, folder / "d.json"])
        assert names == ["d.json", "a.jsonl.gz", "b.jsonl", "c.ndjson.zst"]

    def test_urls_stay_as_they_are(self) -> None:
        urls = ["https://host/x.jsonl", "memory://y.gz"]
        assert [source.location for source in find_sources(urls, "val")] == urls

    def test_a_local_url_is_a_path(self, folder: Path) -> None:
        (source,) = find_sources([f"file://{folder}/b.jsonl"], "val")
        assert source == NarrativeSource(location=f"{folder}/b.jsonl", split="val")

    @pytest.mark.parametrize("name", ["none.jsonl", "none/*.jsonl", "**/none"])
    def test_what_is_not_there_is_named(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(UsageError, match="no such file, folder or glob match"):
            find_sources([str(tmp_path / name)], "val")

    @pytest.mark.parametrize("url", ["http://[bad/x.jsonl", "s3://[bad/"])
    def test_what_is_no_address_is_named(self, url: str) -> None:
        with pytest.raises(UsageError, match="no address"):
            find_sources([url], "val")

    def test_a_folder_that_cannot_be_listed_is_named(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.scandir

        def scandir(place: str | Path) -> object:
            if str(place).endswith("deep"):
                raise PermissionError(errno.EACCES, "Permission denied", str(place))
            return real(place)

        monkeypatch.setattr(os, "scandir", scandir)
        with pytest.raises(UsageError, match=r"deep: cannot be read \(Permission denied\)"):
            find_sources([str(folder)], "val")

    def test_a_folder_without_narratives_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no file in it ends in \.jsonl"):
            find_sources([str(tmp_path)], "val")

    def test_nothing_is_no_input(self) -> None:
        with pytest.raises(UsageError, match="no input"):
            find_sources([], "val")

    def test_a_name_that_is_no_utf8_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"\xff.jsonl")).write_bytes(b"")
        with pytest.raises(UsageError, match="must be UTF-8; rename it"):
            find_sources([str(tmp_path)], "val")


class TestLocalise:
    def test_a_plain_file_is_read_where_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "a::b.jsonl").write_bytes(DATA)
        path = localise(_source(tmp_path / "a::b.jsonl"), tmp_path / "copies", 200)
        assert path == tmp_path / "a::b.jsonl"
        assert not (tmp_path / "copies").exists()

    @pytest.mark.parametrize(
        ("name", "packed"),
        [
            ("x.jsonl.gz", gzip.compress(DATA)),
            ("x.jsonl.gz", gzip.compress(DATA[:777]) + gzip.compress(DATA[777:])),
            ("x.jsonl.zst", zstandard.compress(DATA)),
            ("x.jsonl.zst", zstandard.compress(DATA[:777]) + zstandard.compress(DATA[777:])),
            ("a::b*.gz", gzip.compress(DATA)),
        ],
        ids=["gz", "gz of two members", "zst", "zst of two frames", "odd name"],
    )
    def test_what_is_packed_is_unpacked(self, tmp_path: Path, name: str, packed: bytes) -> None:
        (tmp_path / name).write_bytes(packed)
        path = localise(_source(tmp_path / name), tmp_path / "copies", 200)
        assert path.read_bytes() == DATA

    def test_no_room_for_the_copy_is_not_blamed_on_the_source(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(DATA))

        @contextmanager
        def full(_: Path) -> Iterator[None]:
            raise OSError(errno.ENOSPC, "No space left on device")
            yield

        monkeypatch.setattr("alp_builder.copies.atomic_file", full)
        with pytest.raises(OSError, match="No space left"):
            localise(_source(tmp_path / "x.jsonl.gz"), tmp_path / "copies", 200)

    @pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
    def test_a_truncated_archive_is_an_error(
        self, tmp_path: Path, pack: object, kept: float
    ) -> None:
        assert callable(pack)
        packed = pack(DATA)
        file = tmp_path / ("x.gz" if pack is gzip.compress else "x.zst")
        file.write_bytes(packed[: int(len(packed) * kept)])
        with pytest.raises(BadDataError, match=r"[Tt]runcated"):
            localise(_source(file), tmp_path / "copies", 200)
        assert not list((tmp_path / "copies").glob("*"))

    @pytest.mark.parametrize("name", ["x.gz", "x.zst"])
    @pytest.mark.parametrize("tail", [b"no archive at all", b""])
    def test_bytes_that_are_no_archive(self, tmp_path: Path, name: str, tail: bytes) -> None:
        start = gzip.compress(DATA) if name == "x.gz" else zstandard.compress(DATA)
        (tmp_path / name).write_bytes((b"" if tail else start) + (tail or b"then junk"))
        with pytest.raises(BadDataError, match=name):
            localise(_source(tmp_path / name), tmp_path / "copies", 200)

    @pytest.mark.parametrize("name", ["bomb.gz", "bomb.zst"])
    def test_an_archive_that_unpacks_to_absurdly_much_is_refused(
        self, tmp_path: Path, name: str
    ) -> None:
        zeros = bytes(5 * 2**20)
        packed = gzip.compress(zeros) if name.endswith("gz") else zstandard.compress(zeros)
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(BadDataError, match=r"unpacks to over 3 times .*input\.max_inflation"):
            localise(_source(tmp_path / name), tmp_path / "copies", 3)
        assert not list((tmp_path / "copies").glob("*"))
        assert (
            localise(_source(tmp_path / name), tmp_path / "copies", 6).stat().st_size == 5 * 2**20
        )

    def test_a_copy_is_used_again_until_its_source_changes(self, tmp_path: Path) -> None:
        file, copies = tmp_path / "x.gz", tmp_path / "copies"
        file.write_bytes(gzip.compress(b"first\n"))
        first = localise(_source(file), copies, 200)
        inode = first.stat().st_ino
        assert localise(_source(file), copies, 200).stat().st_ino == inode
        file.write_bytes(gzip.compress(b"other text\n"))
        assert localise(_source(file), copies, 200).read_bytes() == b"other text\n"

    def test_any_file_system_of_fsspec(self, tmp_path: Path) -> None:
        files = fsspec.filesystem("memory")
        files.pipe("/test_inputs/x.jsonl.zst", zstandard.compress(DATA))
        path = localise(_source("memory://test_inputs/x.jsonl.zst"), tmp_path / "copies", 200)
        assert path.read_bytes() == DATA

    @pytest.mark.parametrize(
        "location", ["memory://none.jsonl", "nonsense://host/x", "http://127.0.0.1:9/x.jsonl"]
    )
    def test_a_url_that_cannot_be_read_is_one_line(self, tmp_path: Path, location: str) -> None:
        with pytest.raises(BadDataError, match=location) as caught:
            localise(_source(location), tmp_path / "copies", 200)
        assert "\n" not in str(caught.value)


class _Failing(BaseHTTPRequestHandler):
    """Answers every request with the status in its path."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        pass


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def _serving(handler: object) -> Iterator[str]:
    """A server on this machine; yields its address."""
    server = HTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_http_with_a_query_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(DATA))
    with _serving(partial(_Quiet, directory=str(tmp_path))) as address:
        source = _source(f"{address}/x.jsonl.gz?token=secret")
        assert localise(source, tmp_path / "copies", 200).read_bytes() == DATA


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads that do not wait long before they try again."""
    hasty = FetchConfig(backoff=0.01, max_backoff=0.02)
    monkeypatch.setattr("alp_builder.fetch.FetchConfig", lambda: hasty)


@pytest.mark.usefixtures("impatient")
class TestDownload:
    """Inputs of the web, copied as `alps fetch` downloads."""

    @pytest.mark.parametrize("packed", [False, True])
    def test_a_connection_that_breaks_is_taken_up(self, tmp_path: Path, packed: bool) -> None:
        body = gzip.compress(DATA, 0) if packed else DATA
        with serve(FileServer(body, faults=[Faults(cut=30_000), Faults(status=503)])) as server:
            url = server.url + (".gz" if packed else "")
            path = localise(_source(url), tmp_path / "copies", 200)
            assert path.read_bytes() == DATA
            assert [request.get("Range") for request in server.asked[1:]] == ["bytes=30000-"] * 2
            stamp = path.stat().st_mtime_ns
            assert localise(_source(url), tmp_path / "copies", 200) == path
            assert path.stat().st_mtime_ns == stamp  # the server was asked, and it is the same
            server.body, server.etag = DATA[:100], '"two"'
            if not packed:
                assert localise(_source(url), tmp_path / "copies", 200).read_bytes() == DATA[:100]

    def test_what_arrived_is_kept_for_the_next_call(self, tmp_path: Path) -> None:
        with serve(
            FileServer(DATA, faults=[Faults(cut=30_000)] + [Faults(status=503)] * 6)
        ) as server:
            with pytest.raises(BadDataError, match=r"cannot be read .*30,000 bytes are kept"):
                localise(_source(server.url), tmp_path / "copies", 200)
            assert localise(_source(server.url), tmp_path / "copies", 200).read_bytes() == DATA
            assert server.asked[-1]["Range"] == "bytes=30000-"

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "memory://x"])
    def test_a_redirect_to_another_scheme_is_refused(self, tmp_path: Path, target: str) -> None:
        fault = Faults(status=302, headers={"Location": target})
        with (
            serve(FileServer(DATA, faults=[fault])) as server,
            pytest.raises(BadDataError, match=r"redirects to .*not followed"),
        ):
            localise(_source(server.url), tmp_path / "copies", 200)
        assert not list((tmp_path / "copies").glob("*.jsonl"))

    def test_progress_names_the_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "x.gz").write_bytes(gzip.compress(DATA))
        localise(_source(tmp_path / "x.gz"), tmp_path / "copies", 200, progress=True)
        shown = capsys.readouterr().err
        assert "copying: 100%" in shown


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [403, 404, 500])
def test_http_errors_are_one_line(tmp_path: Path, status: int) -> None:
    with (
        _serving(_Failing) as address,
        pytest.raises(BadDataError, match="cannot be read") as caught,
    ):
        localise(_source(f"{address}/{status}"), tmp_path / "copies", 200)
    assert "\n" not in str(caught.value)


class TestScan:
    @given(
        lines=st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=12),
        ends=st.booleans(),
        chunk_bytes=st.integers(1, 40),
    )
    def test_chunks_are_whole_lines_that_cover_the_file(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        lines: list[bytes],
        ends: bool,
        chunk_bytes: int,
    ) -> None:
        data = b"\n".join(lines) + (b"\n" if ends and lines else b"")
        file = tmp_path_factory.getbasetemp() / "scan.jsonl"
        file.write_bytes(data)
        scanned, chunks = scan(file, _source(file), 3, 7, chunk_bytes)
        assert (scanned.size, scanned.lines) == (len(data), data.count(b"\n"))
        assert scanned.sha256 == hashlib.sha256(data).hexdigest()
        assert b"".join(data[c.start : c.end] for c in chunks) == data
        assert [c.number for c in chunks] == list(range(7, 7 + len(chunks)))
        for chunk in chunks:
            assert chunk.source == 3
            assert chunk.first_line == 1 + data[: chunk.start].count(b"\n")
            text = data[chunk.start : chunk.end]
            assert text.endswith(b"\n") or chunk.end == len(data)
            # The chunk ends with the line that reaches its size.
            assert len(text) - len(text.splitlines(keepends=True)[-1] or b"") < chunk_bytes or (
                b"\r" in text
            )

    def test_lines_longer_than_what_is_read_at_once(self, tmp_path: Path) -> None:
        file = tmp_path / "long.jsonl"
        data = b"x" * (3 * 2**20) + b"\n" + b"y\n" * 10
        file.write_bytes(data)
        scanned, chunks = scan(file, _source(file), 0, 0, 4)
        assert scanned.lines == 11
        assert chunks[0].end == 3 * 2**20 + 1
        assert [(c.start, c.end) for c in chunks[1:]] == [
            (chunks[0].end + 4 * k, chunks[0].end + 4 * k + 4) for k in range(5)
        ]

    def test_progress_sums_to_the_size(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(DATA)
        steps: list[int] = []
        scan(tmp_path / "x", _source("x"), 0, 0, 100, steps.append)
        assert sum(steps) == len(DATA)

    def test_a_missing_file_is_named_as_the_user_named_it(self, tmp_path: Path) -> None:
        with pytest.raises(BadDataError, match=r"my file: cannot be read"):
            scan(tmp_path / "none", _source("my file"), 0, 0, 10)
