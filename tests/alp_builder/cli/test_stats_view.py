from __future__ import annotations

import json
from pathlib import Path

import pytest

from alp_builder.cli.comparison_view import comparison_lines
from alp_builder.cli.main import main
from alp_builder.cli.terminal import WIDEST, bar, section, shorten, sparkline, table
from alp_builder.comparison import compare
from alp_builder.reader import open_alps
from tests.alp_builder.conftest import Builder


@pytest.fixture(scope="module")
def lagged(
    tmp_path_factory: pytest.TempPathFactory,
    build_here: Builder,
    inputs_of_two_splits: dict[str, Path],
) -> Path:
    out = tmp_path_factory.mktemp("lagged") / "alps"
    build_here(inputs_of_two_splits, out, "window.lag=-0.3")
    return out


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 8, ""), (8, 8, "████████"), (4, 8, "████"), (1, 1000, "▏"), (3, 16, "█▌"), (1, 0, "▏")],
)
def test_bars_are_exact_to_an_eighth(part: float, whole: float, expected: str) -> None:
    assert bar(part, whole, 8) == expected


def test_sparklines_fill_to_the_largest() -> None:
    assert sparkline([0, 7, 14]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_tables_align() -> None:
    assert table([["a", "1"], ["bcd", "22"]], "<>") == ["  a     1", "  bcd  22"]
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abc", 4) == "abc"


def test_headings_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, expected in (("60", 60), ("400", WIDEST)):
        monkeypatch.setenv("COLUMNS", columns)
        assert len(section("nouns")[1]) == expected


def test_a_comparison_for_people(
    built: Path, lagged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", str(lagged), "--compare", str(built), "--top", "3"]) == 0
    text = capsys.readouterr().out
    found = compare(open_alps(built), open_alps(lagged))
    assert "window.lag" in text
    assert f"{found.before:,} → {found.after:,} ALPs" in text
    assert f"mean IoU of {found.moved_iou:.3f}" in text
    nouns = text.split("nouns that changed most ")[1].split("\n\n")[0]
    assert nouns.count("\n") == 5
    assert f"and {len(found.nouns) - 3:,} more nouns" in nouns
    assert found.nouns[0].noun in nouns.splitlines()[2]


def test_a_comparison_for_machines(
    built: Path, lagged: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["stats", str(lagged), "--compare", str(built), "--json"]) == 0
    figures = json.loads(capfdbinary.readouterr().out)
    assert {"choices", "counts", "nouns", "same", "moved", "gone", "new"} <= set(figures)
    assert figures["choices"][0]["name"] == "window.lag"


def test_nothing_changed(built: Path) -> None:
    dataset = open_alps(built)
    (line,) = comparison_lines(compare(dataset, dataset), "a", "b", 5)
    assert line == f"b and a hold the same {dataset.num_rows:,} ALPs and counts"


def test_a_comparison_with_nothing_is_refused(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", str(built), "--compare", str(tmp_path)]) == 1
    assert "no ALP data set" in capsys.readouterr().err
