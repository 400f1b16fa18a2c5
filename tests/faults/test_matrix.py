"""docs/faults.md says what is tested, where and how often; the tests have to agree."""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "faults.md"
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)+)`")


@dataclass(frozen=True)
class Row:
    """A line of the matrix: a test, and what is tried in CI and by `make faults`; `-` for nothing."""

    file: str
    names: tuple[str, ...]
    in_ci: str
    by_faults: str


def rows() -> list[Row]:
    """Lines of the page's tables that name a test."""
    found = []
    for line in _ROW.findall(PAGE.read_text("utf-8")):
        cells = [cell.strip() for cell in line.split("|")]
        if match := _TEST.search(line):
            names = tuple(match[2].split("::")[1:])
            found.append(Row(match[1], names, cells[-2], cells[-1]))
    return found


@cache
def tree_of(file: str) -> ast.Module:
    """The syntax tree of a test file."""
    return ast.parse((ROOT / file).read_text("utf-8"))


def function_of(row: Row) -> ast.FunctionDef | None:
    """The test of a row, if there is one."""
    body: list[ast.stmt] = tree_of(row.file).body
    for name in row.names[:-1]:
        body = next((n.body for n in body if isinstance(n, ast.ClassDef) and n.name == name), [])
    found = (n for n in body if isinstance(n, ast.FunctionDef) and n.name == row.names[-1])
    return next(found, None)


def constants_of(row: Row) -> dict[str, ast.expr]:
    """What the module's names stand for."""
    found = {}
    for node in tree_of(row.file).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return found


def marks_of(row: Row, function: ast.FunctionDef) -> tuple[bool, bool]:
    """Whether a test runs in CI, and by `make faults`."""
    texts = [ast.unparse(d) for d in function.decorator_list]
    for name, value in constants_of(row).items():
        if any(re.search(rf"\b{name}\b", text) for text in texts):
            texts.append(ast.unparse(value))
    if "pytest.mark.faults" in texts:
        return False, True
    return True, any("marks=pytest.mark.faults" in text for text in texts)


def numbers_of(row: Row, function: ast.FunctionDef) -> set[int]:
    """Numbers that stand in a test, in what its module defines, and lengths of what that is."""
    nodes: list[ast.AST] = [function, *constants_of(row).values()]
    walked = (n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Constant))
    found = {
        int(n.value) for n in walked if isinstance(n.value, int) or str(n.value).isdecimal()
    } | {1}
    if "trainer" not in row.file or find_spec("torch"):
        module = importlib.import_module(row.file.removesuffix(".py").replace("/", "."))
        found |= {len(v) for v in vars(module).values() if isinstance(v, list | tuple | dict)}
    for decorator in function.decorator_list:
        lists = (n for n in ast.walk(decorator) if isinstance(n, ast.List | ast.Tuple))
        found |= {len(n.elts) for n in lists}
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.names[-1])
def test_a_row_is_a_test_that_runs_where_it_says_as_often_as_it_says(row: Row) -> None:
    assert (ROOT / row.file).is_file(), f"no file {row.file}"
    function = function_of(row)
    assert function is not None, f"no test {'::'.join(row.names)} in {row.file}"
    assert marks_of(row, function) == (row.in_ci != "-", row.by_faults != "-")
    known = numbers_of(row, function)
    products = known | {a * b for a in known for b in known}
    for number in map(int, re.findall(r"\d+", f"{row.in_ci} {row.by_faults}")):
        assert number in products or not find_spec("torch"), (
            f"{number} stands nowhere in {row.names[-1]}"
        )


def test_the_matrix_is_long_and_names_no_test_twice() -> None:
    found = [(row.file, row.names) for row in rows()]
    assert len(found) == len(set(found)) > 40


def test_every_fault_test_is_in_the_matrix() -> None:
    """A test that only `make faults` runs, and no table speaks of, is forgotten."""
    named = {(row.file, row.names[-1]) for row in rows()}
    folders = ("alp_builder/faults", "alp_builder/record", "trainer/faults", "trainer/engine")
    for folder in (f"tests/{name}" for name in folders):
        for path in sorted(Path(ROOT / folder).glob("test_*.py")):
            file = path.relative_to(ROOT).as_posix()
            for node in ast.walk(tree_of(file)):
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    row = Row(file, (node.name,), "", "")
                    if marks_of(row, node)[1]:
                        assert (file, node.name) in named, f"{file}::{node.name}"
