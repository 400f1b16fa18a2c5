"""Every broken truth is found, and named in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from alp_builder.config import ShardConfig
from alp_builder.errors import BadDataError
from alp_builder.manifest import Manifest, manifest_path, read_manifest
from alp_builder.shards import read_shard, write_shard
from alp_builder.validation import row_problems, validate

Sign = Callable[..., Manifest]


def _problem(folder: Path) -> str:
    with pytest.raises(BadDataError) as caught:
        validate(folder, progress=False)
    message = str(caught.value)
    assert "\n" not in message
    return message


def _first(folder: Path) -> Path:
    return folder / read_manifest(folder).shards[0].path


def _rewrite(file: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Changes the rows of a shard, otherwise written as the builder writes it."""
    write_shard(change(read_shard(file)), file, "", "", ShardConfig())


def _set(name: str, value: Any, row: int = 0) -> Callable[[pa.Table], pa.Table]:
    """Puts a value into one row of a column."""

    def change(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[row] = value
        place = table.schema.get_field_index(name)
        field = table.schema.field(name)
        return table.set_column(place, field, pa.array(values, field.type))

    return change


def test_a_data_set_as_built_is_all_true(built: Path) -> None:
    assert validate(built, progress=False) == read_manifest(built)


class TestFiles:
    @pytest.mark.parametrize("where", [0.0, 0.3, 0.9, 1.0])
    def test_a_flipped_bit(self, copy_of_built: Path, where: float) -> None:
        data = bytearray(_first(copy_of_built).read_bytes())
        data[int(where * (len(data) - 1))] ^= 0x10
        _first(copy_of_built).write_bytes(data)
        assert "its SHA-256 differs from the manifest's" in _problem(copy_of_built)

    def test_a_truncated_shard(self, copy_of_built: Path) -> None:
        file = _first(copy_of_built)
        file.write_bytes(file.read_bytes()[:-1])
        assert f"{file.stat().st_size} bytes, the manifest says" in _problem(copy_of_built)

    def test_a_missing_shard(self, copy_of_built: Path) -> None:
        _first(copy_of_built).unlink()
        assert "listed in the manifest, not on disk" in _problem(copy_of_built)

    @pytest.mark.parametrize("name", ["split=train/extra.parquet", "split=new/part-00000.parquet"])
    def test_an_extra_shard(self, copy_of_built: Path, name: str) -> None:
        (copy_of_built / name).parent.mkdir(exist_ok=True)
        (copy_of_built / name).write_bytes(_first(copy_of_built).read_bytes())
        assert f"{name}: on disk, not in the manifest" in _problem(copy_of_built)

    @pytest.mark.parametrize("content", [None, b"", b"{}\n"])
    def test_a_changed_quarantine(self, copy_of_built: Path, content: bytes | None) -> None:
        file = copy_of_built / "_alps" / "quarantine.jsonl"
        file.write_bytes(b"x") if content is None else file.unlink()
        assert "quarantine.jsonl: missing or changed" in _problem(copy_of_built)

    def test_a_quarantine_of_something_else(self, copy_of_built: Path, sign_again: Sign) -> None:
        import hashlib

        import msgspec

        (copy_of_built / "_alps" / "quarantine.jsonl").write_bytes(b"{}\n")
        info = read_manifest(copy_of_built).quarantine
        sha = hashlib.sha256(b"{}\n").hexdigest()
        sign_again(copy_of_built, quarantine=msgspec.structs.replace(info, sha256=sha))
        assert "a line is no quarantine record" in _problem(copy_of_built)


class TestManifest:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda m: m["counts"].update(alps_written=1), "of 1 ALPs"),
            (lambda m: m["counts"].update(alps=1), "ALPs = written"),
            (lambda m: m["counts"].update(usable=1), "narratives = usable"),
            (lambda m: m["counts"].update(phrases=1), "phrases = with ALPs"),
            (lambda m: m["counts"].update({"rejected.not_json": 3}), "set aside = quarantine"),
            (lambda m: m["counts"].clear(), "rows = ALPs written"),
            (lambda m: m["quarantine"].update(records=5), "the manifest says 5"),
            (lambda m: m["shards"][0].update(rows=1), "its shards hold"),
            (lambda m: m["shards"][0].update(logical_sha256="0"), "logical hash differs"),
            (lambda m: m["shards"][0].update(split="val"), "says it is of split 'val'"),
            (lambda m: m["shards"].append(m["shards"][0]), "a shard is listed twice"),
            (lambda m: m["shards"].pop(), "its shards hold"),
            (lambda m: m.update(groups=["core"]), "schema is not version 2"),
            (lambda m: m.update(schema_version=9), "version 9 is newer"),
            (lambda m: m["shards"][0].update(path="../../x"), "leads out of the data set"),
            (lambda m: m.pop("counts"), "damaged manifest"),
        ],
    )
    def test_an_edited_manifest(
        self, copy_of_built: Path, change: Callable[[dict[str, Any]], None], words: str
    ) -> None:
        tree = json.loads(manifest_path(copy_of_built).read_bytes())
        change(tree)
        manifest_path(copy_of_built).write_text(json.dumps(tree))
        assert words in _problem(copy_of_built)


class TestRows:
    """Deeper than hashes: the manifest is made to agree with the changed files."""

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("x0", -0.1, "x0 is -0.1"),
            ("y1", 1.5, "y1 is 1.5"),
            ("score", float("nan"), "score is nan"),
            ("t_start", float("inf"), "t_start is inf"),
            ("num_points", 0, "num_points is 0"),
            ("phrase_index", -1, "phrase_index is -1"),
            ("x1", 0.0, "its box has no area"),
            ("t_end", -5.0, "its window ends before it starts"),
            ("phrase", "something else", "is not the phrase"),
            ("char_end", 10_000, "is not the phrase"),
            ("image_id", "zzz", "rows are not sorted"),
        ],
    )
    def test_a_value_out_of_its_range(
        self, copy_of_built: Path, sign_again: Sign, name: str, value: Any, words: str
    ) -> None:
        _rewrite(_first(copy_of_built), _set(name, value))
        sign_again(copy_of_built)
        assert words in _problem(copy_of_built)

    def test_the_same_alp_twice(self, copy_of_built: Path, sign_again: Sign) -> None:
        twin = read_shard(_first(copy_of_built))["alp_id"][0].as_py()
        _rewrite(_first(copy_of_built), _set("alp_id", twin, row=1))
        sign_again(copy_of_built)
        assert "an alp_id stands there twice" in _problem(copy_of_built)

    def test_rows_in_another_order(self, copy_of_built: Path, sign_again: Sign) -> None:
        _rewrite(_first(copy_of_built), lambda table: table.take(np.arange(len(table))[::-1]))
        sign_again(copy_of_built)
        assert "rows are not sorted" in _problem(copy_of_built)

    def test_other_metadata(self, copy_of_built: Path, sign_again: Sign) -> None:
        _rewrite(
            _first(copy_of_built), lambda t: t.replace_schema_metadata({"alp_schema_version": "1"})
        )
        sign_again(copy_of_built)
        assert "its schema is not version 2" in _problem(copy_of_built)

    def test_another_type(self, copy_of_built: Path, sign_again: Sign) -> None:
        def change(table: pa.Table) -> pa.Table:
            place = table.schema.get_field_index("x0")
            field = table.schema.field("x0").with_type(pa.float64())
            return table.set_column(place, field, table["x0"].cast(pa.float64()))

        _rewrite(_first(copy_of_built), change)
        sign_again(copy_of_built)
        assert "its schema is not version 2" in _problem(copy_of_built)

    def test_an_image_in_two_shards(self, copy_of_built: Path, sign_again: Sign) -> None:
        first, second = (copy_of_built / s.path for s in read_manifest(copy_of_built).shards[:2])
        stray = read_shard(second).slice(0, 1)

        def change(table: pa.Table) -> pa.Table:
            joined = pa.concat_tables([table, stray]).combine_chunks()
            keys = ("dataset_id", "image_id", "narrative_id", "phrase_index", "component_index")
            return joined.sort_by([(key, "ascending") for key in keys])

        _rewrite(first, change)
        sign_again(copy_of_built)
        assert "holds an image that an earlier shard of train holds" in _problem(copy_of_built)

    def test_nulls(self, built: Path) -> None:
        table = read_shard(_first(built))
        nulls = table.set_column(0, "alp_id", pa.nulls(len(table), pa.string()))
        assert "alp_id holds nulls" in list(row_problems(nulls))

    def test_good_rows_have_no_problem(self, built: Path) -> None:
        table = read_shard(_first(built))
        assert not list(row_problems(table))
        assert not list(row_problems(table.slice(0, 0)))
