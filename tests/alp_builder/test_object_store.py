"""Builds from and to a real S3-compatible server: the same bytes, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alp_builder.build import BuildSummary
from alp_builder.cli.main import main
from alp_builder.errors import BadDataError, UsageError
from alp_builder.inputs import NarrativeSource, find_sources
from alp_builder.object_store import ObjectStore
from alp_builder.parts import Part, build_part
from alp_builder.remote import shard_names
from alp_builder.validation import validate
from tests.alp_builder.conftest import SMALL_SHARDS, Builder, tree_bytes
from tests.alp_builder.s3_server import s3_server
from tests.alp_builder.simulated import simulated_records, to_line, write_narratives

URL = "s3://bucket/alps"


@pytest.fixture(scope="module")
def storage() -> Iterator[Any]:
    """The server's file system, with narratives in `bucket/in`, a bad line among them."""
    with s3_server() as files:
        lines = [to_line(record) for record in simulated_records(30)]
        files.pipe("bucket/in/a.jsonl", b"\n".join([*lines[:20], b"not json", b""]))
        files.pipe("bucket/in/deep/b.jsonl.gz", gzip.compress(b"\n".join(lines[20:])))
        files.pipe("bucket/in/_private/c.jsonl", b"not json")
        files.pipe("bucket/in/notes.txt", b"no narratives")
        yield files


@pytest.fixture
def bucket(storage: Any) -> Any:
    """The same without what other tests have built."""
    storage.invalidate_cache()
    if storage.exists("bucket/alps"):
        storage.rm("bucket/alps", recursive=True)
    storage.invalidate_cache()
    return storage


@pytest.fixture(scope="module")
def sources(storage: Any) -> list[NarrativeSource]:
    return find_sources(["s3://bucket/in"], "train")


@pytest.fixture(scope="module")
def expected(
    sources: list[NarrativeSource], tmp_path_factory: pytest.TempPathFactory, build_here: Builder
) -> dict[str, str]:
    """What a build of the same inputs into a folder gives."""
    out = tmp_path_factory.mktemp("expected") / "out"
    build_here(sources, out, *SMALL_SHARDS)
    return tree_bytes(out)


def objects(files: Any) -> dict[str, str]:
    """SHA-256 of every object of the data set."""
    files.invalidate_cache()
    return {
        name.removeprefix("bucket/alps/"): hashlib.sha256(files.cat_file(name)).hexdigest()
        for name in files.find("bucket/alps")
    }


@pytest.fixture
def run(build_here: Builder, sources: list[NarrativeSource], tmp_path: Path) -> Any:
    def build(*more: str, work: str = "work", **options: Any) -> BuildSummary:
        options["work"] = tmp_path / work
        return build_here(sources, URL, *SMALL_SHARDS, *more, **options)  # type: ignore[arg-type]

    return build


class TestInputs:
    def test_a_prefix_stands_for_its_narratives(self, sources: list[NarrativeSource]) -> None:
        names = ["s3://bucket/in/a.jsonl", "s3://bucket/in/deep/b.jsonl.gz"]
        assert [source.location for source in sources] == names

    def test_a_glob_stands_for_its_matches(self, storage: Any) -> None:
        found = find_sources(["s3://bucket/in/**/*.gz", "s3://bucket/in/a.jsonl"], "train")
        assert [Path(source.location).name for source in found] == ["b.jsonl.gz", "a.jsonl"]

    @pytest.mark.parametrize("url", ["s3://bucket/none/*.jsonl", "s3://no-such-bucket/*.jsonl"])
    def test_nothing_there_is_one_line(self, storage: Any, url: str) -> None:
        with pytest.raises(UsageError, match=r"no file of narratives|cannot be listed") as caught:
            find_sources([url], "train")
        assert "\n" not in str(caught.value)

    def test_an_object_that_is_not_there(
        self, bucket: Any, tmp_path: Path, build_here: Builder
    ) -> None:
        missing = [NarrativeSource(location="s3://bucket/none.jsonl", split="train")]
        with pytest.raises(BadDataError, match=r"s3://bucket/none\.jsonl: cannot be read"):
            build_here(missing, tmp_path / "out")


class TestOutput:
    def test_the_bytes_are_those_of_a_folder(
        self, bucket: Any, run: Any, expected: dict[str, str], tmp_path: Path
    ) -> None:
        summary = run()
        assert summary.folder == URL
        assert summary.rejected == {"not_json": 1}
        assert objects(bucket) == expected
        assert not (tmp_path / "work" / "work").exists()
        bucket.get("bucket/alps/", str(tmp_path / "copy"), recursive=True)
        validate(tmp_path / "copy", progress=False)
        again = run(work="elsewhere")  # not even the work folder is needed to know that it is there
        assert again.already_built
        assert objects(bucket) == expected

    def test_killed_at_each_step_and_run_again(
        self, bucket: Any, run: Any, expected: dict[str, str], tmp_path: Path
    ) -> None:
        run("boxes.margin=0.2", "shards.rows_per_shard=10")  # an old data set, of more shards
        steps: list[str] = []
        for number in range(99):
            reached: list[str] = []

            def stop(name: str, number: int = number, reached: list[str] = reached) -> None:
                reached.append(name)
                if len(reached) > number:
                    raise KeyboardInterrupt

            try:
                run(checkpoint=stop)
            except KeyboardInterrupt:
                steps.append(reached[-1])
                present = objects(bucket)
                whole = present.get("_alps/manifest.json") == expected["_alps/manifest.json"]
                assert whole == (reached[-1] == "manifest written")
                assert ("_alps/manifest.json" in present) == (whole or reached[-1] == "before")
                assert "_alps/building.json" not in present
            else:
                break
        assert steps[:2] == ["before", "old manifest gone"]
        assert steps[-2:] == ["quarantine written", "manifest written"]
        assert objects(bucket) == expected

    def test_what_was_uploaded_is_not_uploaded_again_unless_somebody_replaced_it(
        self, bucket: Any, run: Any, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uploads: list[str] = []
        real = bucket.put_file
        monkeypatch.setattr(bucket, "put_file", lambda a, b: uploads.append(b) or real(a, b))

        def stop(name: str) -> None:
            if name == "quarantine written":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=stop)
        shards = [name for name in uploads if name.endswith(".parquet")]
        assert len(shards) > 1
        uploads.clear()
        bucket.pipe(shards[0], bytes(bucket.size(shards[0])))
        run()
        assert [name for name in uploads if name.endswith(".parquet")] == shards[:1]
        assert objects(bucket) == expected

    @pytest.mark.parametrize(
        "harm",
        [
            "shorter",
            pytest.param("gone", marks=pytest.mark.faults),
            pytest.param("manifest", marks=pytest.mark.faults),
        ],
    )
    def test_a_damaged_data_set_is_mended(
        self, harm: str, bucket: Any, run: Any, expected: dict[str, str]
    ) -> None:
        run()
        shard = "bucket/alps/" + next(name for name in expected if name.endswith(".parquet"))
        if harm == "shorter":
            bucket.pipe(shard, b"PAR1")
        elif harm == "gone":
            bucket.rm_file(shard)
        else:
            bucket.pipe("bucket/alps/_alps/manifest.json", b"{")
        summary = run(work="other")
        assert "damaged" in summary.notes[0]
        assert objects(bucket) == expected

    def test_shards_of_somebody_else_are_left_alone(self, bucket: Any, run: Any) -> None:
        other = "bucket/alps/split=train/part-00000-of-00002.parquet"
        bucket.pipe_file(other, b"precious")
        with pytest.raises(UsageError, match=r"holds split=train/part-.*name another place"):
            run()
        assert list(objects(bucket)) == [other.removeprefix("bucket/alps/")]
        assert bucket.cat_file(other) == b"precious"

    def test_two_builds_from_two_places(self, bucket: Any, run: Any, tmp_path: Path) -> None:
        def second(name: str) -> None:
            if name == "before":
                with pytest.raises(UsageError, match=r"a build on .* \(work folder .*work, since"):
                    run(work="other")

        run(checkpoint=second)
        assert "_alps/building.json" not in objects(bucket)

    def test_a_build_that_was_killed_left_its_claim(
        self, bucket: Any, run: Any, expected: dict[str, str], tmp_path: Path
    ) -> None:
        store = ObjectStore(URL, tmp_path / "work")
        claim = store.claimed()
        claim.__enter__()  # and never leaves
        with pytest.raises(UsageError, match=r"remove s3://bucket/alps/_alps/building\.json"):
            run(work="other")
        run()
        assert objects(bucket) == expected

    def test_shares_of_the_work(
        self, bucket: Any, run: Any, sources: list[NarrativeSource], expected: dict[str, str],
        here: Any, tmp_path: Path,
    ) -> None:  # fmt: skip
        from alp_builder.config import load_config

        config = load_config(None, SMALL_SHARDS)
        for index in range(2):
            done = build_part(
                sources,
                URL,
                config,
                Part(index, 2),
                progress=False,
                executor=here,
                work=tmp_path / "work",
            )
            assert done.narratives > 0
        assert run().built == 0
        assert objects(bucket) == expected


@pytest.mark.parametrize("place", ["alps", "alps[1]", "a*b"])
def test_stale_shards_go_whatever_the_place_is_called(place: str, tmp_path: Path) -> None:
    store = ObjectStore(f"memory://{uuid.uuid4().hex}/{place}", tmp_path)
    ours, stale, other = (
        f"split=train/{name}.parquet" for name in ("part-0-of-1", "part-0-of-2", "mine")
    )
    for name in (ours, stale, other, "split=train/notes.txt"):
        store.files.pipe_file(f"{store.root}/{name}", b"x")
    assert shard_names(store.files, store.root) == {ours, stale, other}
    store.keep_only({ours})
    assert shard_names(store.files, store.root) == {ours, other}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "s3://no-such-bucket/alps"], "s3://no-such-bucket/alps: storage failed ("),
        (["--out", "nonsense://x/alps"], "nonsense://x/alps: "),
        (["--out", "https://host/alps"], "nothing can be written to the web"),
        (["--out", "here", "--work", "there"], "--work is for a data set that goes to a URL"),
        (["--out", "here", "--address", "auto"], "--address is for --executor ray"),
        (["--out", "here", "--num-shards", "2"], "--num-shards and --shard-index go together"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALPS_CACHE", str(tmp_path / "cache"))
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(1))
    assert main(["build", str(file), "--json", *words]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_no_server_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_here: Builder
) -> None:
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(1))
    try:
        with pytest.raises(UsageError, match=r"s3://bucket/a: storage failed \(") as caught:
            build_here(file, "s3://bucket/a", work=tmp_path / "work")  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
