"""`make bench`: all benchmarks in one go, kept, drawn, and compared with the results kept before.

Runs `bench_alps`, `bench_growth` and `bench_train` (where torch is installed) one after the other and writes

    results/bench.json   figures, the kind of machine, versions, how busy the machine was
    results/bench.md     the same as a page: each ratio, the one before, the change
    results/bench.png    plots: ratios, and how cost grows with narratives, ALPs, classes and workers

Compared are ratios alone: each was measured against a named reference in the same run, so it says something on
another machine too; growth is compared between runs of the same sizes only. A change counts as one beyond
`--tolerance`; with `--check` a change for the worse makes the exit code 1. Figures of wall time mean little on a
busy machine: they are marked, and the load is written beside them.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.files import write_atomic
from pipelines.bench_page import FIGURES, draw, page, ratios_of

PACKAGES = ("alp-toolkit", "numpy", "pyarrow", "spacy", "ray", "torch", "torchvision")

QUICK: dict[str, str] = {
    "bench_alps": "--rounds 3 --count 200 --worker-count 600 --memory-counts 300 1500",
    "bench_growth": "--counts 150 600 --chunks 16 64 256 --worker-count 600",
    "bench_train": "--quick --alps 100000 1000000",
}
"""Sizes of `--quick`: under a quarter of an hour on two idle cores."""

NEEDS = {"bench_train": "torch"}
"""What a benchmark needs besides the builder; without it, it is left out and named."""


class Results(msgspec.Struct, kw_only=True):
    """A run of all benchmarks, as kept.

    Attributes:
        date: Day of the run, UTC.
        quick: Whether it was a quick one.
        machine: Kind of machine: processor, cores, memory, system.
        versions: Of what decides speed.
        load: Processes waiting for a core, over cores, before, and at the end: how busy the machine was.
        seconds: What each benchmark took.
        skipped: Benchmarks left out, and why.
        figures: All figures, by name.
    """

    date: str
    quick: bool
    machine: dict[str, Any]
    versions: dict[str, str]
    load: list[float]
    seconds: dict[str, float]
    skipped: dict[str, str]
    figures: dict[str, Any]


def machine_facts() -> dict[str, Any]:
    """The kind of this machine; nothing that tells which one it is."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Name of the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _load() -> float:
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def run_all(narratives: Path, *, quick: bool, only: list[str]) -> Results:
    """Runs the benchmarks, each in a process of its own.

    Args:
        narratives: Simulated narratives to measure on.
        quick: Whether small sizes do.
        only: Names of the benchmarks wanted.

    Raises:
        subprocess.CalledProcessError: If one fails.
    """
    results = Results(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(), quick=quick,
        machine=machine_facts(), versions=_versions(), load=[_load()],
        seconds={}, skipped={}, figures={},
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in only:
            needed = NEEDS.get(name)
            if needed and importlib.util.find_spec(needed) is None:
                results.skipped[name] = f"{needed} is not installed"
                continue
            target = Path(folder) / f"{name}.json"
            inputs = [] if name == "bench_train" else [str(narratives)]
            command = [sys.executable, "-W", "ignore", "-m", f"pipelines.{name}", *inputs]
            command += ["--json", str(target), *(QUICK[name].split() if quick else [])]
            sys.stdout.write(f"== {name}\n")
            sys.stdout.flush()
            start = time.monotonic()
            subprocess.run(command, check=True)  # noqa: S603  our own modules
            results.seconds[name] = round(time.monotonic() - start, 1)
            results.figures |= msgspec.json.decode(target.read_bytes())
    results.load.append(_load())
    return results


def read_results(path: Path) -> Results | None:
    """Results kept before, if there are any that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except (OSError, msgspec.DecodeError):
        return None


def worse(
    before: dict[str, float], now: dict[str, float], tolerance: float
) -> dict[str, tuple[float, float]]:
    """Ratios that are worse than before by more than a share, with both values."""
    found = {}
    for name, value in now.items():
        old = before.get(name)
        if old is None:
            continue
        change = value / old if FIGURES[name.split(" ")[0]].higher_is_better else old / value
        if change < 1 - tolerance:
            found[name] = (old, value)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Runs all benchmarks and writes what the module's text names.

    Args:
        arguments: Of the command line; default those of this process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("narratives", type=Path, help="simulated narratives to measure on")
    add("--quick", action="store_true", help="small sizes: under 15 minutes on two idle cores")
    add("--only", nargs="+", choices=list(QUICK), default=list(QUICK), help="benchmarks to run")
    add("--out", type=Path, default=Path("results"), help="folder of the results (results)")
    add("--previous", type=Path, help="results to compare with (OUT/bench.json)")
    add("--tolerance", type=float, default=0.25, help="change of a ratio that counts (0.25)")
    add("--check", action="store_true", help="exit with 1 if a ratio is worse by more")
    args = parser.parse_args(arguments)
    previous = read_results(args.previous or args.out / "bench.json")
    results = run_all(args.narratives, quick=args.quick, only=args.only)
    before = ratios_of(previous.figures, growth=previous.quick == args.quick) if previous else {}
    now = ratios_of(results.figures)
    args.out.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = msgspec.to_builtins(results)
    text = page(facts, before, previous.date if previous else None, args.tolerance)
    write_atomic(args.out / "bench.md", text.encode())
    draw(results.figures, now, before, args.out / "bench.png")
    data = msgspec.json.format(msgspec.json.encode(results), indent=1)
    write_atomic(args.out / "bench.json", data + b"\n")
    sys.stdout.write(text)
    behind = worse(before, now, args.tolerance)
    for name, (old, value) in behind.items():
        sys.stdout.write(f"worse: {name}: {old:.3g} before, {value:.3g} now\n")
    return 1 if args.check and behind else 0


if __name__ == "__main__":
    sys.exit(main())
