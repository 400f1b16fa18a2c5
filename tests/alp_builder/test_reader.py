"""The builder's own reader, and every other that users open shards with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import alp_builder
from alp_builder import open_alps, read_alps, reader
from alp_builder.errors import BadDataError, UsageError
from alp_builder.manifest import Manifest, read_manifest, write_manifest
from alp_builder.schema import VERSION_KEY, arrow_schema


def test_all_rows_of_all_splits_with_their_split(built: Path) -> None:
    table = read_alps(built)
    assert table.schema.names == [*arrow_schema(("core", "traces")).names, "split"]
    assert (
        table.num_rows == open_alps(built).num_rows == read_manifest(built).counts["alps_written"]
    )
    assert open_alps(str(built)).splits == ["train", "val"]


def test_one_split(built: Path) -> None:
    whole = read_alps(built)
    for split in ("train", "val"):
        part = read_alps(built, split=split)
        assert part.equals(whole.filter(pc.field("split") == split))
    assert read_alps(built, split="val").num_rows < whole.num_rows


def test_columns(built: Path) -> None:
    table = read_alps(built, columns=["score", "split", "x0"])
    assert table.schema.names == ["score", "split", "x0"]
    assert read_alps(built, columns=[]).num_columns == 0


@pytest.mark.parametrize(
    "filters",
    [
        [("score", ">=", 0.3), ("head_lemma", "==", "dog")],
        [[("score", ">=", 0.3), ("head_lemma", "==", "dog")]],
        (pc.field("score") >= 0.3) & (pc.field("head_lemma") == "dog"),
    ],
    ids=["list", "list of lists", "expression"],
)
def test_filters(built: Path, filters: Any) -> None:
    frame = read_alps(built).to_pandas()
    chosen = frame[(frame.score >= 0.3) & (frame.head_lemma == "dog")]
    found = read_alps(built, ["alp_id"], filters)["alp_id"].to_pylist()
    assert found == chosen.alp_id.tolist()
    assert 0 < len(found) < len(frame)


def test_filters_joined_by_or_and_on_the_split(built: Path) -> None:
    filters = [[("head_lemma", "==", "dog"), ("split", "==", "val")], [("head_lemma", "==", "car")]]
    rows = read_alps(built, ["head_lemma", "split"], filters).to_pylist()
    assert {(row["head_lemma"], row["split"]) for row in rows} <= {
        ("dog", "val"), ("car", "train"), ("car", "val")
    }  # fmt: skip
    assert rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"columns": ["nope"]}, "no such column"),
        ({"filters": [("nope", "==", 1)]}, "no such column"),
        ({"filters": [("score", "~", 1)]}, "expected"),
        ({"filters": [("score",)]}, "expected"),
        ({"filters": 3}, "expected"),
        ({"filters": [("caption", ">", 1)]}, "do not fit"),
        ({"split": "test"}, "no split 'test'; there is train, val"),
    ],
)
def test_a_bad_question_is_named(built: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_alps(built, **arguments)


def test_shard_after_shard(built: Path) -> None:
    dataset = open_alps(built)
    for split in (None, "train"):
        whole = dataset.table(split=split)
        names = [name for name in whole.schema.names if name != "split"]
        joined = pa.concat_tables(list(dataset.shards(split)))
        assert joined.select(names).equals(whole.select(names))


def test_a_folder_without_manifest_is_no_data_set(copy_of_built: Path) -> None:
    (copy_of_built / "_alps" / "manifest.json").unlink()
    with pytest.raises(BadDataError, match="an unfinished build"):
        open_alps(copy_of_built)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("remove", "cannot be read"),
        ("truncate", "50 bytes, the manifest says"),
        ("garble", "was changed"),
    ],
)
def test_a_broken_shard_is_one_error(copy_of_built: Path, harm: str, words: str) -> None:
    victim = open_alps(copy_of_built).paths("train")[0]
    data = victim.read_bytes()
    victim.write_bytes(data[:50] if harm == "truncate" else b"\0" * len(data))
    if harm == "remove":
        victim.unlink()
    with pytest.raises(BadDataError, match=words):
        read_alps(copy_of_built)
    with pytest.raises(BadDataError, match=words):
        list(open_alps(copy_of_built).shards())


def test_a_shard_changed_between_two_readings_is_noticed(copy_of_built: Path) -> None:
    """A flipped bit often decodes, into another box: only the hash tells."""
    assert read_alps(copy_of_built).num_rows
    victim = open_alps(copy_of_built).paths("train")[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.raises(BadDataError, match="the file was changed"):
        read_alps(copy_of_built)


def test_a_signed_shard_that_is_no_parquet_is_one_error(copy_of_built: Path) -> None:
    manifest = read_manifest(copy_of_built)
    victim = manifest.shards[0]
    data = b"\0" * victim.size
    (copy_of_built / victim.path).write_bytes(data)
    signed = msgspec.structs.replace(victim, sha256=hashlib.sha256(data).hexdigest())
    shards = [signed, *manifest.shards[1:]]
    write_manifest(copy_of_built, msgspec.structs.replace(manifest, shards=shards))
    with pytest.raises(BadDataError, match=r"a shard (is broken|cannot be read)"):
        read_alps(copy_of_built)
    with pytest.raises(BadDataError, match="not a readable shard"):
        list(open_alps(copy_of_built).shards())


class TestVersions:
    @staticmethod
    def _with_version(folder: Path, version: int) -> Manifest:
        manifest = msgspec.structs.replace(read_manifest(folder), schema_version=version)
        write_manifest(folder, manifest)
        return manifest

    def test_a_newer_one_is_refused(self, copy_of_built: Path) -> None:
        self._with_version(copy_of_built, 3)
        with pytest.raises(BadDataError, match=r"version 3 is newer than 2.*upgrade alp-toolkit"):
            read_alps(copy_of_built)

    def test_one_too_old_is_refused(self, copy_of_built: Path) -> None:
        self._with_version(copy_of_built, 0)
        with pytest.raises(BadDataError, match="version 0 is too old to read; build it again"):
            read_alps(copy_of_built)

    def test_version_1_still_reads(
        self, copy_of_built: Path, built: Path, sign_again: Callable[..., Manifest]
    ) -> None:
        """Shards written before there were calibrated boxes."""
        for path in copy_of_built.glob("split=*/*.parquet"):
            old = pq.ParquetFile(path).read().replace_schema_metadata({VERSION_KEY: b"1"})
            pq.write_table(old, path)
        sign_again(copy_of_built, schema_version=1)
        table = read_alps(copy_of_built)
        assert table.schema.metadata[VERSION_KEY] == b"2"
        assert table.equals(read_alps(built))
        assert [t.num_rows for t in open_alps(copy_of_built).shards()] == [
            t.num_rows for t in open_alps(built).shards()
        ]

    def test_the_one_before_is_brought_up(
        self, copy_of_built: Path, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def upgrade(table: pa.Table) -> pa.Table:
            names = {"score": "confidence"}
            return table.rename_columns([names.get(n, n) for n in table.schema.names])

        monkeypatch.setattr(reader, "SCHEMA_VERSION", 3)
        monkeypatch.setitem(reader.UPGRADES, 2, upgrade)
        frame = read_alps(built).to_pandas()
        assert "score" not in frame
        table = read_alps(built, ["alp_id", "confidence"], [("confidence", ">", 0.3)], "val")
        expected = frame[(frame.confidence > 0.3) & (frame.split == "val")]
        assert table["alp_id"].to_pylist() == expected.alp_id.tolist()
        assert table.schema.names == ["alp_id", "confidence"]
        assert all("confidence" in shard.schema.names for shard in open_alps(built).shards())


class TestOthers:
    """The folder is plain Parquet with Hive partitions: what users' tools see is what ours sees."""

    @pytest.fixture
    def expected(self, built: Path) -> pd.DataFrame:
        return self._core(read_alps(built).to_pandas())

    @staticmethod
    def _core(frame: pd.DataFrame) -> pd.DataFrame:
        columns = ["alp_id", "phrase_text", "x0", "y1", "is_plural", "score", "split"]
        frame = frame[columns].astype({"split": str}).sort_values("alp_id", ignore_index=True)
        return frame.astype(dict.fromkeys(("alp_id", "phrase_text"), str))

    @pytest.mark.parametrize(
        "read",
        [
            pytest.param(pd.read_parquet, id="pandas"),
            pytest.param(
                lambda p: ds.dataset(p, partitioning="hive").to_table().to_pandas(), id="pyarrow"
            ),
            pytest.param(
                lambda p: (
                    pl.scan_parquet(f"{p}/**/*.parquet", hive_partitioning=True)
                    .collect()
                    .to_pandas()
                ),
                id="polars",
            ),
            pytest.param(
                lambda p: duckdb.sql(
                    f"select * from read_parquet('{p}/*/*.parquet', hive_partitioning=true)"
                ).df(),
                id="duckdb",
            ),
        ],
    )
    def test_each_reads_the_same(
        self, read: Callable[[Path], pd.DataFrame], built: Path, expected: pd.DataFrame
    ) -> None:
        pd.testing.assert_frame_equal(self._core(read(built)), expected)

    def test_hugging_face_datasets(
        self, built: Path, expected: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        datasets = pytest.importorskip("datasets")
        files = {split: f"{built}/split={split}/*.parquet" for split in ("train", "val")}
        loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
        frames = [part.to_pandas().assign(split=split) for split, part in loaded.items()]
        pd.testing.assert_frame_equal(self._core(pd.concat(frames)), expected)

    def test_meaning_and_units_travel_with_the_file(self, built: Path) -> None:
        schema = ds.dataset(next(built.glob("split=train/*"))).schema
        assert schema.field("x0").metadata[b"unit"] == b"image width"
        assert all(field.metadata[b"doc"] for field in schema)


def test_the_package_offers_the_reader() -> None:
    assert set(alp_builder.__all__) == {"AlpDataset", "open_alps", "read_alps"}
