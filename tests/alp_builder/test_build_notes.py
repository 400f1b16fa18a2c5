"""What a build tells its user beside the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.build import build
from alp_builder.config import BuildConfig
from alp_builder.inputs import NarrativeSource


def test_a_data_set_inside_another_is_pointed_out(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    sources = [NarrativeSource(location=str(empty), split="train")]
    outer = build(sources, tmp_path / "alps", BuildConfig(), progress=False)
    inner = build(sources, tmp_path / "alps" / "mine", BuildConfig(), progress=False)
    assert outer.notes == []
    assert len(inner.notes) == 1
    assert "reads both" in inner.notes[0]


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
