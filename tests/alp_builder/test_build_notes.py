"""What a build tells its user beside the figures."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from alp_builder.build import build
from alp_builder.cli.build import summary_lines
from alp_builder.config import BuildConfig
from alp_builder.errors import UsageError
from alp_builder.inputs import NarrativeSource
from alp_builder.manifest import read_manifest, write_manifest


def test_a_data_set_inside_another_is_pointed_out(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    sources = [NarrativeSource(location=str(empty), split="train")]
    outer = build(sources, tmp_path / "alps", BuildConfig(), progress=False)
    inner = build(sources, tmp_path / "alps" / "mine", BuildConfig(), progress=False)
    assert outer.notes == []
    assert len(inner.notes) == 1
    assert "reads both" in inner.notes[0]


def test_shards_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    """Publishing removes shards that are not of the build: in a folder of another program's they would be lost."""
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    sources = [NarrativeSource(location=str(empty), split="train")]
    other = tmp_path / "mine" / "split=train" / "part-00000-of-00002.parquet"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"holds split=train/part-.*name another folder"):
        build(sources, tmp_path / "mine", BuildConfig(), progress=False)
    assert [p for p in (tmp_path / "mine").rglob("*") if p.is_file()] == [other]
    assert other.read_bytes() == b"precious"


def test_a_finished_build_whose_manifest_lost_counts(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    sources = [NarrativeSource(location=str(empty), split="train")]
    build(sources, tmp_path / "alps", BuildConfig(), progress=False)
    manifest = read_manifest(tmp_path / "alps")
    write_manifest(tmp_path / "alps", msgspec.structs.replace(manifest, counts={}))
    summary = build(sources, tmp_path / "alps", BuildConfig(), progress=False)
    assert summary.already_built
    assert "records set aside           0" in summary_lines(summary)


def test_an_updated_clone_builds_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    sources = [NarrativeSource(location=str(empty), split="train")]
    build(sources, tmp_path / "alps", BuildConfig(), progress=False)
    assert build(sources, tmp_path / "alps", BuildConfig(), progress=False).already_built
    monkeypatch.setattr("alp_builder.manifest._code_hash", lambda: "other rules")
    again = build(sources, tmp_path / "alps", BuildConfig(), progress=False)
    assert not again.already_built
    assert "versions" in again.notes[0]
