"""What a user sees of a training: a bar with ETA and losses by source, and a file of all of them."""

from __future__ import annotations

import json
import sys
from collections import defaultdict, deque
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from trainer.files import whole

WINDOW = 20
"""Steps of one source whose median the bar shows."""


class Progress:
    """A bar on standard error, and `metrics.jsonl` with one line a step.

    A resumed run drops the lines of steps it repeats, so the file always reads as one run.

    Args:
        folder: Where the file goes; None on processes that do not report.
        start: First step.
        total: Steps of the whole training.
    """

    def __init__(self, folder: Path | None, start: int, total: int) -> None:
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._file = None
        quiet = folder is None
        if folder is not None:
            path = folder / "metrics.jsonl"
            _keep_steps_before(path, start)
            self._file = path.open("a", encoding="utf-8")
        self._bar = tqdm(
            initial=start, total=total, unit="step", disable=quiet, file=sys.stderr, mininterval=1.0
        )

    def report(self, step: int, source: str, losses: dict[str, float], rate: float) -> None:
        """One step is done.

        Args:
            step: Counted from 0.
            source: Of its batch.
            losses: By name, with their sum as `loss`.
            rate: Learning rate of the first parameter group.
        """
        self._recent[source].append(losses["loss"])
        if self._file is not None:
            line = {"step": step, "source": source, "lr": rate, **losses}
            self._file.write(json.dumps(line) + "\n")
        medians = {s: sorted(v)[len(v) // 2] for s, v in sorted(self._recent.items())}
        self._bar.set_postfix_str(
            ", ".join(f"{s} {v:.3f}" for s, v in medians.items()) + f", lr {rate:.2g}",
            refresh=False,
        )
        self._bar.update()

    def flush(self) -> None:
        """Write what is buffered."""
        if self._file is not None:
            self._file.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        if self._file is not None:
            self._file.close()


def read_metrics(path: Path) -> list[dict[str, float | str]]:
    """The lines of a `metrics.jsonl`; a last line cut by a kill is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def _keep_steps_before(path: Path, start: int) -> None:
    if not path.is_file():
        return
    kept = [line for line in read_metrics(path) if int(line["step"]) < start]
    with whole(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
