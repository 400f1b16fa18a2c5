from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from alp_builder import open_alps
from alp_builder.errors import UsageError
from alp_builder.simulate import SceneConfig
from pipelines.table.data import prepare
from pipelines.table.plan import AlpSet

WORLD = SceneConfig(train=20, val=2, test=2, image_size=64)


def test_the_world_is_made_once_and_other_settings_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "table"
    few = AlpSet(percent=10)
    prepare(data, WORLD, [AlpSet(), few, AlpSet()])
    assert (data / "world" / "split.json").exists()
    made = {file: file.stat().st_mtime_ns for file in data.rglob("*") if file.is_file()}
    prepare(data, WORLD, [AlpSet(), few])
    assert {file: file.stat().st_mtime_ns for file in data.rglob("*") if file.is_file()} == made

    everything, tenth = (open_alps(data / a.folder).table(split="train") for a in (AlpSet(), few))
    ids = {row["image_id"] for row in tenth.to_pylist()}
    assert len(ids) == 2
    assert ids < {row["image_id"] for row in everything.to_pylist()}

    with pytest.raises(UsageError, match="is a world of other settings"):
        prepare(data, msgspec.structs.replace(WORLD, train=21), [])
