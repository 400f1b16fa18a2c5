"""Stands in for a training: reports steps, remembers how far it came, leaves a result.

python fake_job.py FOLDER [--stop-after N | --fail]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from pipelines.table.job import Result, Spent
from pipelines.table.plan import Job

AP50 = {"none": (40.0, 1.0), "alps": (38.0, 20.0), "boxes": (41.0, 35.0)}


def main() -> int:
    folder, flags = Path(sys.argv[1]), sys.argv[2:]
    job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
    starts = folder / "starts.txt"
    file = folder / "metrics.jsonl"
    done = len(file.read_text().splitlines()) if file.exists() else 0
    with starts.open("a") as log:
        log.write(f"{done}\n")
    if "--fail" in flags:
        sys.stderr.write("error: the disk is full\n")
        return 1
    stop = int(flags[1]) if flags[:1] == ["--stop-after"] else job.steps
    with file.open("a") as metrics:
        for step in range(done, min(stop, job.steps)):
            metrics.write(json.dumps({"step": step, "loss": 1.0}) + "\n")
    if stop < job.steps:
        return 143
    base = novel = None
    if job.kind == "train":
        row, _, seed = job.name.partition("/seed")
        base, novel = (value + int(seed) for value in AP50.get(row.split("_")[1], AP50["alps"]))
    spent = Spent(seconds=10.0, cpu_seconds=9.0, peak_memory_mb=500.0)
    result = Result(job=job, ap50_base=base, ap50_novel=novel, spent=spent)
    (folder / "result.json").write_bytes(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
