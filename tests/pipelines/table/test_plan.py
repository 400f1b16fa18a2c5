from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from alp_builder.errors import UsageError
from pipelines.table.plan import PRESETS, QUICK, ROWS, Plan, chosen_rows, world_settings
from tests.pipelines.table.conftest import ROOT


def test_every_row_has_a_config() -> None:
    assert [row.name for row in ROWS] == [
        "maskrcnn_none", "maskrcnn_alps", "maskrcnn_boxes",
        "fcosmo_none", "fcosmo_alps", "fcosmo_boxes",
    ]  # fmt: skip
    for row in ROWS:
        assert (ROOT / f"trainer/configs/table/{row.name}.py").is_file()


def test_backbones_come_before_the_rows_that_start_from_them(plan: Plan) -> None:
    jobs = plan.jobs()
    names = [job.name for job in jobs]
    assert len(set(names)) == len(jobs) == 2 + 2 * len(ROWS)
    for job in jobs:
        if job.kind == "train":
            assert names.index(job.backbone) < names.index(job.name)
            assert (
                f"train.init_weights={plan.runs}/{job.backbone}/backbone.safetensors"
                in job.overrides
            )


def test_rows_of_a_seed_differ_in_their_config_only(plan: Plan) -> None:
    of_seed = [job for job in plan.jobs() if job.name.endswith("seed1") and job.kind == "train"]
    assert len({job.overrides for job in of_seed}) == 1
    assert len({job.config for job in of_seed}) == len(ROWS)
    assert len({job.backbone for job in of_seed}) == 1


def test_the_split_decides_what_is_evaluated(plan: Plan) -> None:
    val = msgspec.structs.replace(plan, split="val").jobs()[-1]
    assert "data.test.annotations=data/table/world/instances_val.json" in val.overrides
    assert all("instances_test" not in change for change in val.overrides)
    assert "data.test.loader.images.images=data/table/world/val" in val.overrides
    with pytest.raises(UsageError, match="expected val or test"):
        Plan(rows=ROWS, preset=QUICK, data="d", runs="r", split="train")


def test_rows_are_chosen_by_name() -> None:
    assert [r.name for r in chosen_rows(["fcosmo_alps"])] == ["fcosmo_alps"]
    assert chosen_rows([]) == ROWS
    with pytest.raises(UsageError, match="no row 'fcos': expected some of maskrcnn_none"):
        chosen_rows(["fcos"])


def test_the_table_has_three_seeds_and_the_quick_one_has_one() -> None:
    assert all(len(preset.seeds) >= 3 for preset in PRESETS.values())
    assert len(QUICK.seeds) == 1
    for preset in (*PRESETS.values(), QUICK):
        world_settings(preset).check()


def test_jobs_survive_json(plan: Plan, tmp_path: Path) -> None:
    job = plan.jobs()[-1]
    assert msgspec.json.decode(msgspec.json.encode(job), type=type(job)) == job


def test_a_row_can_have_more_steps(plan: Plan) -> None:
    twice = plan.job(msgspec.structs.replace(ROWS[0], times=2), seed=0)
    assert twice.steps == 2 * plan.preset.steps
    assert f"train.loop.max_steps={twice.steps}" in twice.overrides
