"""Jobs are run once, go on where they stopped, and say what failed; trainings are stood in for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from alp_builder.errors import BadDataError, UsageError
from pipelines.table.plan import Plan
from pipelines.table.run import checkpoint_steps, read_result, run_jobs, steps_done
from tests.pipelines.table.conftest import fake

POLL = 0.02


def _run(plan: Plan, *flags: str) -> int:
    return len(run_jobs(plan.jobs(), Path(plan.runs), 2, fake(*flags), poll=POLL, progress=False))


def _starts(plan: Plan) -> dict[str, list[int]]:
    return {
        job.name: [int(line) for line in file.read_text().split()]
        for job in plan.jobs()
        if (file := Path(plan.runs) / job.name / "starts.txt").exists()
    }


def _small(plan: Plan) -> Plan:
    return msgspec.structs.replace(
        plan, rows=plan.rows[:2], preset=msgspec.structs.replace(plan.preset, seeds=(0,))
    )


def test_all_jobs_run_once_and_a_second_call_runs_none(plan: Plan) -> None:
    plan = _small(plan)
    assert _run(plan) == 3
    assert _run(plan) == 3
    assert all(starts == [0] for starts in _starts(plan).values())
    assert len(_starts(plan)) == 3


def test_a_stopped_job_goes_on_from_its_last_step(plan: Plan) -> None:
    plan = _small(plan)
    with pytest.raises(BadDataError, match="backbone/seed0 failed"):
        _run(plan, "--stop-after", "3")
    folder = Path(plan.runs) / "backbone/seed0"
    assert steps_done(folder) == 3
    assert _run(plan) == 3
    assert _starts(plan)["backbone/seed0"] == [0, 3]
    assert steps_done(folder) == plan.preset.pretrain_steps


def test_finished_rows_stay_when_one_is_lost(plan: Plan) -> None:
    plan = _small(plan)
    _run(plan)
    lost = Path(plan.runs) / "maskrcnn_alps/seed0"
    (lost / "result.json").unlink()
    _run(plan)
    starts = _starts(plan)
    assert starts["maskrcnn_alps/seed0"] == [0, plan.preset.steps]
    assert starts["maskrcnn_none/seed0"] == starts["backbone/seed0"] == [0]


def test_no_row_starts_without_its_backbone(plan: Plan) -> None:
    with pytest.raises(BadDataError, match="the disk is full"):
        _run(_small(plan), "--fail")
    assert set(_starts(plan)) == {"backbone/seed0"}


def test_results_of_other_settings_are_refused(plan: Plan) -> None:
    plan = _small(plan)
    _run(plan)
    longer = msgspec.structs.replace(plan.preset, steps=7)
    with pytest.raises(UsageError, match="maskrcnn_none/seed0 is a run of other settings"):
        _run(msgspec.structs.replace(plan, preset=longer))


def test_a_result_belongs_to_its_job(plan: Plan) -> None:
    plan = _small(plan)
    _run(plan)
    job, runs = plan.jobs()[-1], Path(plan.runs)
    assert read_result(job, runs) is not None
    assert read_result(msgspec.structs.replace(job, steps=9), runs) is None
    (runs / job.name / "result.json").write_text("{")
    with pytest.raises(BadDataError, match="not a result"):
        read_result(job, runs)


def test_steps_are_counted_by_whole_lines(tmp_path: Path) -> None:
    assert steps_done(tmp_path) == 0
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n{"ste')
    assert steps_done(tmp_path) == 2


def test_a_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    assert checkpoint_steps(tmp_path) == 0
    for name in ("step_0000250.pt", "step_0001000.pt", ".step_0002000.pt.1.tmp"):
        (tmp_path / name).touch()
    assert checkpoint_steps(tmp_path) == 1000
