from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipelines.table.plan import Plan
from pipelines.table.report import markdown, write_report
from pipelines.table.run import run_jobs
from pipelines.table.summary import (
    CONTRADICTED,
    HOLDS,
    OPEN,
    Estimate,
    estimate,
    judge,
    summarise,
)
from tests.pipelines.table.conftest import fake


def test_interval_by_hand() -> None:
    # s = 2, t(0.975, 2) = 4.303: half a width of 4.303 * 2 / sqrt(3) = 4.969
    found = estimate([10.0, 12.0, 14.0])
    assert found.mean == 12.0
    assert found.ci95 == pytest.approx((12 - 4.969, 12 + 4.969), abs=0.01)


def test_interval_covers_the_mean_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        ci95 = estimate(list(rng.normal(50, 3, size=3))).ci95
        assert ci95 is not None
        covered += ci95[0] <= 50 <= ci95[1]
    assert covered / 2000 == pytest.approx(0.95, abs=0.02)


def test_one_seed_has_no_interval() -> None:
    assert estimate([3.0]) == Estimate(mean=3.0, ci95=None, seeds=(3.0,))


@pytest.mark.parametrize(
    ("mine", "other", "verdict"),
    [
        ((5.0, 6.0), (3.0, 4.0), HOLDS),
        ((3.0, 4.0), (5.0, 6.0), CONTRADICTED),
        ((3.0, 5.0), (4.0, 6.0), OPEN),
        (None, (4.0, 6.0), OPEN),
    ],
)
def test_verdicts(
    mine: tuple[float, float] | None, other: tuple[float, float], verdict: str
) -> None:
    a = Estimate(mean=4.5, ci95=mine, seeds=())
    assert a.above(Estimate(mean=4.5, ci95=other, seeds=())) == verdict


def test_rows_of_fake_runs(plan: Plan, tmp_path: Path) -> None:
    results = run_jobs(plan.jobs(), Path(plan.runs), 2, fake(), poll=0.02, progress=False)
    rows = summarise(plan.rows, plan.preset.seeds, results)
    by_name = {row.name: row for row in rows}
    assert by_name["fcosmo_alps"].ap50_novel.seeds == (20.0, 21.0)
    assert by_name["fcosmo_alps"].ap50_novel.mean == 20.5
    verdicts = {(c.higher, c.lower, c.group): c.verdict for c in judge(rows)}
    assert verdicts["fcosmo_alps", "maskrcnn_none", "novel"] == HOLDS
    assert verdicts["fcosmo_alps", "maskrcnn_alps", "base"] == OPEN

    files = write_report(plan, rows, tmp_path / "results/table")
    record = msgspec.json.decode(files[0].read_bytes())
    row = next(r for r in record["rows"] if (r["model"], r["supervision"]) == ("fcosmo", "alps"))
    assert set(row["ap50_base"]) == {"mean", "ci95", "seeds"}
    assert len(row["ap50_base"]["ci95"]) == 2
    assert row["seconds"] == 10.0
    assert record["settings"]["split"] == "test"
    text = files[1].read_text()
    assert text.count("| FCOS-MO |") == text.count("| Mask R-CNN* |") == 3
    assert "Simulated world" in text
    assert files[2].read_bytes().startswith(b"\x89PNG")


def test_a_row_without_results_is_left_out(plan: Plan) -> None:
    assert summarise(plan.rows, (0,), {}) == []
    assert judge([]) == []
    assert any("seeds" in line for line in markdown(plan, [], [], "table.png"))


def test_unknown_figures_are_not_numbers(plan: Plan) -> None:
    assert math.isnan(estimate([math.nan, 1.0]).mean)
