"""How one narrative becomes ALPs, in four panels: `python -m pipelines.method_picture ... --out PNG`.

The whole trace by time; words, phrase windows and pointer speed along the clock; one phrase's points, dwelling
told from travelling; all boxes, with the tight box of that phrase beside. Simulated narratives are called so in
the title.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from matplotlib import image as pictures
from matplotlib.figure import Figure

from alp_builder.config import BuildConfig
from alp_builder.errors import AlpError, UsageError
from alp_builder.extraction import Located, locate_boxes
from alp_builder.files import atomic_file
from alp_builder.narratives import MICROSECONDS, NarrativeBatch
from alp_builder.phrases import PhraseExtractor
from alp_builder.records import NarrativeRecord

COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink")


def draw(record: NarrativeRecord, picture: Path, out: Path) -> None:
    """Draws the four panels of a narrative.

    Args:
        record: The narrative.
        picture: Its image.
        out: PNG to write; it appears whole or not at all.

    Raises:
        UsageError: If no phrase of the narrative has a trace.
    """
    config = BuildConfig()
    batch = NarrativeBatch.from_records([record])
    phrases = list(PhraseExtractor(config.phrases).extract(batch.captions))
    located = locate_boxes(batch, phrases, config)
    if not len(located.boxes.window):
        raise UsageError(f"image {record.image_id!r}: no phrase of its narrative has a trace")
    # The phrase with the most places, and of these the one with the most points, shows most.
    rank = np.lexsort((-located.boxes.num_points, -located.boxes.num_components))
    shown = int(located.boxes.window[rank[0]])
    figure = Figure(figsize=(11, 8.6), layout="constrained")
    axes = figure.subplots(2, 2)
    for panel in (axes[0, 0], axes[1, 0], axes[1, 1]):
        panel.imshow(pictures.imread(picture), extent=(0, 1, 1, 0), aspect="auto", alpha=0.55)
        panel.set(xlim=(-0.05, 1.05), ylim=(1.05, -0.05), xticks=[], yticks=[])
    _trace(axes[0, 0], record)
    _clock(axes[0, 1], record, located, shown)
    _phrase(axes[1, 0], located, shown)
    _boxes(axes[1, 1], located, shown)
    kind = "simulated narrative" if record.dataset_id.startswith("simulated") else "narrative"
    figure.suptitle("\n".join(textwrap.wrap(f"{kind}: {record.caption}", 130)), fontsize=9)
    with atomic_file(out) as stream:
        figure.savefig(stream, format="png", dpi=100, metadata={"Software": None})


def _trace(axes: Any, record: NarrativeRecord) -> None:
    """The whole trace, coloured by time."""
    for segment in record.traces or []:
        x, y, t = (np.array([getattr(point, name) for point in segment]) for name in "xyt")
        axes.plot(x, y, color="white", linewidth=1.5, alpha=0.7)
        last = axes.scatter(x, y, c=t, s=4, cmap="turbo", vmin=0, vmax=_end(record))
    axes.figure.colorbar(last, ax=axes, label="s")
    axes.set_title("1. The trace, by time", fontsize=10)


def _clock(axes: Any, record: NarrativeRecord, located: Located, shown: int) -> None:
    """Words and phrase windows along the clock, and how fast the pointer is."""
    for number, word in enumerate(record.timed_caption or []):
        axes.plot([word.start_time, word.end_time], [-0.1 - 0.08 * (number % 2)] * 2, color="grey")
    windows, phrases = located.windows, located.table.phrases
    for number, phrase in enumerate(phrases):
        start, end = windows.start[number] / MICROSECONDS, windows.end[number] / MICROSECONDS
        color = COLORS[number % len(COLORS)]
        axes.axvspan(start, end, color=color, alpha=0.55 if number == shown else 0.2, linewidth=0)
        axes.text(start, 2.42, phrase.text, rotation=90, fontsize=7, va="top")
    for segment in record.traces or []:
        x, y, t = (np.array([getattr(point, name) for point in segment]) for name in "xyt")
        steps = np.maximum(np.diff(t), 1e-6)
        axes.plot(t[1:], np.hypot(np.diff(x), np.diff(y)) / steps, color="black", linewidth=0.7)
    axes.set(xlim=(0, _end(record)), ylim=(-0.3, 2.5), xlabel="s")
    axes.set_ylabel("pointer speed, image sides / s")
    axes.set_title("2. Words (grey), phrase windows, pointer speed", fontsize=10)


def _phrase(axes: Any, located: Located, shown: int) -> None:
    """The points of one window: dwelling and travelling."""
    points = located.points
    inside = slice(points.offsets[shown], points.offsets[shown + 1])
    x, y, slow = points.x[inside], points.y[inside], points.slow[inside]
    axes.plot(x, y, color="grey", linewidth=0.8)
    axes.scatter(x[~slow], y[~slow], s=14, color="black", marker="x", label="travels")
    axes.scatter(x[slow], y[slow], s=14, color="tab:red", label="dwells")
    axes.legend(loc="lower right", fontsize=8)
    text = located.table.phrases[shown].text
    axes.set_title(f"3. The window of '{text}'", fontsize=10)


def _boxes(axes: Any, located: Located, shown: int) -> None:
    """All boxes, and the tight box of the phrase of the third panel."""
    boxes = located.boxes
    for number, window in enumerate(boxes.window.tolist()):
        color = COLORS[window % len(COLORS)]
        _rectangle(axes, boxes.xyxy[number], color, "-")
        x0, y0 = boxes.xyxy[number][:2]
        axes.text(x0, y0, located.table.phrases[window].text, fontsize=7, color="white",
                  backgroundcolor=color, va="bottom")  # fmt: skip
        if window == shown and boxes.rank[number] == 0:
            _rectangle(axes, boxes.tight[number], "black", "--")
    axes.set_title("4. ALPs; dashed: the tight box of that window", fontsize=10)


def _rectangle(axes: Any, box: Any, color: str, style: str) -> None:
    x0, y0, x1, y1 = box
    axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=color, linestyle=style)


def _end(record: NarrativeRecord) -> float:
    times = [point.t for part in record.traces or [] for point in part]
    return max([*times, *(word.end_time for word in record.timed_caption or []), 1.0])


def main(argv: list[str] | None = None) -> int:
    """Draws the picture from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("narratives", type=Path, help="narratives in the published schema (.jsonl)")
    parser.add_argument("images", type=Path, help="folder of their images")
    parser.add_argument("--index", type=int, default=0, help="which narrative (0)")
    parser.add_argument("--out", type=Path, required=True, help="picture (.png)")
    args = parser.parse_args(argv)
    try:
        with args.narratives.open("rb") as lines:
            line = next(islice(lines, args.index, None), None)
        if line is None:
            raise UsageError(f"{args.narratives}: fewer than {args.index + 1} narratives")
        record = msgspec.json.decode(line, type=NarrativeRecord)
        ends = (f"/{record.image_id}", f"/{record.image_id:0>9}")
        files = sorted(args.images.rglob("*.jpg"))
        found = [path for path in files if path.with_suffix("").as_posix().endswith(ends)]
        if not found:
            raise UsageError(f"{args.images}: no image {record.image_id!r}")
        draw(record, found[0], args.out)
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{args.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
