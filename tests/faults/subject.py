"""Files to be mutated: what a good one holds, what reads it, and what must be true of what was read.

A test names its subjects and how often each is tried; seeds are fixed, so a count stands for the same cases on any
machine. Reports go into `REPORTS`, which are printed at the end of a test run.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alp_builder.errors import AlpError
from tests.faults.judge import Judge
from tests.faults.mutate import mutated_bytes, mutated_json

REPORTS: list[str] = []
"""A line for each subject that was tried, see `try_often`."""


@dataclass(frozen=True)
class Subject:
    """A kind of file.

    Attributes:
        name: What it is, in the plural.
        path: Where the mutated file is put; what was there is put back at the end.
        use: Reads it as a user's command would; called without arguments.
        good: The bytes of a good one.
        is_json: Whether two of three mutations change the tree rather than the bytes.
        wrong: What is untrue of what `use` returned, nothing if all is well; the bytes are given too.
    """

    name: str
    path: Path
    use: Callable[[], Any]
    good: bytes
    is_json: bool = False
    wrong: Callable[[Any, bytes], str] = lambda result, data: ""

    def put(self, data: bytes) -> None:
        """Puts bytes in the file's place."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(data)

    def mutated(self, rng: random.Random) -> bytes:
        """A mutation of the good bytes."""
        if self.is_json and rng.random() < 0.67:
            return mutated_json(json.loads(self.good), rng)
        return mutated_bytes(self.good, rng)


def try_often(subject: Subject, count: int, keep: Path) -> Judge:
    """Mutates, reads and judges a subject's file `count` times; returns the judge with its counts."""
    subject.put(subject.good)
    result = subject.use()
    assert not subject.wrong(result, subject.good), "the good file is refused"
    judge = Judge(subject.name, keep)
    rng = random.Random(subject.name)
    for number in range(count):
        data = subject.mutated(rng)
        subject.put(data)
        result = judge(subject.use, data, f"{number}{subject.path.suffix}")
        if not isinstance(result, AlpError) and (what := subject.wrong(result, data)):
            judge.fail(data, f"{number}{subject.path.suffix}", f"a wrong result: {what}")
    subject.put(subject.good)
    assert sum(judge.counts.values()) == count
    REPORTS.append(judge.report())
    return judge
