"""A second build into a folder, and builds that cannot be: the rest, all of it, or a clear word."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from alp_builder import planning
from alp_builder.chunks import ChunkTask
from alp_builder.config import BuildConfig
from alp_builder.errors import BadDataError, UsageError
from alp_builder.executors import Executor
from alp_builder.files import exclusive
from alp_builder.inputs import find_sources
from alp_builder.manifest import read_manifest
from alp_builder.reader import read_alps
from tests.alp_builder.conftest import SMALL_SHARDS, Builder, tree_bytes
from tests.alp_builder.simulated import (
    simulated_records,
    to_line,
    write_narratives,
)

LINES = [to_line(record) for record in simulated_records(20)]


class TestAgain:
    """A second build into a folder: nothing, the rest, or all of it."""

    def _interrupt(self, here: Executor, after: int) -> Executor:
        def run(
            tasks: list[ChunkTask], config: BuildConfig, workers: int
        ) -> Iterator[tuple[ChunkTask, int]]:
            for done, result in zip(count(1), here(tasks, config, workers), strict=False):
                yield result
                if done == after:
                    raise KeyboardInterrupt

        return run

    def test_the_same_again_does_nothing(
        self, copy_of_built: Path, inputs_of_two_splits: dict[str, Path], build_here: Builder
    ) -> None:
        before = {path: path.stat().st_mtime_ns for path in copy_of_built.rglob("*.parquet")}
        summary = build_here(inputs_of_two_splits, copy_of_built, *SMALL_SHARDS, "with_traces=true")
        assert summary.already_built
        assert summary.counts == read_manifest(copy_of_built).counts
        assert {p: p.stat().st_mtime_ns for p in copy_of_built.rglob("*.parquet")} == before

    @pytest.mark.parametrize("after", [1, 3])
    def test_an_interrupted_build_goes_on_to_the_same_bytes(
        self, after: int, built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path,
        build_here: Builder, here: Executor,
    ) -> None:  # fmt: skip
        out, options = tmp_path / "out", [*SMALL_SHARDS, "with_traces=true"]
        with pytest.raises(KeyboardInterrupt):
            build_here(inputs_of_two_splits, out, *options, executor=self._interrupt(here, after))
        with pytest.raises(BadDataError, match="an unfinished build"):
            read_alps(out)
        summary = build_here(inputs_of_two_splits, out, *options)
        assert summary.reused_chunks == after
        assert summary.counts["narratives"] > summary.built > 0
        assert tree_bytes(out) == tree_bytes(built)

    @pytest.mark.parametrize("what", ["config", "inputs"])
    def test_an_interrupted_build_of_something_else_is_thrown_away(
        self, what: str, inputs_of_two_splits: dict[str, Path], tmp_path: Path,
        build_here: Builder, here: Executor,
    ) -> None:  # fmt: skip
        out, file = tmp_path / "out", tmp_path / "x.jsonl"
        write_narratives(file, simulated_records(30))
        with pytest.raises(KeyboardInterrupt):
            build_here(file, out, *SMALL_SHARDS, executor=self._interrupt(here, 2))
        options = list(SMALL_SHARDS)
        if what == "config":
            options.append("window.lag=0.1")
        else:
            write_narratives(file, simulated_records(30, seed=1))
        summary = build_here(file, out, *options)
        assert summary.notes == [f"starting afresh: {what} changed since the interrupted build"]
        assert summary.reused_chunks == 0
        build_here(file, tmp_path / "fresh", *options)
        assert tree_bytes(out) == tree_bytes(tmp_path / "fresh")

    def test_a_packed_input_that_changes_between_runs_is_unpacked_again(
        self, tmp_path: Path, build_here: Builder, here: Executor
    ) -> None:
        file, out = tmp_path / "x.jsonl.gz", tmp_path / "out"
        file.write_bytes(gzip.compress(b"\n".join(LINES[:10])))
        with pytest.raises(KeyboardInterrupt):
            build_here(file, out, *SMALL_SHARDS, executor=self._interrupt(here, 1))
        file.write_bytes(gzip.compress(b"\n".join(LINES[10:])))
        build_here(file, out, *SMALL_SHARDS)
        build_here(file, tmp_path / "fresh", *SMALL_SHARDS)
        assert tree_bytes(out) == tree_bytes(tmp_path / "fresh")

    @pytest.mark.parametrize("what", ["config", "inputs", "smaller"])
    def test_another_build_replaces_the_data_set_whole(
        self, what: str, copy_of_built: Path, inputs_of_two_splits: dict[str, Path], tmp_path: Path,
        build_here: Builder,
    ) -> None:  # fmt: skip
        inputs, options = dict(inputs_of_two_splits), [*SMALL_SHARDS, "with_traces=true"]
        if what == "config":
            options.append("boxes.margin=0.1")
        elif what == "inputs":
            inputs["train"] = write_narratives(tmp_path / "x.jsonl", simulated_records(3, seed=5))
        else:
            del inputs["val"]
        summary = build_here(inputs, copy_of_built, *options)
        assert len(summary.notes) == 1
        assert summary.notes[0].startswith("rebuilding: ")
        build_here(inputs, tmp_path / "fresh", *options)
        assert tree_bytes(copy_of_built) == tree_bytes(tmp_path / "fresh")

    @pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "quarantine", "manifest"])
    def test_a_damaged_data_set_is_mended(
        self, harm: str, built: Path, copy_of_built: Path, inputs_of_two_splits: dict[str, Path],
        build_here: Builder,
    ) -> None:  # fmt: skip
        victim = next(copy_of_built.glob("split=train/*"))
        data = victim.read_bytes()
        if harm == "flip":
            victim.write_bytes(data[:300] + bytes([data[300] ^ 1]) + data[301:])
        elif harm == "truncate":
            victim.write_bytes(data[:-9])
        elif harm == "remove":
            victim.unlink()
        elif harm == "quarantine":
            (copy_of_built / "_alps" / "quarantine.jsonl").unlink()
        else:
            (copy_of_built / "_alps" / "manifest.json").write_bytes(b"{")
        summary = build_here(inputs_of_two_splits, copy_of_built, *SMALL_SHARDS, "with_traces=true")
        assert not summary.already_built
        assert "damaged" in summary.notes[0]
        assert tree_bytes(copy_of_built) == tree_bytes(built)

    def test_leftovers_of_a_killed_build_go(
        self, built: Path, copy_of_built: Path, inputs_of_two_splits: dict[str, Path],
        build_here: Builder,
    ) -> None:  # fmt: skip
        (copy_of_built / "_alps" / ".manifest.json.123.tmp").write_bytes(b"half of")
        (copy_of_built / "_alps" / "work" / "chunks").mkdir(parents=True)
        (copy_of_built / "_alps" / "work" / "chunks" / ".000001.arrow.9.tmp").write_bytes(b"x")
        build_here(inputs_of_two_splits, copy_of_built, *SMALL_SHARDS, "with_traces=true")
        assert tree_bytes(copy_of_built) == tree_bytes(built)


class TestCannot:
    """Builds that cannot be: what is wrong, in one line."""

    def test_two_at_once(self, copy_of_built: Path, tmp_path: Path, build_here: Builder) -> None:
        out = copy_of_built
        before = tree_bytes(out)
        with (
            exclusive(out / "_alps" / "lock", "a build"),
            pytest.raises(UsageError, match=r"a build into .*copy is under way in another process"),
        ):
            build_here(write_narratives(tmp_path / "x.jsonl", simulated_records(2)), out)
        assert tree_bytes(out) == before

    def test_no_input(self, tmp_path: Path, build_here: Builder) -> None:
        with pytest.raises(UsageError, match="no input"):
            build_here([], tmp_path / "out")

    def test_out_is_a_file(self, tmp_path: Path, build_here: Builder) -> None:
        (tmp_path / "out").write_bytes(b"mine")
        file = write_narratives(tmp_path / "x.jsonl", simulated_records(1))
        for out in (tmp_path / "out", tmp_path / "out" / "below"):
            with pytest.raises(UsageError, match="cannot be written"):
                build_here(file, out)
        assert (tmp_path / "out").read_bytes() == b"mine"

    def test_the_input_vanishes(self, tmp_path: Path, build_here: Builder, here: Executor) -> None:
        file = write_narratives(tmp_path / "x.jsonl", simulated_records(20))

        def run(
            tasks: list[ChunkTask], config: BuildConfig, workers: int
        ) -> Iterator[tuple[ChunkTask, int]]:
            yield next(iter(here(tasks[:1], config, workers)))
            file.unlink()
            yield from here(tasks[1:], config, workers)

        with pytest.raises(BadDataError, match=r"x\.jsonl: cannot be read any more"):
            build_here(file, tmp_path / "out", *SMALL_SHARDS, executor=run)
        assert not list(tmp_path.glob("out/split=*"))

    def test_the_input_changes(self, tmp_path: Path, build_here: Builder, here: Executor) -> None:
        file = write_narratives(tmp_path / "x.jsonl", simulated_records(20))

        def run(
            tasks: list[ChunkTask], config: BuildConfig, workers: int
        ) -> Iterator[tuple[ChunkTask, int]]:
            yield from here(tasks, config, workers)
            write_narratives(file, simulated_records(20, seed=3))

        with pytest.raises(BadDataError, match=r"x\.jsonl: changed while it was read"):
            build_here(file, tmp_path / "out", *SMALL_SHARDS, executor=run)
        build_here(file, tmp_path / "out", *SMALL_SHARDS)
        build_here(file, tmp_path / "fresh", *SMALL_SHARDS)
        assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "fresh")

    def test_the_input_changes_right_after_it_was_hashed(
        self, tmp_path: Path, build_here: Builder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write_narratives(tmp_path / "x.jsonl", simulated_records(5))
        real = planning.versions

        def versions(model: str) -> dict[str, str]:  # asked for between the plan and the work
            write_narratives(file, simulated_records(5, seed=3))
            return real(model)

        monkeypatch.setattr(planning, "versions", versions)
        with pytest.raises(BadDataError, match=r"x\.jsonl: changed while it was read"):
            build_here(file, tmp_path / "out")

    def test_a_data_set_inside_its_input_folder_is_not_read(
        self, tmp_path: Path, build_here: Builder
    ) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "x.jsonl").write_bytes(b"\n".join(LINES) + b"\nbad\n")
        for again in (False, True):
            sources = find_sources([str(tmp_path / "data")], "train")
            summary = build_here(sources, tmp_path / "data" / "out")
            assert summary.already_built == again
        assert summary.rejected == {"not_json": 1}
