r"""What the locks pin, written down and looked up: `make sbom`, `make audit-packages`.

    python -m pipelines.supply sbom --tool .../cyclonedx-py --out build/sbom requirements/alps.lock ...
    python -m pipelines.supply audit --tool .../pip-audit [--service osv] requirements/alps.lock ...

`sbom` writes one CycloneDX file a lock: names, versions and the SHA-256 of every file that may be installed.
`audit` asks a public service for known vulnerabilities of each pinned package. Exit codes: 0 none known, 1 some
are, 2 not known: the service could not be reached, or does not know a package; its silence is no clean bill.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from alp_builder.errors import AlpError, BadDataError, UsageError

_OFFLINE = (
    "ConnectionError",
    "NameResolutionError",
    "Max retries",
    "timed out",
    "ServiceError",
    "ProxyError",
)


_PIN = re.compile(r"^[A-Za-z0-9][\w.-]*==", re.MULTILINE)


class Bom(msgspec.Struct, frozen=True):
    """A bill of materials, as far as it is read."""

    components: list[msgspec.Raw] = []


class Vulnerability(msgspec.Struct, frozen=True):
    """A known one: its `id` and the versions in which it is mended."""

    id: str
    fix_versions: list[str] = []


class Audited(msgspec.Struct, frozen=True):
    """What a service knows of a package; `skip_reason` says why it knows nothing."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str = ""


class AuditReport(msgspec.Struct, frozen=True):
    """pip-audit's report in JSON, as far as it is read."""

    dependencies: list[Audited]


def write_sboms(tool: Path, locks: Sequence[Path], project: Path, out: Path) -> list[Path]:
    """Writes a CycloneDX file for each lock.

    Args:
        tool: The program `cyclonedx-py`.
        locks: Lock files.
        project: `pyproject.toml`, for the name and the licence of what the packages are for.
        out: Folder of the files.

    Returns:
        The files, named `LOCK.cdx.json`.

    Raises:
        BadDataError: If the tool refuses a lock, or leaves a package out.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for lock in locks:
        file = out / f"{lock.stem}.cdx.json"
        words = [
            "requirements",
            "--pyproject",
            str(project),
            "--output-reproducible",
            "--no-validate",
            "--of",
            "JSON",
        ]
        run = _run([str(tool), *words, "-o", str(file), str(lock)])
        if run.returncode:
            raise BadDataError(f"{lock}: no SBOM could be made ({_last_line(run.stderr)})")
        pinned = len(_PIN.findall(lock.read_text("utf-8")))
        listed = len(msgspec.json.decode(file.read_bytes(), type=Bom).components)
        if listed != pinned:
            raise BadDataError(f"{file}: lists {listed} packages, {lock} pins {pinned}")
        files.append(file)
    return files


def audit(tool: Path, locks: Sequence[Path], service: str) -> tuple[list[Audited], int]:
    """Looks the packages of locks up.

    Args:
        tool: The program `pip-audit`.
        locks: Lock files.
        service: `pypi` or `osv`.

    Returns:
        The packages with known vulnerabilities, and how many were looked up.

    Raises:
        UsageError: If the service cannot be reached, or knows nothing of a package.
        BadDataError: If the tool fails otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [
            "--disable-pip",
            "--no-deps",
            "--progress-spinner",
            "off",
            "-f",
            "json",
            "-o",
            str(report),
        ]
        words += [word for lock in locks for word in ("-r", str(lock))]
        run = _run([str(tool), "-s", service, *words])
        if not report.is_file() or not report.stat().st_size:
            if any(word in run.stderr for word in _OFFLINE):
                raise UsageError(
                    f"the service {service} cannot be reached: no package was audited; try it online"
                )
            raise BadDataError(f"pip-audit failed ({_last_line(run.stderr)})")
        found = msgspec.json.decode(report.read_bytes(), type=AuditReport).dependencies
    unknown = [package.name for package in found if package.skip_reason]
    if unknown or not found:
        raise UsageError(
            f"the service {service} knows nothing of {len(unknown)} of {len(found)} packages, such as"
            f" {', '.join(unknown[:3]) or 'none'}: not audited; a mirror may lack what it needs: try it online, or"
            " another SERVICE="
        )
    return [package for package in found if package.vulns], len(found)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    except OSError as error:
        raise UsageError(
            f"{command[0]}: cannot be run ({error.strerror}); `make` installs it"
        ) from error


def _last_line(text: str) -> str:
    return next(
        (line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The commands of the module's text; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.supply", description="SBOM and audit of locks"
    )
    parser.add_argument("what", choices=("sbom", "audit"))
    parser.add_argument("locks", nargs="+", type=Path, help="lock files")
    parser.add_argument("--tool", type=Path, required=True, help="cyclonedx-py, or pip-audit")
    parser.add_argument(
        "--service", choices=("pypi", "osv"), default="pypi", help="who is asked (pypi)"
    )
    parser.add_argument("--project", type=Path, default=Path("pyproject.toml"))
    parser.add_argument("--out", type=Path, default=Path("build/sbom"), help="folder of SBOMs")
    given = parser.parse_args(arguments)
    try:
        if given.what == "sbom":
            files = write_sboms(given.tool, given.locks, given.project, given.out)
            sys.stdout.write("".join(f"{file}\n" for file in files))
            return 0
        vulnerable, total = audit(given.tool, given.locks, given.service)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for package in vulnerable:
        for one in package.vulns:
            mended = ", ".join(one.fix_versions) or "no version yet"
            sys.stdout.write(f"{package.name} {package.version}: {one.id}, mended in {mended}\n")
    sys.stdout.write(f"{total} packages audited, {len(vulnerable)} with known vulnerabilities\n")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
