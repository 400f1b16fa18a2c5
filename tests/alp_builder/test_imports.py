"""The builder knows nothing of torch, and imports point one way only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import alp_builder

_ROOT = Path(alp_builder.__file__).parents[1]
_FOREIGN = {
    "alp_builder": {"torch", "torchvision", "detectron2", "trainer", "pipelines"},
    "trainer": {"spacy", "pipelines"},
}
# The reader raises the errors, so whoever uses it knows them; a page shows predictions beside what is read.
_SHARED = {
    "alp_builder",
    "alp_builder.schema",
    "alp_builder.reader",
    "alp_builder.errors",
    "alp_builder.page",
}
"""What the trainer may know of the builder."""


def test_importing_every_module_loads_no_torch() -> None:
    code = (
        "import pkgutil, importlib, sys, alp_builder\n"
        "names = [m.name for m in pkgutil.walk_packages(alp_builder.__path__, 'alp_builder.')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names), *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, *loaded = done.stdout.split()
    assert int(count) >= 25
    assert not _FOREIGN["alp_builder"] & set(loaded)


def test_a_verb_loads_no_pandas_until_it_needs_it() -> None:
    code = "import sys, alp_builder.cli.main; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("module", ["alp_builder", "alp_builder.reader", "alp_builder.page"])
def test_what_the_trainer_may_know_loads_no_spacy(module: str) -> None:
    code = f"import sys, {module}; print('spacy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _imports(file: Path) -> set[str]:
    """Full names of the modules a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # detectron2's LazyConfig reads configs as files: they can import each other in no other way.
            assert node.level == 0 or "configs" in file.parts, f"{file}: relative import"
            if node.level == 0:
                found.add(node.module or "")
    return found


@pytest.mark.parametrize("package", sorted(_FOREIGN))
def test_imports_point_one_way(package: str) -> None:
    files = sorted((_ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        names = _imports(file)
        assert not {name.split(".")[0] for name in names} & _FOREIGN[package], file
        if package == "trainer":
            assert {name for name in names if name.startswith("alp_builder")} <= _SHARED, file
