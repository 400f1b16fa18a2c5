"""Shards on object storage, through a bounded cache; `memory://` and a real S3-compatible server."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from alp_builder import shard_cache
from alp_builder.errors import BadDataError, UsageError
from alp_builder.reader import open_alps, read_alps
from alp_builder.shard_cache import RemoteAlps
from pipelines.synthetic_shards import random_tables, write_data_set
from tests.alp_builder.s3_server import s3_server

SHARDS = 3


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three shards of about 60 kB each."""
    folder = tmp_path_factory.mktemp("alps")
    tables = [next(random_tables(1_000, seed=seed)) for seed in range(SHARDS)]
    return write_data_set(folder, tables, count=SHARDS)


def upload(data_set: Path, url: str) -> str:
    files, root = fsspec.core.url_to_fs(url)
    for path in data_set.rglob("*"):
        if path.is_file():
            target = f"{root}/{path.relative_to(data_set)}"
            files.makedirs(files._parent(target), exist_ok=True)
            files.pipe_file(target, path.read_bytes())
    return url


@pytest.fixture
def url(data_set: Path) -> str:
    return upload(data_set, f"memory://{uuid.uuid4().hex}/alps")


def remote(url: str, cache: Path, max_bytes: int = 2**30) -> RemoteAlps:
    opened = open_alps(url, cache=cache, max_bytes=max_bytes)
    assert isinstance(opened, RemoteAlps)
    return opened


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("*/split=*/*.parquet"))


class Spy:
    """What is opened on a file system, and from which byte on it is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[tuple[str, int]] = []
        own = shard_cache.file_system

        def file_system(url: str) -> tuple[Any, str]:
            files, root = own(url)
            spied = type("Spied", (), {"open": self._open(files)})()
            spied.invalidate_cache = files.invalidate_cache
            return spied, root

        monkeypatch.setattr(shard_cache, "file_system", file_system)

    def _open(self, files: Any) -> Any:
        def opening(_: Any, path: str, *args: Any, **options: Any) -> Any:
            stream = files.open(path, *args, **options)
            own = stream.seek
            stream.seek = lambda place: (
                self.opened.append((Path(path).name, place)),
                own(place),
            )[1]
            return stream

        return opening


def test_a_remote_data_set_reads_like_the_local_one(
    data_set: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    here, there = open_alps(data_set), remote(url + "/", tmp_path)
    assert there.manifest == here.manifest
    assert not kept(tmp_path)  # the manifest alone was fetched
    wanted = [("score", ">", 0.5)]
    assert there.table(["phrase_text", "x0"], wanted, "train").equals(
        here.table(["phrase_text", "x0"], wanted, "train")
    )
    assert [t.equals(u) for t, u in zip(there.shards(), here.shards(), strict=True)] == [True] * 3
    assert [path.read_bytes() for path in there.paths()] == [p.read_bytes() for p in here.paths()]
    assert len(spy.opened) == SHARDS  # each came once
    assert [place for _, place in spy.opened] == [0] * SHARDS


def test_a_download_that_broke_off_goes_on_where_it_was(
    data_set: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = remote(url, tmp_path)
    info = there.infos()[0]
    path = there.folder / info.path
    path.parent.mkdir(parents=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes((data_set / info.path).read_bytes()[:10_000])
    spy = Spy(monkeypatch)
    with there.local(info) as found:
        assert found.read_bytes() == (data_set / info.path).read_bytes()
    assert spy.opened == [(path.name, 10_000)]
    assert not part.exists()


@pytest.mark.parametrize("junk", [b"other bytes", b"x" * 2**20])
def test_a_part_that_is_of_no_use_is_fetched_anew(
    junk: bytes, data_set: Path, url: str, tmp_path: Path
) -> None:
    there = remote(url, tmp_path)
    info = there.infos()[1]
    path = there.folder / info.path
    path.parent.mkdir(parents=True)
    path.with_name(f".{path.name}.part").write_bytes(junk)
    with there.local(info) as found:
        assert found.read_bytes() == (data_set / info.path).read_bytes()


def test_a_damaged_manifest_in_the_cache_is_mended(url: str, tmp_path: Path) -> None:
    expected = remote(url, tmp_path).num_rows
    (kept_manifest,) = tmp_path.glob("*/_alps/manifest.json")
    kept_manifest.write_bytes(b"")  # as a full disk or a power cut leaves it
    assert remote(url, tmp_path).num_rows == expected
    assert kept_manifest.stat().st_size > 0


def test_a_cache_that_cannot_be_is_one_line(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file: no cache of shards .*Not a directory"):
        open_alps(url, cache=tmp_path / "file")


def test_changed_and_missing_shards_are_refused(data_set: Path, url: str, tmp_path: Path) -> None:
    there = remote(url, tmp_path)
    files, root = fsspec.core.url_to_fs(url)
    first, second = (info.path for info in there.infos()[:2])
    files.pipe_file(f"{root}/{first}", b"x" + (data_set / first).read_bytes()[1:])
    files.rm_file(f"{root}/{second}")
    with pytest.raises(BadDataError, match=r"part-00000.*do not have the SHA-256 of the manifest"):
        next(iter(there.shards()))
    with (
        pytest.raises(BadDataError, match=r"part-00001.*: not there;"),
        there.local(there.infos()[1]),
    ):
        pass
    assert not kept(tmp_path)
    files.rm_file(f"{root}/_alps/manifest.json")
    with pytest.raises(BadDataError, match="expected a finished ALP data set"):
        open_alps(url, cache=tmp_path)
    with pytest.raises(BadDataError, match="expected a finished ALP data set"):
        read_alps("memory://nowhere/alps")


def test_the_cache_stays_below_its_bound_and_lets_go_of_what_was_used_longest_ago(
    url: str, tmp_path: Path
) -> None:
    sizes = [info.size for info in remote(url, tmp_path).infos()]
    there = remote(url, tmp_path, max_bytes=max(sizes[0] + sizes[1], sizes[0] + sizes[2]))
    first, second, third = there.infos()
    for info in (first, second, first):
        with there.local(info) as path:
            os.utime(path, (100.0 * sizes.index(info.size), 1e9 - info.size))
    os.utime(there.folder / first.path, (2e9, 2e9))
    with there.local(third):
        assert kept(tmp_path) == [Path(first.path).name, Path(third.path).name]
    assert (
        sum(path.stat().st_size for path in tmp_path.glob("*/split=*/*.parquet")) <= there.max_bytes
    )
    with pytest.raises(UsageError, match="raise its bound, or read shard by shard"):
        there.table()
    assert sum(table.num_rows for table in there.shards()) == 3_000

    with there.local(first), there.local(second):  # in use: nothing may go
        with (
            pytest.raises(UsageError, match="no room for split=train/part-00002"),
            there.local(third),
        ):
            pass
        assert kept(tmp_path) == [Path(first.path).name, Path(second.path).name]


def test_what_is_missing_here_is_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> Any:
        raise ImportError("no s3fs")

    with pytest.raises(UsageError, match="cannot be read .*Protocol not known"):
        open_alps("nosuch://bucket/alps", cache=tmp_path)
    monkeypatch.setattr(shard_cache, "file_system", missing)
    with pytest.raises(UsageError, match=r"pip install 'alp-toolkit\[s3\]'"):
        open_alps("s3://bucket/alps", cache=tmp_path)


@pytest.fixture
def s3() -> Iterator[list[str]]:
    """A real S3-compatible server with a bucket; yields the requests it got."""
    requests: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: requests.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        with s3_server(verbose=True):
            yield requests
    finally:
        log.removeHandler(handler)


def test_two_processes_share_one_download_from_s3(
    s3: list[str], data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(data_set, "s3://bucket/alps")
    s3.clear()
    code = (
        "import sys; from pathlib import Path; from alp_builder.reader import open_alps;"
        "data = open_alps('s3://bucket/alps', cache=Path(sys.argv[1]));"
        "print(sum(table.num_rows for table in data.shards('train')))"
    )
    call = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[0].strip() for process in both] == ["3000", "3000"]
    fetched = [m[1] for line in s3 if (m := re.search(r"GET /bucket/alps/(split=\S+?) ", line))]
    assert len(set(fetched)) == SHARDS
    assert len(fetched) == SHARDS  # once for both

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(UsageError, match="cannot be read .*check network, name and cred") as error:
        open_alps("s3://bucket/alps", cache=tmp_path)
    assert "\n" not in str(error.value)
