"""Real traces beside simulated ones, and how both move: `python -m pipelines.narrator_picture`.

Above, three real narratives and three simulated ones, each trace coloured by time over its image; below,
the distributions of speed, of dwell (time with trace in a word's window) and of points per word, the real
ones against each simulated file. Simulated panels and curves say so.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import AlpError, UsageError
from alp_builder.simulate.measure import PART_GAP, motion_stats, read_narratives, trace_of
from alp_builder.simulate.records import Narrative

SHOWN = 3
"""Narratives of each kind."""

REAL_COLOR, SIMULATED_COLORS = "black", ("tab:orange", "tab:blue", "tab:green", "tab:purple")


def word_dwells(narratives: list[Narrative]) -> NDArray[np.float64]:
    """Seconds with trace in the window of each utterance that has a point, `(words,)`."""
    dwells = []
    for narrative in narratives:
        t = trace_of(narrative)[0][:, 2]
        edges = [u.start_time for u in narrative.timed_caption]
        for a, b in zip(edges, [*edges[1:], np.inf], strict=True):
            gaps = np.diff(t[np.searchsorted(t, a) : np.searchsorted(t, b)])
            if len(gaps):
                dwells.append(float(gaps[gaps <= PART_GAP].sum()))
    return np.array(dwells)


def draw_trace(axes: Any, narrative: Narrative, images: Path | None, title: str) -> None:
    """One narrative's trace over its image."""
    from matplotlib import image as pictures

    found = sorted(images.glob(f"**/*{narrative.image_id}.jpg")) if images else []
    if found:
        axes.imshow(pictures.imread(found[0]), extent=(0, 1, 1, 0), aspect="auto", alpha=0.6)
    start = narrative.traces[0][0].t if narrative.traces else 0.0
    end = narrative.traces[-1][-1].t if narrative.traces else 1.0
    for segment in narrative.traces:
        x, y, t = (np.array([getattr(p, name) for p in segment]) for name in "xyt")
        axes.plot(x, y, color="white", linewidth=1.6, alpha=0.7)
        axes.scatter(x, y, c=t, s=3, cmap="turbo", vmin=start, vmax=end)
    axes.set(xlim=(-0.08, 1.08), ylim=(1.08, -0.08), xticks=[], yticks=[])
    axes.set_title("\n".join([title, *textwrap.wrap(narrative.caption, 58)[:3]]), fontsize=7)


def curve(axes: Any, values: NDArray[np.float64], edges: NDArray[np.float64], **style: Any) -> None:
    """A distribution as steps whose heights are shares."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    axes.stairs(counts / max(counts.sum(), 1), edges, **style)


def draw(
    real: Path, frames: Path | None, simulated: list[tuple[str, Path, Path]], out: Path
) -> None:
    """Draw the picture.

    Args:
        real: Real narratives in the published schema.
        frames: Folder of their images.
        simulated: Name, narratives and image folder of each simulated file.
        out: Picture file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, SHOWN, figsize=(4.2 * SHOWN, 11), layout="constrained")
    files = [("real", list(read_narratives(real)), frames)]
    files += [(name, list(read_narratives(path)), folder) for name, path, folder in simulated]
    for index, (name, narratives, folder) in enumerate(files[:2]):
        longest = sorted(narratives, key=lambda n: -sum(map(len, n.traces)))
        spread = longest[:: max(1, len(longest) // (2 * SHOWN))] if index else longest
        kind = f"SIMULATED, profile {name}" if index else f"REAL, {real.stem}"
        for panel, narrative in zip(axes[index], spread, strict=False):
            draw_trace(panel, narrative, folder, kind)
    scales = (
        ("speed, image sides / s", np.geomspace(0.01, 8, 40)),
        ("dwell in a word's window, s", np.geomspace(0.02, 20, 30)),
        ("points per word", np.concatenate([[0], np.geomspace(1, 300, 25)])),
    )
    for index, (name, narratives, _) in enumerate(files):
        color = SIMULATED_COLORS[index - 1] if index else REAL_COLOR
        motion = motion_stats(narratives)
        measured = (motion.speed, word_dwells(narratives), motion.points_per_word)
        for panel, values, (label, edges) in zip(axes[2], measured, scales, strict=True):
            legend = f"{name}{' (simulated)' if index else ''}: median {np.median(values):.2f}"
            curve(panel, values, edges, color=color, linewidth=2 - 0.5 * bool(index), label=legend)
            panel.set(xscale="symlog" if edges[0] == 0 else "log", xlabel=label, ylabel="share")
    for panel in axes[2]:
        panel.legend(fontsize=7)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def main(argv: list[str] | None = None) -> int:
    """Draw the picture from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--real", type=Path, required=True, help="real narratives (.jsonl)")
    parser.add_argument("--frames", type=Path, help="folder of their images")
    parser.add_argument("--simulated", nargs=3, action="append", required=True,
                        metavar=("NAME", "NARRATIVES", "IMAGES"))  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="picture (.png)")
    args = parser.parse_args(argv)
    simulated = [(name, Path(path), Path(folder)) for name, path, folder in args.simulated]
    try:
        for path in (args.real, *(path for _, path, _ in simulated)):
            if not path.is_file():
                raise UsageError(f"{path}: no such narratives file")
        draw(args.real, args.frames, simulated, args.out)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{args.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
