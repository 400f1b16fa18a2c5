from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from alp_builder.errors import UsageError
from pipelines.table.__main__ import main as table_main
from pipelines.table.ablations import (
    FACTORS,
    REFERENCE,
    _parser,
    chosen_factors,
    plan_of,
    write_ablations,
)
from pipelines.table.plan import CONFIGS, ROWS
from pipelines.table.run import run_jobs
from pipelines.table.summary import summarise
from tests.pipelines.table.conftest import ROOT, fake


def test_every_factor_has_the_table_s_setting_and_others() -> None:
    assert REFERENCE in ROWS
    for factor in FACTORS:
        rows = [row for _, row in factor.levels]
        assert rows.count(REFERENCE) == 1
        assert len({row.name for row in rows}) == len(rows) >= 3


def test_levels_change_one_thing() -> None:
    for factor in FACTORS:
        for label, row in factor.levels:
            if row != REFERENCE:
                ways = [
                    bool(row.changes),
                    row.profile != "coco",
                    row.percent != 100,
                    bool(row.config),
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
    factors = chosen_factors(["box_loss", "noise"])
    plan = plan_of(_parser().parse_args(arguments), factors)
    assert [row.name for row in plan.rows].count("fcosmo_alps") == 1
    assert len(plan.jobs()) == 1 + 1 + 2 + 2
    results = run_jobs(plan.jobs()[:4], Path(plan.runs), 2, fake(), poll=0.02, progress=False)
    rows = summarise(plan.rows, plan.preset.seeds, results)
    lines = write_ablations(plan, factors, rows, tmp_path / "ablations")
    assert sum("not run" in line for line in lines) == 2
    record = msgspec.json.decode((tmp_path / "ablations.json").read_bytes())
    assert [level["level"] for level in record["factors"]["box_loss"]] == ["0", "0.5", "1"]
    assert [level["default"] for level in record["factors"]["noise"]] == [False, False, True]
    assert {file.name for file in tmp_path.glob("*.png")} == {
        "ablations_box_loss.png",
        "ablations_noise.png",
    }


def test_mistakes_of_users(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no factor 'boxloss': expected some of quantization"):
        chosen_factors(["boxloss"])
    assert table_main(["--rows", "fcosmo"]) == 2
    assert table_main(["--steps", "0"]) == 2
    errors = capsys.readouterr().err
    assert "no row 'fcosmo'" in errors
    assert "--steps 0: expected a positive number" in errors
    assert "Traceback" not in errors
