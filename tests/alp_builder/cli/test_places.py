"""Data sets by URL, and what may not be one: every verb that reads shards reads them from storage too."""

from __future__ import annotations

import json
import threading
import uuid
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from alp_builder import read_alps
from alp_builder.cli.main import main
from alp_builder.errors import BadDataError
from alp_builder.manifest import read_manifest
from alp_builder.reader import open_alps
from alp_builder.validation import validate


@pytest.fixture
def url(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """`built`, uploaded."""
    monkeypatch.setenv("ALPS_CACHE", str(tmp_path / "cache"))
    url = f"memory://{uuid.uuid4().hex}/alps"
    files, root = fsspec.core.url_to_fs(url)
    for path in built.rglob("*"):
        if path.is_file():
            files.pipe_file(f"{root}/{path.relative_to(built).as_posix()}", path.read_bytes())
    return url


def put(url: str, name: str, data: bytes | None) -> None:
    files, root = fsspec.core.url_to_fs(url)
    if data is None:
        files.rm_file(f"{root}/{name}")
    else:
        files.pipe_file(f"{root}/{name}", data)


class TestVerbs:
    def test_stats_are_those_of_the_folder(
        self, built: Path, url: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["stats", str(built), "--json"]) == 0
        expected = json.loads(capfd.readouterr().out)
        assert main(["stats", url, "--json"]) == 0
        assert json.loads(capfd.readouterr().out) == expected
        assert main(["stats", url, "--compare", f"file://{built}"]) == 0
        assert url in capfd.readouterr().out

    def test_validate(self, url: str, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["validate", url, "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["valid"]

    def test_a_selection_is_a_data_set(self, built: Path, url: str, tmp_path: Path) -> None:
        for name, place in (("here", str(built)), ("there", url)):
            assert main(["export", place, "--to", "shards", "--out", str(tmp_path / name)]) == 0
            validate(tmp_path / name, progress=False)
        here, there = read_manifest(tmp_path / "here"), read_manifest(tmp_path / "there")
        assert here == there

    def test_a_card_says_where_the_shards_are(self, url: str, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
        out = tmp_path / "card"
        assert main(["card", url, "--out", str(out)]) == 0
        figures = json.loads((out / "figures.json").read_bytes())
        assert figures["settings"]["name"] == "alps"
        assert figures["settings"]["location"] == url
        assert main(["card", url, "--out", str(out), "--check"]) == 0

    def test_a_page(self, built: Path, url: str, tmp_path: Path) -> None:
        for name, place in (("here", str(built)), ("there", url)):
            assert main(["show", place, "--out", str(tmp_path / f"{name}.html")]) == 0
        here, there = (tmp_path / "here.html").read_text(), (tmp_path / "there.html").read_text()
        assert there == here

    @pytest.mark.parametrize("verb", ["validate", "stats", "show", "audit", "card", "export"])
    def test_nothing_there_is_one_line(
        self, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.setenv("ALPS_CACHE", str(tmp_path / "cache"))
        gold = tmp_path / "gold.csv"
        gold.write_text("dataset_id,image_id,caption,char_start,char_end,x0,y0,x1,y1\n")
        more = {"audit": ["--gold", gold], "card": ["--out", tmp_path / "card"],
                "export": ["--to", "hf", "--out", tmp_path / "hf"],
                "show": ["--out", tmp_path / "p.html"]}.get(verb, [])  # fmt: skip
        assert main([verb, "memory://nothing/here", *map(str, more)]) in (1, 2)
        err = capfd.readouterr().err
        assert err.startswith(f"alps {verb}: ")
        assert err.count("\n") == 1


class TestValidation:
    """What is checked is what lies in the storage, not what an earlier reading has left here."""

    @pytest.mark.parametrize(
        ("harm", "words"),
        [
            ("flip", "SHA-256"),
            ("cut", "SHA-256"),
            ("remove", "listed in the manifest, not on disk"),
            ("add", "on disk, not in the manifest"),
            ("quarantine", "missing or changed since the build"),
            ("no quarantine", "missing or changed since the build"),
        ],
    )
    def test_harm_is_found(self, harm: str, words: str, built: Path, url: str) -> None:
        read_alps(url)
        shard = read_manifest(built).shards[0].path
        data = bytearray((built / shard).read_bytes())
        if harm == "flip":
            data[len(data) // 2] ^= 1
            put(url, shard, bytes(data))
        elif harm == "cut":
            put(url, shard, bytes(data[:-9]))
        elif harm == "remove":
            put(url, shard, None)
        elif harm == "add":
            put(url, "split=train/extra.parquet", bytes(data))
        else:
            put(url, "_alps/quarantine.jsonl", None if harm.startswith("no") else b"{}\n")
        with pytest.raises(BadDataError, match=words):
            validate(url, progress=False)


def test_a_data_set_on_the_web(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPS_CACHE", str(tmp_path / "cache"))
    handler = partial(SimpleHTTPRequestHandler, directory=str(built))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            assert validate(url, progress=False) == read_manifest(built)
            assert read_alps(url).equals(read_alps(built))
        finally:
            server.shutdown()


def test_the_columns_of_a_data_set_cost_one_shard(built: Path, url: str, tmp_path: Path) -> None:
    remote = open_alps(url, cache=tmp_path / "kept")
    assert remote.columns == open_alps(built).columns
    assert len(remote.manifest.shards) > 1
    assert len(list((tmp_path / "kept").glob("*/split=*/*.parquet"))) == 1


def test_messages_name_the_url(url: str) -> None:
    with pytest.raises(Exception, match=f"{url}: no split 'nope'"):
        read_alps(url, split="nope")


@pytest.mark.parametrize(
    "words",
    [
        "export ALPS --to hf --out s3://bucket/x",
        "card ALPS --out s3://bucket/x",
        "show ALPS --out gs://bucket/page.html",
        "show ALPS --truth s3://bucket/x.json",
        "align x.jsonl --out s3://bucket/x",
        "fetch coco_val --cache s3://bucket/x",
        "simulate scenes --out s3://bucket/x",
        "build x.jsonl --out memory://x --work s3://bucket/x",
    ],
)
def test_a_url_in_place_of_a_path_is_refused(
    words: str, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """As a path it would be a folder called `s3:` here, and the user would look for it in vain."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(words.replace("ALPS", str(built)).split())
    assert stopped.value.code == 2
    assert "not a URL" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["stats", "validate", "build --out"])
def test_an_empty_name_is_not_the_current_folder(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main([*verb.split(), ""])
    assert not list(tmp_path.iterdir())
