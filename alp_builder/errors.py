"""Errors that are the user's to mend: one line each, an exit code, never a traceback."""

from __future__ import annotations

_LONGEST = 2000  # characters of a message: what is longer is a foreign value in it, not words


class AlpError(Exception):
    """Base of the errors a command prints as one line.

    The message says what was found, what was expected and how to mend it. As text it is one line and holds no
    character that a terminal could obey, whatever a library or a file name put into it.

    Attributes:
        exit_code: What the command exits with, 1 for bad data and 2 for bad usage.
    """

    exit_code = 1

    def __str__(self) -> str:
        lines = (line.strip() for line in super().__str__().splitlines())
        text = printable(" ".join(line for line in lines if line))
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


class BadDataError(AlpError):
    """Data that cannot be used: a broken shard, too many bad records, a hash that differs."""

    exit_code = 1


class UsageError(AlpError):
    """A call that cannot be carried out: an unknown key, a missing file, two builds in one folder."""

    exit_code = 2


def printable(text: str) -> str:
    """The text with control characters escaped: captions and file names are untrusted."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
