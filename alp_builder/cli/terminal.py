"""Tables, bars and sparklines of block characters, for any terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
WIDEST = 120
"""Columns of text beyond which lines are no longer read with ease."""


def width() -> int:
    """Columns of the terminal, at most `WIDEST`; 100 where there is none."""
    return min(shutil.get_terminal_size((100, 24)).columns, WIDEST)


def sparkline(counts: Sequence[int]) -> str:
    """Counts as one character each, the largest full.

    >>> sparkline([0, 1, 2, 4])
    '▁▃▅█'
    """
    top = max(counts, default=0) or 1
    return "".join(_LEVELS[round((len(_LEVELS) - 1) * n / top)] for n in counts)


def bar(part: float, whole: float, length: int) -> str:
    """A bar of at most `length` characters, to an eighth of one; something above nothing shows.

    >>> bar(1, 2, 5), bar(0, 2, 5), bar(1, 1000, 5)
    ('██▌', '', '▏')
    """
    eighths = round(8 * length * part / whole) if whole else 0
    if part > 0:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    return "█" * full + _EIGHTHS[rest]


def shorten(text: str, length: int) -> str:
    """The text, cut to `length` characters with an ellipsis where it is longer."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def table(rows: Sequence[Sequence[str]], align: str, indent: int = 2) -> list[str]:
    """Rows in columns as wide as their widest cell.

    Args:
        rows: Cells; every row as many as `align` has characters.
        align: `<` or `>` for each column.
        indent: Spaces before each line.

    Returns:
        Lines without trailing spaces.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (
            " " * indent
            + "  ".join(f"{c:{a}{w}}" for c, a, w in zip(row, align, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def section(title: str) -> list[str]:
    """A heading with a rule, and the blank line before it."""
    return ["", f"{title} {'─' * max(width() - len(title) - 1, 3)}"]
