from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.config import ShardConfig
from alp_builder.errors import BadDataError
from alp_builder.schema import VERSION_KEY, arrow_schema
from alp_builder.shards import (
    IMAGE_HASH,
    SORT_KEYS,
    SOURCE,
    hash_range,
    image_hashes,
    logical_hash,
    merge_rows,
    read_shard,
    shard_path,
    write_shard,
)


def test_paths_are_hive_partitions() -> None:
    assert shard_path("train", 3, 12) == "split=train/part-00003-of-00012.parquet"


@given(count=st.integers(1, 5000), value=st.integers(0, 2**64 - 1))
def test_every_hash_falls_into_exactly_one_shard(count: int, value: int) -> None:
    index = min(value * count // 2**64, count - 1)
    homes = [k for k in (index - 1, index, index + 1) if 0 <= k < count]
    inside = [k for k in homes if hash_range(k, count)[0] <= value <= hash_range(k, count)[1]]
    assert len(inside) == 1
    assert hash_range(0, count)[0] == 0
    assert hash_range(count - 1, count)[1] == 2**64 - 1


def test_image_hashes_follow_from_both_names() -> None:
    hashes = image_hashes(["a", "a", "ab", "a"], ["bc", "b", "c", "bc"])
    assert hashes.dtype == np.uint64
    assert hashes[0] == hashes[3]
    assert len(set(hashes.tolist())) == 3


def _rows(*sources: int, narrative: str = "n") -> pa.Table:
    """Two phrases of a narrative for each source number, as a chunk has them."""
    count = 2 * len(sources)
    columns = {
        field.name: pa.array(
            ["x"] * count if pa.types.is_string(field.type) else np.zeros(count), field.type
        )
        for field in arrow_schema()
    }
    columns["narrative_id"] = pa.array([narrative] * count)
    columns["phrase_index"] = pa.array([1, 0] * len(sources), pa.int32())
    columns[IMAGE_HASH] = pa.array(np.zeros(count, np.uint64))
    columns[SOURCE] = pa.array(np.repeat(sources, 2))
    return pa.table(columns)


def test_merging_keeps_each_narrative_from_where_it_stands_first() -> None:
    rows, extra, narratives = merge_rows(
        [_rows(9, 5), _rows(2), _rows(7, narrative="m")], arrow_schema()
    )
    assert rows["narrative_id"].to_pylist() == ["m", "m", "n", "n"]
    assert rows["phrase_index"].to_pylist() == [0, 1, 0, 1]
    assert (extra, narratives) == (4, 2)
    assert rows.schema.equals(arrow_schema(), check_metadata=True)


def test_merging_nothing_gives_an_empty_table_of_the_schema() -> None:
    for pieces in ([], [_rows().slice(0, 0)]):
        rows, extra, narratives = merge_rows(pieces, arrow_schema())
        assert (rows.num_rows, extra, narratives) == (0, 0, 0)
        assert rows.schema.equals(arrow_schema(), check_metadata=True)


def test_merging_does_not_depend_on_the_order_of_the_pieces() -> None:
    pieces = [_rows(1), _rows(2, narrative="m"), _rows(3, narrative="k")]
    first, *_ = merge_rows(pieces, arrow_schema())
    second, *_ = merge_rows(pieces[::-1], arrow_schema())
    assert first.equals(second)


def test_a_shard_on_disk_is_what_was_asked_for(built: Path, tmp_path: Path) -> None:
    table = read_shard(next(built.glob("split=train/*")))
    config = ShardConfig(row_group_rows=10)
    info = write_shard(table, tmp_path / "x.parquet", "split=a/x.parquet", "a", config)
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert file.num_row_groups == -(-table.num_rows // 10)
    assert {file.metadata.row_group(0).column(k).compression for k in range(5)} == {"ZSTD"}
    assert file.schema_arrow.metadata[VERSION_KEY] == b"1"
    assert b"doc" in file.schema_arrow.field("x0").metadata
    assert info.size == (tmp_path / "x.parquet").stat().st_size
    assert (info.path, info.split, info.rows) == ("split=a/x.parquet", "a", table.num_rows)
    again = write_shard(table, tmp_path / "y.parquet", "split=a/x.parquet", "a", config)
    assert again == info


def test_the_default_row_group_is_the_documented_one() -> None:
    assert ShardConfig().row_group_rows == 65_536
    assert ShardConfig().compression_level == 3


class TestLogicalHash:
    def test_it_does_not_depend_on_how_rows_are_stored(self, built: Path) -> None:
        table = read_shard(next(built.glob("split=train/*")))
        pieces = pa.concat_tables([table.slice(0, 3), table.slice(3)])
        assert pieces["caption"].num_chunks > 1
        assert logical_hash(pieces) == logical_hash(table)
        assert logical_hash(table.replace_schema_metadata({"any": "thing"})) == logical_hash(table)

    @given(data=st.data())
    def test_it_sees_any_change_of_a_string(self, data: st.DataObject) -> None:
        texts = data.draw(st.lists(st.text(max_size=4), min_size=1, max_size=5))
        other = data.draw(st.lists(st.text(max_size=4), min_size=1, max_size=5))
        same = logical_hash(pa.table({"a": texts})) == logical_hash(pa.table({"a": other}))
        assert same == (texts == other)

    @pytest.mark.parametrize(
        "other",
        [
            pa.table({"b": pa.array([1, 2], pa.int32())}),
            pa.table({"a": pa.array([1, 2], pa.int64())}),
            pa.table({"a": pa.array([2, 1], pa.int32())}),
            pa.table({"a": pa.array([1], pa.int32())}),
            pa.table({"a": pa.array([[1], [2]], pa.list_(pa.int32()))}),
        ],
        ids=["name", "type", "order", "length", "nesting"],
    )
    def test_it_sees_names_types_order_and_nesting(self, other: pa.Table) -> None:
        assert logical_hash(pa.table({"a": pa.array([1, 2], pa.int32())})) != logical_hash(other)

    def test_it_tells_lists_apart_by_where_they_end(self) -> None:
        one, other = [[1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0]]
        assert logical_hash(pa.table({"a": one})) != logical_hash(pa.table({"a": other}))


def test_rows_of_a_shard_are_sorted(built: Path) -> None:
    for file in built.glob("split=*/*.parquet"):
        table = read_shard(file)
        keys = list(zip(*(table[name].to_pylist() for name in SORT_KEYS), strict=True))
        assert keys == sorted(keys)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_what_is_no_parquet_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(BadDataError, match=r"x\.parquet: not a readable Parquet file"):
        read_shard(tmp_path / "x.parquet")
