from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from alp_builder.errors import UsageError
from pipelines.table.__main__ import _parser as table_parser
from pipelines.table.__main__ import main as table_main
from pipelines.table.__main__ import plan_of as table_plan
from pipelines.table.ablations import (
    _parser,
    chosen,
    main,
    plan_of,
    summarise_levels,
    write_ablations,
)
from pipelines.table.factors import ABLATIONS, COLLECTIONS, STUDIES, Factor
from pipelines.table.plan import CONFIGS, ROWS, Plan, Row
from pipelines.table.run import run_jobs
from pipelines.table.summary import RowSummary, estimate, summarise
from tests.pipelines.table.conftest import ROOT, fake

FACTORS = [factor for collection in COLLECTIONS.values() for factor in collection.factors]


def reference(factor: Factor) -> Row:
    """The level of a factor that is a row of the table."""
    (row,) = [row for _, row in factor.levels if row in ROWS]
    return row


def test_every_factor_has_a_row_of_the_table_and_others() -> None:
    for factor in FACTORS:
        reference(factor)
        assert len({row.name for _, row in factor.levels}) == len(factor.levels) >= 2
    others = {f.name for f in ABLATIONS.factors if reference(f).name != "fcosmo_alps"}
    assert others == {"box_loss_maskrcnn", "schedule_maskrcnn"}


def test_levels_have_names_of_their_own() -> None:
    """Folders are named after rows: two rows of one name would take one another's results."""
    rows = {row for factor in FACTORS for _, row in factor.levels} | set(ROWS)
    assert len({row.name for row in rows}) == len(rows)


def test_levels_of_ablations_change_one_thing() -> None:
    for factor in ABLATIONS.factors:
        for label, row in factor.levels:
            if row not in ROWS:
                ways = [
                    bool(row.changes),
                    row.profile != "coco",
                    row.percent != 100,
                    bool(row.config),
                    row.times != 1,
                ]
                assert sum(ways) == 1, label


def test_configs_take_the_changes() -> None:
    load = pytest.importorskip("trainer.engine.config", exc_type=ImportError).load_config
    for factor in FACTORS:
        for _, row in factor.levels:
            config = ROOT / CONFIGS / (row.config or f"{row.model}_{row.supervision}.py")
            cfg = load(config, list(row.changes))
            for change in row.changes:
                key, _, value = change.lstrip("+").partition("=")
                node = cfg
                for part in key.split("."):
                    node = node[part]
                assert str(node).replace(" ", "").lower() == value


def test_shared_levels_run_once(tmp_path: Path) -> None:
    arguments = [
        "--seeds",
        "1",
        "--steps",
        "5",
        "--pretrain-steps",
        "3",
        "--runs",
        str(tmp_path / "r"),
    ]
    collection = chosen(ABLATIONS, ["box_loss", "noise"])
    plan = plan_of(_parser().parse_args(arguments), collection)
    assert [row.name for row in plan.rows].count("fcosmo_alps") == 1
    assert len(plan.jobs()) == 1 + 1 + 3 + 2
    results = run_jobs(plan.jobs()[:4], Path(plan.runs), 2, fake(), poll=0.02, progress=False)
    rows = summarise(plan.rows, plan.preset.seeds, results)
    lines = write_ablations(plan, collection, rows, tmp_path / "ablations")
    assert sum("not run" in line for line in lines) == 3
    record = msgspec.json.decode((tmp_path / "ablations.json").read_bytes())
    assert [level["level"] for level in record["factors"]["box_loss"]] == [
        "0",
        "0.5",
        "1",
        "1, not quantized",
    ]
    assert [level["default"] for level in record["factors"]["noise"]] == [False, False, True]
    assert {file.name for file in tmp_path.glob("*.png")} == {
        "ablations_box_loss.png",
        "ablations_noise.png",
    }


def test_a_report_of_what_is_done_runs_nothing(tmp_path: Path) -> None:
    runs, out = tmp_path / "r", tmp_path / "so_far"
    words = ["--factors", "box_loss", "--runs", str(runs), "--out", str(out), "--seeds", "2"]
    plan = plan_of(_parser().parse_args(words), chosen(ABLATIONS, ["box_loss"]))
    run_jobs(plan.jobs()[:4], Path(plan.runs), 2, fake(), poll=0.02, progress=False)
    before = {file: file.stat().st_mtime_ns for file in runs.rglob("*")}
    assert main([*words, "--report"]) == 0
    assert {file: file.stat().st_mtime_ns for file in runs.rglob("*")} == before
    table = out.with_suffix(".md").read_text()
    assert "| **0** (1 of 2 seeds so far) |" in table
    assert "| 0.5 (1 of 2 seeds so far) |" in table
    assert "| 1 | not run" in table


@pytest.mark.parametrize("command", [main, table_main])
def test_a_report_of_nothing_leaves_the_files_alone(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "table.md"
    kept.write_text("three seeds")
    words = ["--report", "--runs", str(tmp_path / "none"), "--out", str(kept.with_suffix(""))]
    assert command(words) == 2
    error = capsys.readouterr().err
    assert error.splitlines() == [
        f"error: {tmp_path / 'none'}: no run of these settings is done; run without --report"
    ]
    assert kept.read_text() == "three seeds"


def plan_by_default(*arguments: str) -> Plan:
    """The plan of a collection as the command makes it."""
    args = _parser().parse_args(arguments)
    return plan_of(args, COLLECTIONS[args.collection])


def test_ablations_take_the_table_s_runs_and_studies_keep_to_val() -> None:
    table = table_plan(table_parser().parse_args([]))
    ablations, studies = plan_by_default(), plan_by_default("--collection", "studies")
    shared = [job for job in ablations.jobs() if job in table.jobs()]
    assert {job.name for job in shared if job.kind == "train"} == {
        f"{row}/seed{seed}"
        for row in ("fcosmo_alps", "maskrcnn_alps")
        for seed in table.preset.seeds
    }
    assert ablations.runs == table.runs
    assert (studies.split, studies.preset.seeds) == ("val", (0,))
    assert studies.runs != table.runs
    of_table = [row in ROWS for row in studies.rows]
    assert of_table == sorted(of_table, reverse=True)  # the table's rows first


def test_one_seed_is_said_to_have_no_interval(tmp_path: Path) -> None:
    args = _parser().parse_args(["--collection", "studies", "--runs", str(tmp_path / "runs")])
    collection = chosen(STUDIES, ["rate"])
    plan = plan_of(args, collection)
    lines = write_ablations(plan, collection, [], tmp_path / "studies")
    assert "on the val split, 1,200 steps, one seed, which has no interval." in lines[2]
    assert "## FCOS-MO without ALPs: learning rate" in lines


def row_summary(name: str, novel: list[float]) -> RowSummary:
    """A row with these figures of its seeds on novel classes."""
    found = estimate(novel)
    return RowSummary(
        name=name, model="fcosmo", supervision="alps", ap50_base=found, ap50_novel=found,
        seconds=1.0, cpu_seconds=1.0, peak_memory_mb=1.0, peak_gpu_mb=0.0,
    )  # fmt: skip


def test_gains_are_taken_seed_by_seed() -> None:
    """A gain of one point in every seed is sure, however much the seeds differ."""
    (factor,) = chosen(ABLATIONS, ["box_loss"]).factors
    rows = [
        row_summary("fcosmo_alps", [10.0, 20.0, 30.0]),
        row_summary("box_loss_05", [11.0, 21.0, 31.0]),
        row_summary("box_loss_1", [11.0, 21.0]),
    ]
    table, half, whole, raw = summarise_levels(factor, {row.name: row for row in rows}, 3)
    assert half.novel_gain is not None
    assert (half.novel_gain.mean, half.novel_gain.ci95) == (1.0, (1.0, 1.0))
    assert table.novel_gain is None
    assert whole.novel_gain is None  # a seed is missing
    assert raw.summary is None  # not run


def test_mistakes_of_users(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no factor 'boxloss': expected some of quantization"):
        chosen(ABLATIONS, ["boxloss"])
    assert table_main(["--rows", "fcosmo"]) == 2
    assert table_main(["--steps", "0"]) == 2
    errors = capsys.readouterr().err
    assert "no row 'fcosmo'" in errors
    assert "--steps 0: expected a positive number" in errors
    assert "Traceback" not in errors
