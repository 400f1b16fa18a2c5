"""All benchmarks in one go: kept, drawn, compared; their speeds are no test."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipelines import bench, bench_growth
from pipelines.bench_page import FIGURES, page, ratios_of

FIGURES_OF: dict[str, dict[str, Any]] = {
    "bench_alps": {"vs_spacy": 1.1, "align_per_s": 9.0, "rss_mb": {"300": 500.0, "1500": 510.0}},
    "bench_growth": {
        "cpu_ms_by_narratives": {"150": 5.0, "600": 6.0},
        "speed_by_workers": {"1": 1.0},
    },
    "bench_train": {"fcos_step_vs_detectron2": 1.02, "step_by_classes": {"80": 1.0, "1280": 1.5}},
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`make bench` with benchmarks that write what they are told."""
    asked: list[list[str]] = []

    def fake(command: list[str], check: bool) -> None:
        asked.append(command)
        name = command[command.index("-m") + 1].removeprefix("pipelines.")
        Path(command[command.index("--json") + 1]).write_text(json.dumps(FIGURES_OF[name]))

    def start(*words: str) -> tuple[int, list[list[str]]]:
        asked.clear()
        return bench.main(["in.jsonl", "--out", str(tmp_path), *words]), asked

    monkeypatch.setattr(subprocess, "run", fake)
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "nothing" else name
    )
    return start


def test_a_run_is_kept_with_the_kind_of_machine(run: Any, tmp_path: Path) -> None:
    code, asked = run("--quick")
    assert code == 0
    assert [words[4] for words in asked] == [f"pipelines.{name}" for name in FIGURES_OF]
    assert all("--quick" in words or "--count" in words or "--counts" in words for words in asked)
    kept = bench.read_results(tmp_path / "bench.json")
    assert kept is not None
    assert kept.figures == {k: v for part in FIGURES_OF.values() for k, v in part.items()}
    assert kept.machine["cores"] >= 1
    assert platform.node() not in (tmp_path / "bench.json").read_text()  # the kind, not which one
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "bench.md").read_text()
    assert "| whole build over bare spaCy, captions/s | 1.1 | - | higher | new |" in text
    assert "| CPU ms a narrative, by narratives of a build | 150: 5, 600: 6 |" in text


def test_a_change_for_the_worse_is_told(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--quick")
    kept = bench.read_results(tmp_path / "bench.json")
    assert kept is not None
    kept.figures |= {"vs_spacy": 2.2, "fcos_step_vs_detectron2": 3.0}
    (tmp_path / "old.json").write_bytes(msgspec.json.encode(kept))
    code, _ = run("--quick", "--check", "--previous", str(tmp_path / "old.json"))
    assert code == 1
    printed = capsys.readouterr().out
    assert "worse: vs_spacy: 2.2 before, 1.1 now" in printed
    assert "| 1.1 | 2.2 | higher | **worse** |" in printed
    assert "| 1.02 | 3 | lower | better |" in printed
    assert run("--quick", "--check")[0] == 0  # the same as the last one
    assert run("--quick", "--previous", str(tmp_path / "old.json"))[0] == 0


def test_growth_is_compared_between_equal_sizes_only(run: Any, tmp_path: Path) -> None:
    run()
    kept = bench.read_results(tmp_path / "bench.json")
    assert kept is not None
    assert ratios_of(kept.figures)["narratives_growth"] == pytest.approx(1.2)
    run("--quick")
    text = (tmp_path / "bench.md").read_text()
    assert "| CPU a narrative, most narratives over fewest | 1.2 | - | lower | new |" in text


def test_what_is_not_installed_is_left_out_and_named(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bench.NEEDS, "bench_train", "nothing")
    run("--quick")
    assert (
        "Left out: bench_train, as nothing is not installed." in (tmp_path / "bench.md").read_text()
    )


def test_every_ratio_of_a_run_is_known() -> None:
    figures = {name: 2.0 for name in FIGURES}  # noqa: C420
    assert set(ratios_of(figures)) <= set(FIGURES)
    assert "worse" not in page(
        {"machine": bench.machine_facts(), "figures": figures, "date": "", "quick": True,
         "load": [1.0], "skipped": {}}, dict(ratios_of(figures)), "today", 0.25,
    )  # fmt: skip


def test_growth_of_merging_loses_nothing(simulated_sample: Path, tmp_path: Path) -> None:
    source = simulated_sample / "data/sample/narratives.jsonl"
    found = bench_growth.growth_with_alps(source, tmp_path, [2, 12])
    few, many = map(int, found)
    assert many == 6 * few > 6 * bench_growth.CHUNK_NARRATIVES
    assert all(value > 0 for value in found.values())
