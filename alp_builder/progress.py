"""The progress bar of long work: how much, how fast, how long it will take."""

from __future__ import annotations

from tqdm import tqdm


def progress_bar(
    total: int | None, what: str, unit: str, *, shown: bool = True, done: int = 0
) -> tqdm:
    """A bar on the error stream.

    Args:
        total: Units in all; with it the bar tells the time that is left.
        what: The work in a word.
        unit: The unit; `B` counts bytes and scales them.
        shown: Whether there is a bar at all.
        done: Units an earlier run has done: they count as done, but not for the speed.
    """
    return tqdm(
        total=total,
        initial=done,
        desc=f"{what:>9}",
        unit=unit,
        unit_scale=unit == "B",
        disable=not shown,
        dynamic_ncols=True,
    )
