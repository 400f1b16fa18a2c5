"""A sweep as a picture: a panel for each knob, IoU against its value, a line for each noise profile.

matplotlib is an optional extra (`pip install alp-toolkit[plots]`): whoever only builds ALPs does not need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from alp_builder.audit.sweep import Setting
from alp_builder.errors import UsageError
from alp_builder.files import atomic_file

_COLUMNS = 3


class SweepPlot:
    """Draws sweeps.

    Args:
        figures: The module `matplotlib.figure`.
    """

    def __init__(self, figures: ModuleType) -> None:
        self._figures = figures

    def draw(self, settings: Sequence[Setting], path: Path) -> None:
        """Writes the picture as PNG; it appears whole or not at all."""
        knobs = list(dict.fromkeys(setting.knob for setting in settings))
        rows = -(-len(knobs) // _COLUMNS)
        figure = self._figures.Figure(figsize=(4.2 * _COLUMNS, 2.9 * rows), layout="constrained")
        panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for axes, knob in zip(panels, knobs, strict=False):
            _panel(axes, [setting for setting in settings if setting.knob == knob])
        for axes in panels[len(knobs) :]:
            axes.set_axis_off()
        panels[0].legend(fontsize=7)
        figure.suptitle("Mean IoU over all nouns (0 where not found); dashed: the default")
        with atomic_file(path) as stream:
            figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})


def load() -> SweepPlot:
    """The plotter.

    Raises:
        UsageError: If matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError as error:
        raise UsageError(
            "--plot needs matplotlib: pip install 'alp-toolkit[plots]', or leave --plot out"
        ) from error
    return SweepPlot(matplotlib.figure)


def _panel(axes: Any, settings: Sequence[Setting]) -> None:
    """One knob; values that are words stand in a row."""
    values = list(dict.fromkeys(setting.value for setting in settings))
    numeric = all(isinstance(value, int | float) for value in values)
    place = {value: value if numeric else number for number, value in enumerate(values)}
    for sample in dict.fromkeys(setting.sample for setting in settings):
        mine = [setting for setting in settings if setting.sample == sample]
        label = f"{sample} (simulated)" if mine[0].simulated else f"{sample} (real)"
        axes.plot(
            [place[setting.value] for setting in mine],
            [setting.figures["iou"] for setting in mine],
            marker=".",
            color=None if mine[0].simulated else "black",
            label=label,
        )
    default = next(setting for setting in settings if setting.is_default)
    axes.axvline(place[default.value], color="grey", linestyle="--", linewidth=0.8)
    if not numeric:
        axes.set_xticks(range(len(values)), [str(value) for value in values])
    axes.set_title(settings[0].knob, fontsize=9)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
