"""SBOMs and audits with tools that answer as the real ones do; the real ones need an environment of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import supply
from tests.conftest import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def _tool(folder: Path, code: str) -> Path:
    """A program of a few lines in place of a tool; its words are in `words`."""
    path = folder / "tool"
    head = f"#!{sys.executable}\nimport json, sys\nwords = sys.argv[1:]\nout = words[words.index('-o') + 1]\n"
    path.write_text(head + code)
    path.chmod(0o755)
    return path


def _reporting(folder: Path, dependencies: list[dict[str, Any]], code: int = 0) -> Path:
    report = json.dumps({"dependencies": dependencies, "fixes": []})
    return _tool(folder, f"open(out, 'w').write({report!r})\nsys.exit({code})\n")


def _audit(tool: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = supply.main(["audit", "--tool", str(tool), str(LOCKS[0])])
    return code, *capsys.readouterr()


GOOD = {"name": "a", "version": "1", "vulns": []}


def test_none_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _audit(_reporting(tmp_path, [GOOD, GOOD | {"name": "b"}]), capsys)
    assert (code, out) == (0, "2 packages audited, 0 with known vulnerabilities\n")


def test_some_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {
        "name": "b",
        "version": "2",
        "vulns": [{"id": "CVE-1", "fix_versions": ["3"], "aliases": []}],
    }
    code, out, _ = _audit(_reporting(tmp_path, [GOOD, bad], 1), capsys)
    assert code == 1
    assert out.splitlines()[0] == "b 2: CVE-1, mended in 3"


@pytest.mark.parametrize(
    ("dependencies", "words"),
    [
        (
            [GOOD, {"name": "setuptools", "skip_reason": "not found"}],
            "nothing of 1 of 2 packages, such as setuptools",
        ),
        ([], "nothing of 0 of 0 packages"),
    ],
)
def test_silence_is_no_clean_bill(
    dependencies: list[dict[str, Any]],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """pip-audit itself exits with 0 where a mirror does not know a package."""
    code, out, error = _audit(_reporting(tmp_path, dependencies), capsys)
    assert (code, out) == (2, "")
    assert words in error
    assert error.count("\n") == 1


def test_no_network_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "Traceback (most recent call last):\\n  x\\nrequests.ConnectionError: Max retries exceeded\\n"
    tool = _tool(tmp_path, f"sys.stderr.write('{lines}')\nsys.exit(1)\n")
    code, out, error = _audit(tool, capsys)
    assert (code, out) == (2, "")
    assert error == (
        "error: the service pypi cannot be reached: no package was audited; try it online\n"
    )


def test_a_tool_that_fails_or_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = _tool(tmp_path, "sys.stderr.write('bad lock\\n')\nsys.exit(1)\n")
    assert _audit(tool, capsys)[::2] == (1, "error: pip-audit failed (bad lock)\n")
    assert "cannot be run" in _audit(tmp_path / "none", capsys)[2]
    assert (
        supply.main(["sbom", "--tool", str(tool), "--out", str(tmp_path / "out"), str(LOCKS[0])])
        == 1
    )
    assert "no SBOM could be made (bad lock)" in capsys.readouterr().err


def test_an_sbom_for_each_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = "[line for line in open(words[-1]) if line[0].isalnum()]"
    tool = _tool(
        tmp_path,
        f"bom = {{'of': words[-1], 'components': {count}}}\njson.dump(bom, open(out, 'w'))\n",
    )
    words = ["sbom", "--tool", str(tool), "--out", str(tmp_path / "out"), *map(str, LOCKS)]
    assert supply.main(words) == 0
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert names == [f"{lock.stem}.cdx.json" for lock in LOCKS]
    assert json.loads((tmp_path / "out" / names[0]).read_text())["of"] == str(LOCKS[0])


def test_an_sbom_that_leaves_packages_out_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = _tool(tmp_path, "json.dump({'components': []}, open(out, 'w'))\n")
    assert supply.main(["sbom", "--tool", str(tool), "--out", str(tmp_path), str(LOCKS[0])]) == 1
    assert "lists 0 packages" in capsys.readouterr().err


def test_the_tools_are_locked_and_apart() -> None:
    """Hashes of every line are tested in tests/test_packaging.py, for every lock there is."""
    asked = [
        line
        for line in (ROOT / "requirements" / "supply.in").read_text().splitlines()
        if line[:1].isalpha()
    ]
    locked = (ROOT / "requirements" / "supply.lock").read_text()
    assert all(re.search(rf"^{name}==", locked, re.MULTILINE) for name in asked)
    others = [lock for lock in LOCKS if lock.stem != "supply"]
    assert not any(
        re.search(r"^(pip-audit|cyclonedx-bom)==", lock.read_text(), re.MULTILINE)
        for lock in others
    )


def test_the_targets_are_there() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("soak", "sbom", "audit-packages", "faults"):
        assert re.search(rf"^  {target} ", listed, re.MULTILINE)
