"""Does training keep its memory and its file handles? A soak of minutes or hours, watched from outside.

    python -m pipelines.soak_train --world data/world --alps data/alps_world --minutes 30 --json soak.json

The real command trains a small model in a process of its own, with loader workers, a checkpoint every
20 steps and an evaluation every 40. Every few seconds its resident memory, that of its workers, and its
open file handles are read. After the time SIGTERM asks it to stop; it must save its state and exit with
the code that says so. The first fifth of the time is warm-up. Of the rest, the first and the last
quarter are compared by their medians:

    growth = median(last quarter) - median(first quarter)

More than 5 % of memory, or more than 2 handles, is a leak. The slope of a line through all samples after
the warm-up is reported too, in MB an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from tqdm import tqdm

from trainer.engine.progress import read_metrics
from trainer.engine.stopping import EXIT_CODE

MEMORY_GROWTH = 0.05
"""Largest growth of resident memory, as a share of it."""

HANDLE_GROWTH = 2
"""Largest growth of the number of open file handles."""

WARM_UP = 0.2
"""Share of the time whose samples do not count."""

CONFIGS = Path(__file__).parents[1] / "trainer" / "configs"
SMALL = (
    "text.name=minilm",
    "train.device=cpu",
    "train.cpu_threads=1",
    "train.loop.max_steps=100000000",
    "train.loop.checkpoint_every=20",
    "train.loop.evaluate_every=40",
    "train.loop.average_decay=0.99",
    "data.test.loader.images.short_side=64",
    "data.test.pictures=1",
    "data.train.num_workers=2",
    "data.train.masks.batch_size=2",
    "data.train.masks.mapper.augment.short_sides=[64]",
    "data.train.alps.batch_size=2",
    "data.train.alps.mapper.augment.short_sides=[64]",
)
"""Steps of a tenth of a second on one core."""

Sample = tuple[float, float, float, float]
"""Seconds since the start, MB of the process, MB of its workers, open handles."""


def soak(command: Sequence[str], seconds: float, every: float) -> tuple[list[Sample], int]:
    """Run a command for a while and watch it.

    Args:
        command: Trains, and stops on SIGTERM.
        seconds: For how long.
        every: Seconds between samples.

    Returns:
        The samples, and the command's exit code.
    """
    process = subprocess.Popen(command)  # noqa: S603 - our own command
    watched, start, samples = psutil.Process(process.pid), time.monotonic(), []
    try:
        with tqdm(total=round(seconds), unit="s", desc="soak", mininterval=10) as bar:
            while (passed := time.monotonic() - start) < seconds and process.poll() is None:
                samples.append((passed, *_look(watched)))
                bar.update(round(passed) - bar.n)
                time.sleep(every)
        process.send_signal(signal.SIGTERM)
        return samples, process.wait(timeout=300)
    finally:
        if process.poll() is None:
            process.kill()


def _look(process: psutil.Process) -> tuple[float, float, float]:
    children = 0
    for child in process.children(recursive=True):
        try:
            children += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return process.memory_info().rss / 1e6, children / 1e6, process.num_fds()


def growth(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """First and last medians, growth and slope (an hour) of memory and handles after the warm-up."""
    values = np.array(samples)
    values = values[values[:, 0] >= WARM_UP * values[-1, 0]]
    quarter = max(1, len(values) // 4)
    found = {}
    for column, name in enumerate(("memory_mb", "workers_mb", "handles"), start=1):
        first = statistics.median(values[:quarter, column].tolist())
        last = statistics.median(values[-quarter:, column].tolist())
        slope = np.polyfit(values[:, 0], values[:, column], 1)[0] * 3600 if len(values) > 1 else 0.0
        found[name] = {
            "first": first,
            "last": last,
            "growth": last - first,
            "per_hour": float(slope),
        }
    return found


def leaks(found: dict[str, dict[str, float]]) -> list[str]:
    """What grew beyond its bound, a line each."""
    lines = []
    for name, value in found.items():
        bound = HANDLE_GROWTH if name == "handles" else MEMORY_GROWTH * value["first"]
        if value["growth"] > bound:
            lines.append(f"{name}: grew by {value['growth']:.1f}, {bound:.1f} allowed")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run the soak; the exit code is 1 if something grew or the training failed."""
    args = _parser().parse_args(arguments)
    os.nice(args.nice)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable, "-W", "ignore", "-m", "trainer.train",
            "--config-file", str(CONFIGS / f"{args.model}_tiny_world.py"),
            *SMALL, f"data.world={args.world}", f"data.alps={args.alps}",
            f"data.cache={folder}/cache", f"train.output_dir={run}", f"text.cache_dir={folder}/text",
        ]  # fmt: skip
        samples, code = soak(command, 60 * args.minutes, args.every)
        steps = len(read_metrics(run / "metrics.jsonl")) if run.is_dir() else 0
        evaluations = len(list(run.glob("evaluation_*/metrics.json")))
    found = growth(samples)
    problems = leaks(found)
    if code != EXIT_CODE:
        problems.append(f"the training ended with code {code}, expected {EXIT_CODE}")
    if not evaluations:
        problems.append("no evaluation was reached: give it more minutes")
    report = {
        "model": args.model, "minutes": args.minutes, "samples": len(samples), "steps": steps,
        "evaluations": evaluations, **found, "problems": problems,
    }  # fmt: skip
    text = json.dumps(report, indent=1)
    print(text)  # noqa: T201 - the command's own output
    if args.json:
        args.json.write_text(text + "\n")
    return int(bool(problems))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.soak_train", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--world", required=True, help="a simulated world")
    parser.add_argument("--alps", required=True, help="its ALPs")
    parser.add_argument("--model", default="fcosmo", choices=["fcosmo", "maskrcnn_alp"])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--nice", type=int, default=10, help="added to the process's niceness")
    parser.add_argument("--json", type=Path, help="write the report here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
