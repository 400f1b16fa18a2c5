from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from alp_builder.chunks import ChunkTask, build_chunk, read_header, read_rows
from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError
from alp_builder.extraction import AlpExtractor
from alp_builder.inputs import Chunk
from alp_builder.schema import arrow_schema
from alp_builder.shards import IMAGE_HASH, SOURCE
from tests.alp_builder.simulated import simulated_record, simulated_records, write_narratives


def _task(file: Path, tmp_path: Path, number: int = 3) -> ChunkTask:
    chunk = Chunk(number=number, source=0, start=0, end=file.stat().st_size, first_line=1)
    output = tmp_path / "chunk.arrow"
    return ChunkTask(chunk=chunk, path=str(file), name="my file", output=str(output))


@pytest.fixture
def task(tmp_path: Path, alp_extractor: AlpExtractor) -> ChunkTask:
    """A finished chunk of ten narratives and one line that is none."""
    file = write_narratives(tmp_path / "x.jsonl", simulated_records(10))
    with file.open("ab") as stream:
        stream.write(b"not json\n")
    task = _task(file, tmp_path)
    assert build_chunk(task, alp_extractor, BuildConfig()) == 10
    return task


def test_the_header_accounts_for_every_line_and_phrase(task: ChunkTask) -> None:
    header = read_header(Path(task.output))
    counts = header.counts
    assert (counts["lines"], counts["narratives"], counts["usable"]) == (11, 10, 10)
    assert [(r.file, r.line, r.reason) for r in header.rejected] == [("my file", 11, "not_json")]
    rows = read_rows(Path(task.output), 0, 1)
    dropped = sum(number for name, number in counts.items() if name.startswith("dropped."))
    phrases = {(a, b) for a, b in zip(rows["narrative_id"].to_pylist(), rows["phrase_index"].to_pylist(), strict=True)}  # fmt: skip  # noqa: E501
    assert counts["alps"] == rows.num_rows > 10
    assert counts["phrases"] == dropped + len(phrases)


def test_rows_are_those_of_the_schema_sorted_by_image_hash(task: ChunkTask) -> None:
    rows = read_rows(Path(task.output), 0, 1)
    assert rows.schema.names == [*arrow_schema().names, IMAGE_HASH, SOURCE]
    hashes = rows[IMAGE_HASH].to_numpy()
    assert (np.diff(hashes.astype(object)) >= 0).all()
    assert set(rows[SOURCE].to_numpy() >> 24) == {3}


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_shards_share_the_rows_out(task: ChunkTask, count: int) -> None:
    whole = read_rows(Path(task.output), 0, 1)
    parts = [read_rows(Path(task.output), index, count) for index in range(count)]
    assert pa.concat_tables(parts).equals(whole)


def test_narratives_are_numbered_also_where_copies_follow_each_other(
    tmp_path: Path, alp_extractor: AlpExtractor
) -> None:
    record = simulated_record(0)
    task = _task(write_narratives(tmp_path / "x.jsonl", [record, record, record]), tmp_path)
    build_chunk(task, alp_extractor, BuildConfig())
    rows = read_rows(Path(task.output), 0, 1)
    assert set(rows[SOURCE].to_numpy() & 0xFFFFFF) == {0, 1, 2}
    assert len(set(rows["alp_id"].to_pylist())) * 3 == rows.num_rows


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_a_broken_work_file_is_named(task: ChunkTask, keep: int) -> None:
    file = Path(task.output)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(BadDataError, match=r"chunk\.arrow: broken work file .*delete it"):
        read_header(file)
    with pytest.raises(BadDataError, match="broken work file"):
        read_rows(file, 0, 1)


def test_an_arrow_file_of_others_is_no_work_file(tmp_path: Path) -> None:
    table = pa.table({"x": [1]})
    with pa.ipc.new_file(tmp_path / "other.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(BadDataError, match="broken work file"):
        read_header(tmp_path / "other.arrow")


def test_an_input_that_is_gone_is_named_as_the_user_named_it(
    task: ChunkTask, alp_extractor: AlpExtractor
) -> None:
    Path(task.path).unlink()
    with pytest.raises(BadDataError, match=r"my file: cannot be read any more \(No such file"):
        build_chunk(task, alp_extractor, BuildConfig())
