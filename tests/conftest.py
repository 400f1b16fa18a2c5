"""What every test may use: the shared real data, or a skip that says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alp_builder.cli.main import main
from tests.faults.subject import REPORTS

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the project; tests that need it skip where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real data is not at hand: no folder {folder.name!r} beside the project")
    return folder


@pytest.fixture(scope="session")
def simulated_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `make alps` has run: `data/sample` and `data/alps`. Never written to."""
    folder = tmp_path_factory.mktemp("make_alps")
    world, narratives = folder / "data/sample/world", folder / "data/sample/narratives.jsonl"
    scenes = ["--train", "300", "--val", "0", "--test", "0", "--workers", "1"]
    spoken = ["--coco", str(world / "instances_train.json"), "--profile", "coco"]
    for words in (
        ["simulate", "scenes", "--out", str(world), *scenes],
        ["simulate", "narratives", *spoken, "--out", str(narratives)],
        ["build", str(narratives), "--out", str(folder / "data/alps"), "--workers", "1"],
    ):
        assert main(words) == 0
    return folder


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the reports of one of several test processes to the one that prints them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["reports"] = REPORTS


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's
def pytest_testnodedown(node: Any) -> None:
    """Takes the reports of a test process that has ended."""
    REPORTS.extend(getattr(node, "workeroutput", {}).get("reports", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what became of mutated inputs and of soaks, where some were tried."""
    if REPORTS:
        terminalreporter.section("faults")
        for line in REPORTS:
            terminalreporter.write_line(line)
