"""What a build tells its user beside the figures."""

from __future__ import annotations

from pathlib import Path

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
