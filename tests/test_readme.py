"""The README is true: its code runs on a data set built as it says, its commands and columns exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alp_builder.cli.main import main, make_parser
from alp_builder.schema import COLUMNS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILES = "\n".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "Makefile", *ROOT.glob("pipelines/*.mk")]
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make alps` builds, smaller, in a folder of its own."""
    folder = tmp_path_factory.mktemp("readme")
    world, narratives = folder / "data/sample/world", folder / "data/sample/narratives.jsonl"
    scenes = ["--train", "20", "--val", "0", "--test", "0", "--workers", "1"]
    assert main(["simulate", "scenes", "--out", str(world), *scenes]) == 0
    coco = str(world / "instances_train.json")
    spoken = ["--coco", coco, "--profile", "coco", "--out", str(narratives)]
    assert main(["simulate", "narratives", *spoken]) == 0
    out = str(folder / "data/alps")
    assert main(["build", str(narratives), "--out", out, "--workers", "1"]) == 0
    return folder


def test_the_python_blocks_run(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample)
    names: dict[str, object] = {}
    assert len(blocks("python")) >= 2
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), names)  # our own README
    assert len(names["alps"]) > 50  # type: ignore[arg-type]
    assert names["table"].num_rows > 0  # type: ignore[attr-defined]


def test_the_one_line_readers_run(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb, polars, ds = (pytest.importorskip(n) for n in ("duckdb", "polars", "pyarrow.dataset"))
    import pandas as pd

    monkeypatch.chdir(sample)
    rows = len(pd.read_parquet("data/alps"))
    assert rows == len(duckdb.sql("from 'data/alps/**/*.parquet'").df())
    assert rows == len(polars.read_parquet("data/alps/**/*.parquet"))
    assert rows == ds.dataset("data/alps", partitioning="hive").count_rows()
    assert "from 'data/alps/**/*.parquet'" in README
    assert 'pl.read_parquet("data/alps/**/*.parquet")' in README


def test_every_verb_is_in_the_table_and_the_parser() -> None:
    listed = re.findall(r"^\| `alps (\w+)` \|", README, re.MULTILINE)
    (choices,) = (a.choices for a in make_parser()._actions if a.dest == "verb")
    assert choices is not None
    assert listed == list(choices)


def test_every_make_target_and_variable_exists() -> None:
    for command in re.findall(r"\bmake ([a-z][\w-]*)", "\n".join([*blocks("sh"), README])):
        assert re.search(rf"^[\w -]*\b{command}\b[\w -]*:", MAKEFILES, re.MULTILINE), command
    for variable in re.findall(r"\b([A-Z_]{3,})=", "\n".join(blocks("sh"))):
        assert f"$({variable})" in MAKEFILES, variable


def test_every_column_is_described() -> None:
    for column in COLUMNS:
        assert re.search(rf"\b{column.name}\b", README), column.name
    assert "`data/alps/split=train/part-00000-of-00001.parquet`" in README


def test_pictures_exist() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path
