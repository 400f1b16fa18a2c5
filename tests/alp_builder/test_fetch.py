"""Downloads against a real server that breaks, changes, lies and redirects."""

from __future__ import annotations

import base64
import hashlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import requests

from alp_builder.errors import UsageError
from alp_builder.fetch import Fetched, default_cache, fetch_file, fetch_split
from alp_builder.http_range import FetchConfig, FetchError, OfflineError, open_at
from alp_builder.sources import find_split
from tests.alp_builder.file_server import Faults, FileServer, serve

BODY = random.Random(0).randbytes(200_000)
CONFIG = FetchConfig(attempts=3, backoff=0.01, max_backoff=0.05, connect_timeout=2, read_timeout=2)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve(FileServer(BODY)) as state:
        yield state


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "narratives.jsonl"


def _fetch(server: FileServer, target: Path, *, refresh: bool = False) -> Fetched:
    return fetch_file(server.url, target, config=CONFIG, refresh=refresh, progress=False)


def _parts(target: Path) -> list[str]:
    return sorted(p.name for p in target.parent.glob(".*part*"))


def test_a_file_appears_whole_and_is_reused(server: FileServer, target: Path) -> None:
    assert _fetch(server, target) == Fetched(path=target, size=len(BODY), received=len(BODY))
    assert target.read_bytes() == BODY
    assert _parts(target) == []
    assert _fetch(server, target) == Fetched(path=target, size=len(BODY))
    assert len(server.asked) == 1


def test_a_break_costs_only_the_missing_bytes(server: FileServer, target: Path) -> None:
    server.faults = [Faults(cut=70_000)]
    got = _fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.sent == [70_000, len(BODY) - 70_000]
    assert server.asked[1]["Range"] == "bytes=70000-"
    assert server.asked[1]["If-Range"] == '"one"'
    assert got.received == len(BODY)


def test_a_later_call_takes_up_what_an_earlier_one_left(server: FileServer, target: Path) -> None:
    server.faults = [Faults(cut=50_000)] + [Faults(status=503)] * 2
    with pytest.raises(FetchError, match="50,000 bytes are kept, the same command goes on"):
        _fetch(server, target)
    assert not target.exists()
    got = _fetch(server, target)
    assert (got.resumed_at, got.received) == (50_000, len(BODY) - 50_000)
    assert target.read_bytes() == BODY


def test_every_new_byte_renews_the_patience(server: FileServer, target: Path) -> None:
    server.faults = [Faults(cut=10_000) for _ in range(10)]
    _fetch(server, target)
    assert target.read_bytes() == BODY
    assert len(server.asked) == 11


def test_a_server_without_ranges_starts_again(server: FileServer, target: Path) -> None:
    server.ranges = False
    server.faults = [Faults(cut=70_000)]
    got = _fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.sent == [70_000, len(BODY)]
    assert got.resumed_at == 0


def test_without_a_validator_nothing_is_resumed(server: FileServer, target: Path) -> None:
    server.etag = None
    server.faults = [Faults(cut=70_000)]
    _fetch(server, target)
    assert target.read_bytes() == BODY
    assert "Range" not in server.asked[1]


def test_always_breaking_at_the_same_byte_ends(server: FileServer, target: Path) -> None:
    server.ranges = False
    server.faults = [Faults(cut=70_000) for _ in range(20)]
    with pytest.raises(FetchError, match="3 times without progress"):
        _fetch(server, target)
    assert len(server.asked) == 3


def test_a_file_that_changed_meanwhile_is_not_mixed(server: FileServer, target: Path) -> None:
    server.faults = [Faults(cut=70_000)] + [Faults(status=500)] * 2
    with pytest.raises(FetchError):
        _fetch(server, target)
    server.body, server.etag = BODY[::-1], '"two"'
    _fetch(server, target)
    assert target.read_bytes() == BODY[::-1]


@pytest.mark.parametrize(
    "lie",
    [
        {"Content-Range": "bytes 0-99999/200000"},
        {"Content-Range": "bytes 60000-199999/200000"},
        {"Content-Range": "bytes 70000-199999/*"},
        {"Content-Range": "nonsense"},
        {"ETag": '"other"'},
    ],
)
def test_a_wrong_range_is_not_appended(
    server: FileServer, target: Path, lie: dict[str, str]
) -> None:
    server.faults = [Faults(cut=70_000), Faults(headers=lie)]
    _fetch(server, target)
    assert target.read_bytes() == BODY
    assert "Range" not in server.asked[2]


def test_a_shortened_file_starts_again(server: FileServer, target: Path) -> None:
    server.faults = [Faults(cut=70_000), Faults(status=416)]
    _fetch(server, target)
    assert target.read_bytes() == BODY


def test_a_truncated_body_never_gets_the_name(server: FileServer, target: Path) -> None:
    server.faults = [Faults(claim=len(BODY) + 1) for _ in range(9)]
    server.ranges = False
    with pytest.raises(FetchError, match="broke"):
        _fetch(server, target)
    assert not target.exists()


def test_chunked_bodies_are_whole_or_refused(server: FileServer, target: Path) -> None:
    server.faults = [Faults(chunked=True, cut=40_960), Faults(chunked=True)]
    server.ranges = False
    _fetch(server, target)
    assert target.read_bytes() == BODY


def test_a_body_of_unknown_size_is_refused(server: FileServer, target: Path) -> None:
    server.faults = [Faults(nameless=True)]
    with pytest.raises(FetchError, match="does not tell the size"):
        _fetch(server, target)


def test_a_packed_body_is_refused(server: FileServer, target: Path) -> None:
    server.faults = [Faults(headers={"Content-Encoding": "gzip"})]
    with pytest.raises(FetchError, match="packs the file"):
        _fetch(server, target)


@pytest.mark.parametrize("chunked", [False, True])
def test_the_size_is_bounded(server: FileServer, target: Path, chunked: bool) -> None:
    server.faults = [Faults(chunked=chunked)]
    with pytest.raises(FetchError, match="accepted"):
        fetch_file(
            server.url,
            target,
            config=msgspec.structs.replace(CONFIG, max_bytes=99_999),
            progress=False,
        )
    assert not target.exists()


def test_missing_is_final(server: FileServer, target: Path) -> None:
    server.faults = [Faults(status=404)]
    with pytest.raises(FetchError, match="answered 404") as caught:
        _fetch(server, target)
    assert caught.value.exit_code == 1
    assert len(server.asked) == 1


def test_a_server_error_passes(server: FileServer, target: Path) -> None:
    server.faults = [Faults(status=500), Faults(status=429, headers={"Retry-After": "0"})]
    _fetch(server, target)
    assert target.read_bytes() == BODY


def test_the_md5_of_the_server_is_checked(server: FileServer, target: Path) -> None:
    def named(digest: bytes) -> dict[str, str]:
        return {"X-Goog-Hash": f"crc32c=AAAAAA==,md5={base64.b64encode(digest).decode()}"}

    right = hashlib.md5(BODY, usedforsecurity=False).digest()
    server.faults = [Faults(headers=named(b"0" * 16)), Faults(headers=named(right))]
    _fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.sent == [len(BODY), len(BODY)]
    target.unlink()
    server.faults = [Faults(headers=named(b"0" * 16)) for _ in range(9)]
    with pytest.raises(FetchError, match="MD5"):
        _fetch(server, target)
    assert not target.exists()


def test_offline_says_what_to_do(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OfflineError) as caught:
        fetch_file(f"http://127.0.0.1:{port}/x.jsonl", target, config=CONFIG, progress=False)
    text = str(caught.value)
    assert "no connection to 127.0.0.1" in text
    assert "refused" in text
    assert str(target) in text
    assert "NARRATIVES=" in text
    assert "\n" not in text


def test_a_server_that_hangs_up_is_not_called_offline(server: FileServer, target: Path) -> None:
    server.faults = [Faults(silent=True) for _ in range(9)]
    with pytest.raises(FetchError, match="3 times without progress") as caught:
        _fetch(server, target)
    assert not isinstance(caught.value, OfflineError)


def test_a_file_placed_by_hand_is_taken_as_it_is(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine\n")
    got = fetch_file("http://127.0.0.1:9/x.jsonl", target, config=CONFIG, progress=False)
    assert got == Fetched(path=target, size=5)


def test_a_file_cut_short_afterwards_is_fetched_again(server: FileServer, target: Path) -> None:
    _fetch(server, target)
    target.write_bytes(BODY[:1000])
    _fetch(server, target)
    assert target.read_bytes() == BODY


def test_refresh_asks_and_fetches_only_what_changed(server: FileServer, target: Path) -> None:
    _fetch(server, target)
    assert _fetch(server, target, refresh=True).received == 0
    server.body, server.etag = b"new\n", '"two"'
    assert _fetch(server, target, refresh=True).received == 4
    assert target.read_bytes() == b"new\n"


def test_redirects_are_followed(server: FileServer, target: Path) -> None:
    server.faults = [
        Faults(status=302, headers={"Location": "/elsewhere"}),
        Faults(status=307, headers={"Location": server.url}),
    ]
    _fetch(server, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_off_the_web_are_refused(server: FileServer, target: Path, place: str) -> None:
    server.faults = [Faults(status=302, headers={"Location": place})]
    with pytest.raises(FetchError, match="not followed"):
        _fetch(server, target)
    assert not target.exists()


def test_endless_redirects_end(server: FileServer, target: Path) -> None:
    server.faults = [Faults(status=301, headers={"Location": "/again"}) for _ in range(99)]
    with pytest.raises(FetchError, match="more than 5 redirects"):
        _fetch(server, target)


class _Downgrade(requests.adapters.BaseAdapter):
    """A secure server that sends its visitors to an insecure one."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]
        response = requests.Response()
        response.request, response.url, response.status_code = request, request.url or "", 302
        response.headers["Location"] = "http://127.0.0.1:9/x"
        return response

    def close(self) -> None:
        pass


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_https_never_leads_down_to_http(scheme: str) -> None:
    with requests.Session() as session:
        session.mount("https://", _Downgrade())
        with pytest.raises(FetchError, match="not safe"):
            open_at(session, f"{scheme}://example.org/x", 0, None, CONFIG)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://a/b", "narratives.jsonl", "http://", "http://[bad/x"]
)
def test_only_web_addresses(url: str, target: Path) -> None:
    with pytest.raises(UsageError, match="no http or https address"):
        fetch_file(url, target)


def test_a_folder_that_cannot_be_is_said_in_one_line(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file"):
        _fetch(server, tmp_path / "file" / "x.jsonl")


def test_two_at_once_do_the_work_once(server: FileServer, target: Path) -> None:
    server.pause = 0.002
    got: list[Fetched] = []
    threads = [threading.Thread(target=lambda: got.append(_fetch(server, target))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(file.received for file in got) == [0, len(BODY)]
    assert len(server.asked) == 1
    assert target.read_bytes() == BODY


KILLED = """
import sys
from pathlib import Path
from alp_builder.fetch import fetch_file
fetch_file(sys.argv[1], Path(sys.argv[2]), progress=False)
"""


def test_a_killed_download_goes_on(server: FileServer, target: Path) -> None:
    server.pause = 0.02
    child = subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(target)])
    part = target.with_name(f".{target.name}.part")
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 20_000) and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = part.stat().st_size
    assert 20_000 < kept < len(BODY)
    assert not target.exists()
    server.pause = 0
    got = _fetch(server, target)
    assert (got.resumed_at, got.received) == (kept, len(BODY) - kept)
    assert server.asked[-1]["Range"] == f"bytes={kept}-"
    assert target.read_bytes() == BODY
    assert _parts(target) == []


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from alp_builder import fetch
step, name = int(sys.argv[3]), sys.argv[4]
real = getattr(Path, name)
def counted(self, *args, **kwargs):
    global step
    step -= 1
    if step < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *args, **kwargs)
setattr(Path, name, counted)
fetch.fetch_file(sys.argv[1], Path(sys.argv[2]), progress=False)
"""


@pytest.mark.parametrize(
    ("name", "step"), [("replace", 0), ("replace", 1), ("replace", 2), ("unlink", 1)]
)
def test_a_kill_at_any_step_of_publishing_is_mended(
    server: FileServer, target: Path, name: str, step: int
) -> None:
    command = [sys.executable, "-c", KILLED_AT, server.url, str(target), str(step), name]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
    assert not target.exists() or target.read_bytes() == BODY
    got = _fetch(server, target)
    assert target.read_bytes() == BODY
    assert got.received == (len(BODY) if (name, step) == ("replace", 0) else 0)


def test_a_complete_part_needs_no_server(server: FileServer, target: Path) -> None:
    server.faults = [Faults(cut=199_999)] + [Faults(status=500)] * 2
    with pytest.raises(FetchError):
        _fetch(server, target)
    with target.with_name(f".{target.name}.part").open("ab") as part:
        part.write(BODY[-1:])
    asked = len(server.asked)
    assert _fetch(server, target).received == 0
    assert target.read_bytes() == BODY
    assert len(server.asked) == asked


def test_a_split_brings_all_its_files(server: FileServer, tmp_path: Path) -> None:
    split = find_split("coco_train")
    base = server.url.rpartition("/")[0]
    got = fetch_split(split, tmp_path, base_url=base, config=CONFIG, progress=False)
    assert [file.path for file in got] == [tmp_path / name for name in split.files]
    assert all(file.path.read_bytes() == BODY for file in got)


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("ALPS_CACHE", str(tmp_path / "own"))
    assert default_cache() == tmp_path / "own"
    monkeypatch.delenv("ALPS_CACHE")
    assert default_cache() == tmp_path / "alps"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG rules: to be ignored
    assert default_cache() == Path.home() / ".cache" / "alps"
