"""Builds over and over in one process: memory and file handles stay where they were.

`make soak MINUTES=30` says how long; `make faults` soaks for two minutes. A round builds afresh, is broken off and
goes on, finds all done, reads, validates, and draws a page; every tenth round builds with two workers. The
first rounds fill what is kept on purpose (spaCy's strings, pools of memory) and are not judged.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from alp_builder.build import build
from alp_builder.config import load_config
from alp_builder.inputs import NarrativeSource
from alp_builder.page import PageConfig, PageRequest, write_page
from alp_builder.reader import read_alps
from alp_builder.validation import validate
from tests.alp_builder.conftest import Builder
from tests.alp_builder.faults.running import OPTIONS
from tests.alp_builder.simulated import simulated_records, write_narratives
from tests.faults.subject import REPORTS

MINUTES = float(os.environ.get("SOAK_MINUTES", "2"))
WARM_SHARE = 0.2
"""Share of the rounds that is not judged."""

MOST_MEGABYTES = 16.0
"""Most that the median memory of the last third of the judged rounds may exceed that of the first."""


@dataclass
class Gauge:
    """What a process holds after each round."""

    megabytes: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def read(self) -> None:
        """Takes a reading, after a collection of garbage."""
        gc.collect()
        process = psutil.Process()
        with process.oneshot():
            self.megabytes.append(process.memory_info().rss / 2**20)
            self.handles.append(process.num_fds() if hasattr(process, "num_fds") else 0)
            self.threads.append(process.num_threads())

    def judged(self, values: list[float]) -> tuple[float, float]:
        """Medians of the first and the last third, without the warm-up."""
        kept = values[int(len(values) * WARM_SHARE) :]
        third = max(1, len(kept) // 3)
        return statistics.median(kept[:third]), statistics.median(kept[-third:])


def _round(number: int, folder: Path, inputs: dict[str, Path], build_here: Builder) -> None:
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)

    def stop(name: str) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        build_here(inputs, out, *OPTIONS, checkpoint=stop)
    build_here(inputs, out, *OPTIONS)
    assert build_here(inputs, out, *OPTIONS).already_built
    assert read_alps(out, filters=[("score", ">", 0.5)]).num_rows
    validate(out, progress=False)
    request = PageRequest(alps=out)
    write_page(request, folder / "page.html", PageConfig(sample=20), progress=False)
    if number % 10 == 0:
        shutil.rmtree(out)
        sources = [NarrativeSource(location=str(p), split=s) for s, p in inputs.items()]
        build(sources, out, load_config(None, OPTIONS), 2, False)


@pytest.mark.faults
def test_the_builder_holds_no_more_after_than_before(tmp_path: Path, build_here: Builder) -> None:
    gauge, number = Gauge(), 0
    end = time.monotonic() + 60 * MINUTES
    while time.monotonic() < end or number < 12:
        records = simulated_records(48, seed=number)  # new words and ids in every round
        inputs = {
            "train": write_narratives(tmp_path / "in" / "train.jsonl", records[:36]),
            "val": write_narratives(tmp_path / "in" / "val.jsonl", records[36:]),
        }
        _round(number, tmp_path, inputs, build_here)
        gauge.read()
        number += 1
    before, after = gauge.judged(gauge.megabytes)
    handles, threads = (
        gauge.judged(list(map(float, gauge.handles))),
        gauge.judged(list(map(float, gauge.threads))),
    )
    REPORTS.append(
        f"soak of the builder: {number} rounds in {MINUTES:g} min; memory {before:.0f} to {after:.0f} MB, "
        f"file handles {handles[0]:g} to {handles[1]:g}, threads {threads[0]:g} to {threads[1]:g}"
    )
    assert after - before <= MOST_MEGABYTES, gauge.megabytes
    assert handles[1] <= handles[0], gauge.handles
    assert threads[1] <= threads[0], gauge.threads
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out", "page.html"}
