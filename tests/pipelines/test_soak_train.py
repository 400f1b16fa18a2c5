"""A soak finds growth, and takes no noise for it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pipelines.soak_train import Sample, growth, leaks, soak


def samples(slope: float = 0.0, handles: float = 0.0) -> list[Sample]:
    """Half an hour: memory that rises in the warm-up, then by `slope` MB a minute, and is noisy."""
    rng = np.random.default_rng(0)
    found = []
    for second in range(0, 1800, 5):
        minutes = second / 60
        memory = 900 + 300 * min(1.0, minutes / 5) + slope * minutes + rng.normal(0, 15)
        found.append((float(second), memory, 800.0, 40 + handles * minutes + second % 2))
    return found


def test_a_process_that_settles_does_not_leak() -> None:
    found = growth(samples())
    assert leaks(found) == []
    assert abs(found["memory_mb"]["per_hour"]) < 30


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (samples(slope=5.0), "memory_mb: grew by "),
        (samples(handles=0.5), "handles: grew by 9.0, 2.0 allowed"),
    ],
)
def test_growth_is_told(given: list[Sample], told: str) -> None:
    (line,) = leaks(growth(given))
    assert line.startswith(told)


def test_a_command_is_watched_and_asked_to_stop() -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(75)); time.sleep(60)"
    found, exit_code = soak([sys.executable, "-c", code], seconds=1.5, every=0.3)
    assert exit_code == 75
    assert len(found) >= 2
    assert all(memory > 1 and handles >= 3 for _, memory, _, handles in found)
