"""Whole builds: the same bytes whatever the circumstances, and a clear word where there can be none."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alp_builder import chunks, merging
from alp_builder.inputs import NarrativeSource
from alp_builder.manifest import read_manifest
from alp_builder.reader import open_alps, read_alps
from alp_builder.records import RejectedRecord
from alp_builder.validation import validate
from tests.alp_builder.conftest import SMALL_SHARDS, Builder, tree_bytes
from tests.alp_builder.simulated import (
    Record,
    simulated_record,
    simulated_records,
    to_line,
    write_narratives,
)


def shard_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the shards alone: manifests name their inputs."""
    return {name: sha for name, sha in tree_bytes(folder).items() if name.endswith(".parquet")}


def logical(folder: Path) -> list[str]:
    return [shard.logical_sha256 for shard in read_manifest(folder).shards]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, build_here: Builder) -> Path:
    """What 20 simulated narratives in a plain file give."""
    folder = tmp_path_factory.mktemp("reference")
    write_narratives(folder / "in.jsonl", simulated_records(20))
    build_here(folder / "in.jsonl", folder / "out")
    return folder / "out"


LINES = [to_line(record) for record in simulated_records(20)]


class TestSameRows:
    """Rows depend on the records alone."""

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("blank lines", b"\n" + b"\n \n\t\n".join(LINES) + b"\n\n\n"),
            ("crlf", b"\r\n".join(LINES) + b"\r\n"),
            ("byte order mark", b"\xef\xbb\xbf" + b"\n".join(LINES) + b"\n"),
            ("byte order mark and crlf", b"\xef\xbb\xbf\r\n" + b"\r\n".join(LINES)),
            ("no end of the last line", b"\n".join(LINES)),
            ("reversed", b"\n".join(LINES[::-1]) + b"\n"),
            ("twice", b"\n".join(LINES + LINES) + b"\n"),
            ("each twice", b"".join(line + b"\n" + line + b"\n" for line in LINES)),
            ("other spelling", b"\n".join(json.dumps(json.loads(x), indent=None).encode() for x in LINES)),
        ],
    )  # fmt: skip
    def test_however_lines_are_written(
        self, name: str, content: bytes, reference: Path, tmp_path: Path, build_here: Builder
    ) -> None:
        (tmp_path / "x.jsonl").write_bytes(content)
        summary = build_here(tmp_path / "x.jsonl", tmp_path / "out")
        assert shard_hashes(tmp_path / "out") == shard_hashes(reference)
        assert not summary.rejected
        validate(tmp_path / "out", progress=False)

    @pytest.mark.parametrize("packing", ["gz", "gz of two members", "zst", "memory"])
    def test_however_files_are_packed(
        self, packing: str, reference: Path, tmp_path: Path, build_here: Builder
    ) -> None:
        data = b"\n".join(LINES)
        location = str(tmp_path / f"x.jsonl.{packing[:3].strip()}")
        if packing == "memory":
            location = "memory://test_build/x.jsonl"
            fsspec.filesystem("memory").pipe("/test_build/x.jsonl", data)
        elif packing == "zst":
            Path(location).write_bytes(zstandard.compress(data))
        elif packing == "gz":
            Path(location).write_bytes(gzip.compress(data))
        else:
            Path(location).write_bytes(gzip.compress(data[:999]) + gzip.compress(data[999:]))
        build_here([NarrativeSource(location=location, split="train")], tmp_path / "out")
        assert shard_hashes(tmp_path / "out") == shard_hashes(reference)

    def test_however_records_are_spread_over_files(
        self, reference: Path, tmp_path: Path, build_here: Builder
    ) -> None:
        records = simulated_records(20)
        parts = [records[7:], records[:9], [], records[3:5]]
        files = [write_narratives(tmp_path / f"{k}.jsonl", part) for k, part in enumerate(parts)]
        sources = [NarrativeSource(location=str(file), split="train") for file in files]
        summary = build_here(sources, tmp_path / "out")
        assert shard_hashes(tmp_path / "out") == shard_hashes(reference)
        assert summary.counts["duplicate_narratives"] == 4

    @pytest.mark.parametrize("chunk_bytes", [1, 3000, 2**30])
    def test_however_the_work_is_cut(
        self, chunk_bytes: int, reference: Path, tmp_path: Path, build_here: Builder
    ) -> None:
        (tmp_path / "x.jsonl").write_bytes(b"\n".join(LINES + LINES[4:9]))
        out = tmp_path / "out"
        build_here(tmp_path / "x.jsonl", out, f"shards.chunk_bytes={chunk_bytes}")
        assert shard_hashes(out) == shard_hashes(reference)

    @pytest.mark.parametrize("run_bytes", [1, 1_000_000])
    def test_however_chunks_are_joined(
        self, run_bytes: int, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path,
        build_here: Builder, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        joined: list[int] = []
        real = chunks.join
        monkeypatch.setattr(merging, "JOINED_FROM", 1)
        monkeypatch.setattr(chunks, "join", lambda a, b: joined.append(len(a)) or real(a, b))
        option = f"shards.run_bytes={run_bytes}"
        build_here(inputs_of_two_splits, tmp_path / "o", *SMALL_SHARDS, "with_traces=true", option)
        assert tree_bytes(tmp_path / "o") == tree_bytes(built)
        assert (max(joined, default=1) > 1) == (run_bytes > 1)

    @pytest.mark.parametrize("batch", [1, 7, 1000])
    def test_however_captions_are_batched(
        self, batch: int, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path,
        build_here: Builder,
    ) -> None:  # fmt: skip
        option = f"phrases.spacy_batch_size={batch}"
        build_here(inputs_of_two_splits, tmp_path / "o", *SMALL_SHARDS, "with_traces=true", option)
        assert tree_bytes(tmp_path / "o") == tree_bytes(built)

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(order=st.permutations(range(12)), bad=st.lists(st.integers(0, 11), max_size=3))
    def test_in_whatever_order_they_come_among_whatever_else(
        self,
        order: list[int],
        bad: list[int],
        tmp_path_factory: pytest.TempPathFactory,
        build_here: Builder,
    ) -> None:
        folder = tmp_path_factory.mktemp("order")
        for name, numbers in (("sorted", range(12)), ("permuted", order)):
            lines = [LINES[number] for number in numbers]
            for place in bad if name == "permuted" else []:
                lines.insert(place, b'{"broken": ')
            (folder / f"{name}.jsonl").write_bytes(b"\n".join(lines))
            build_here(folder / f"{name}.jsonl", folder / name)
        assert shard_hashes(folder / "sorted") == shard_hashes(folder / "permuted")
        assert read_manifest(folder / "permuted").quarantine.records == len(bad)


@pytest.fixture(scope="module")
def rows(built: Path) -> pa.Table:
    return read_alps(built)


class TestRows:
    """What every row of a data set keeps."""

    def test_the_phrase_is_where_the_caption_has_it(self, rows: pa.Table) -> None:
        assert rows.num_rows > 100
        for row in rows.select(["caption", "char_start", "char_end", "phrase"]).to_pylist():
            assert row["caption"][row["char_start"] : row["char_end"]] == row["phrase"] != ""

    def test_ids_tell_rows_apart_and_do_not_change(self, rows: pa.Table) -> None:
        ids = rows["alp_id"].to_pylist()
        assert len(set(ids)) == len(ids)
        parts = rows.select(["narrative_id", "phrase_index", "component_index"]).to_pylist()
        assert ids == [f"{a:s}-{b:03d}-{c}" for a, b, c in (part.values() for part in parts)]

    def test_traces_are_the_points_of_the_box(self, rows: pa.Table) -> None:
        for name in ("trace_x", "trace_y", "trace_t"):
            assert pc.list_value_length(rows[name]).equals(rows["num_points"].cast(pa.int32()))
        for row in rows.to_pylist():
            assert row["trace_t"] == sorted(row["trace_t"])
            assert row["t_start"] - 1e-4 <= row["trace_t"][0]
            assert row["trace_t"][-1] <= row["t_end"] + 1e-4

    def test_splits_hold_their_own_images(self, rows: pa.Table) -> None:
        splits = dict(zip(rows["image_id"].to_pylist(), rows["split"].to_pylist(), strict=True))
        assert {image: split for image, split in splits.items() if split == "val"} == {
            f"image_{number:04d}": "val" for number in range(18, 24)
        }

    def test_several_shards_each_with_images_of_its_own(self, built: Path) -> None:
        dataset = open_alps(built)
        assert len(dataset.paths("train")) >= 3
        images = [set(table["image_id"].to_pylist()) for table in dataset.shards("train")]
        assert sum(map(len, images)) == len(set.union(*images))

    def test_in_is_out_plus_set_aside(self, built: Path) -> None:
        counts = read_manifest(built).counts
        assert counts["lines"] == counts["narratives"] == counts["usable"] == 48
        assert counts["alps"] == counts["alps_written"] + counts["duplicate_alps"]
        dropped = sum(number for name, number in counts.items() if name.startswith("dropped."))
        keys = read_alps(built, ["narrative_id", "phrase_index"])
        with_alps = keys.group_by(["narrative_id", "phrase_index"]).aggregate([]).num_rows
        assert counts["phrases_with_alps"] == with_alps
        assert counts["phrases"] == dropped + with_alps


def test_traces_are_an_option_that_changes_nothing_else(
    built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path, build_here: Builder
) -> None:
    build_here(inputs_of_two_splits, tmp_path / "out", *SMALL_SHARDS)
    plain, traced = read_alps(tmp_path / "out"), read_alps(built)
    assert not any(name.startswith("trace_") for name in plain.schema.names)
    assert traced.select(plain.schema.names).equals(plain)


def test_unicode_survives(tmp_path: Path, build_here: Builder) -> None:
    words = [
        "A",
        "café",
        "table,",
        "a",
        "white",
        "naïve",
        "dog",
        "🐕",
        "and",
        "İstanbul",
        "houses.",
    ]
    record = simulated_record(0) | {"image_id": "bild_ß/画像", "caption": " ".join(words)}
    record["timed_caption"] = [
        {"utterance": word, "start_time": k * 0.3, "end_time": k * 0.3 + 0.3}
        for k, word in enumerate(words)
    ]
    record["traces"] = [[{"x": 0.4, "y": 0.5 + k / 999, "t": k * 0.02} for k in range(160)]]
    summary = build_here(write_narratives(tmp_path / "x.jsonl", [record]), tmp_path / "out")
    rows = read_alps(tmp_path / "out")
    assert summary.counts["alps_written"] == rows.num_rows >= 2
    assert rows["phrase"].to_pylist()[0] == "A café table"
    assert set(rows["image_id"].to_pylist()) == {"bild_ß/画像"}
    validate(tmp_path / "out", progress=False)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"not json\n"])
def test_an_input_without_narratives_gives_a_valid_empty_data_set(
    content: bytes, tmp_path: Path, build_here: Builder
) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    summary = build_here(tmp_path / "x.jsonl", tmp_path / "out")
    assert summary.counts["alps_written"] == 0
    assert [shard.rows for shard in summary.shards] == [0]
    assert summary.rejected == ({"not_json": 1} if b"not" in content else {})
    assert validate(tmp_path / "out", progress=False).counts["lines"] == len(summary.rejected)
    assert read_alps(tmp_path / "out").num_rows == 0


def _bad_lines() -> dict[str, bytes]:
    def changed(change: Any) -> bytes:
        record = simulated_record(99)
        change(record)
        return to_line(record)

    def point(**fields: float) -> bytes:
        return changed(lambda record: record["traces"][0][3].update(fields))

    def word(**fields: float) -> bytes:
        return changed(lambda record: record["timed_caption"][1].update(fields))

    return {
        "not_json": b'{"dataset_id": "simulated", ',
        "not_json nan": point(x=float("nan")),
        "not_json infinite": word(end_time=float("inf")),
        "not_json deep": b'{"x":' * 100_000,
        "not_utf8": to_line(simulated_record(1)).replace(b"image_0000", b"\xff\xfe", 1),
        "wrong_type": changed(lambda r: r.update(annotator_id="7")),
        "wrong_type array": b"[1, 2]",
        "missing_field": changed(lambda r: r.pop("caption")),
        "too_large": changed(lambda r: r.update(caption="dog " * 6000)),
        "too_large word": changed(lambda r: r.update(caption="(" * 501)),
        "too_large words": changed(lambda r: r["timed_caption"][0].update(utterance="a" * 20_001)),
        "too_large line": to_line(simulated_record(2)) + b" " * 600_000,
        "negative_time": point(t=-0.1),
        "negative_time word": word(start_time=-1.0),
        "unsorted_times": point(t=999.0),
        "unsorted_times word": word(end_time=0.0),
        "time_out_of_range": word(end_time=1e9),
        "not_normalised": point(x=640.0),
    }  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    good = iter(simulated_records(40))
    lines: list[bytes] = []
    for line in _bad_lines().values():
        lines += [to_line(next(good)), line, b""]
    file = tmp_path_factory.mktemp("quarantine") / "x.jsonl"
    file.write_bytes(b"\r\n".join(lines) + b"\n")
    return file


class TestQuarantine:
    """Every reason, found where the quarantine file says."""

    @pytest.mark.parametrize("packed", [False, True])
    def test_each_reason_is_found_where_it_says(
        self, packed: bool, file: Path, tmp_path: Path, build_here: Builder
    ) -> None:
        data = file.read_bytes()
        source = tmp_path / "x.jsonl.gz" if packed else file
        if packed:
            source.write_bytes(gzip.compress(data))
        out = tmp_path / "out"
        options = ["input.max_record_bytes=600000", "shards.chunk_bytes=20000"]
        summary = build_here(source, out, *options, "input.max_inflation=1000")
        bad = _bad_lines()
        entries = [
            msgspec.json.decode(line, type=RejectedRecord)
            for line in (out / "_alps" / "quarantine.jsonl").read_bytes().splitlines()
        ]
        assert [entry.reason for entry in entries] == [name.split()[0] for name in bad]
        for entry, line in zip(entries, bad.values(), strict=True):
            assert data[entry.byte_offset :].startswith(line)
            assert entry.line == 1 + data[: entry.byte_offset].count(b"\n")
            assert entry.sha256 == hashlib.sha256(line).hexdigest()
            assert entry.file == str(source)
            assert 0 < len(entry.detail) <= 300
        counts = summary.counts
        assert counts["lines"] == counts["narratives"] + sum(summary.rejected.values())
        assert counts["narratives"] == len(bad)
        assert summary.bad_fraction == 0.5
        validate(out, progress=False)

    def test_records_that_lack_something_are_counted_not_set_aside(
        self, tmp_path: Path, build_here: Builder
    ) -> None:
        base = simulated_record(0)
        lacking: list[Record] = [
            {k: v for k, v in base.items() if k != "traces"},
            base | {"traces": None},
            base | {"traces": [[], []]},
            base | {"caption": "  "},
            base | {"timed_caption": []},
            base,
        ]
        summary = build_here(write_narratives(tmp_path / "x.jsonl", lacking), tmp_path / "out")
        assert not summary.rejected
        kept = {
            k: summary.counts[k] for k in ("no_traces", "empty_caption", "no_timed_words", "usable")
        }
        assert kept == {"no_traces": 3, "empty_caption": 1, "no_timed_words": 1, "usable": 1}
        validate(tmp_path / "out", progress=False)
