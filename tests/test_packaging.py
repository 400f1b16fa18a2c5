"""The lock files, the make targets and the wall between builder and torch."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)


def _pins(name: str) -> dict[tuple[str, str], str]:
    text = (ROOT / "requirements" / name).read_text("utf-8")
    return {(package, marker): version for package, version, marker in _PIN.findall(text)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_locks_pin_everything_by_hash_and_name_no_index(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    pins = [line for line in lines if not line.startswith(" ")]
    assert pins
    assert all(_PIN.match(line) for line in pins)
    assert all(
        re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", x) for x in lines if x[0] == " "
    )
    assert not any("://" in line or "-links" in line or "-url" in line for line in lines)


@pytest.mark.parametrize("name", ["test.lock", "train.lock", "docs.lock"])
def test_environments_agree_on_every_version(name: str) -> None:
    builder, other = _pins("alps.lock"), _pins(name)
    assert builder.items() <= other.items()
    for one, two in (("test", "train"), ("test", "docs"), ("train", "docs")):
        left, right = _pins(f"{one}.lock"), _pins(f"{two}.lock")
        assert all(left[key] == right[key] for key in left.keys() & right.keys()), (one, two)


def test_the_lock_of_the_builder_holds_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {_normal(re.split(r"[<>=~!;\[ ]", word)[0]) for word in project["dependencies"]}
    locked = {package for package, _ in _pins("alps.lock")}
    assert declared <= locked
    assert not locked & {"torch", "torchvision", "sal-detectron2"}


def test_make_lists_its_targets() -> None:
    run = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("alps", "test", "lint", "lock", "clean", "docs", "cards"):
        assert re.search(rf"^  {target} +\S", run.stdout, re.MULTILINE)


def test_no_fitting_python_is_one_clear_line(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    run = subprocess.run(
        ["make", "-s", f"VENV={tmp_path}/venv", f"PYTHON={old}", f"{tmp_path}/venv/bin/python"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert run.stderr.splitlines()[0].startswith("error: no Python 3.11 or newer found")
    assert not (tmp_path / "venv").exists()
