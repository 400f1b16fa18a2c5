"""Classes under other names: the test of an open vocabulary.

A model that knows classes by their text should find "car" where it has learned "automobile". A names file is
a JSON object, class to the name to look for in its place: `{"automobile": "car"}`; a class that is not in
it keeps its own. What is found counts for the class, so metrics under both names can stand side by side.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from alp_builder.errors import BadDataError, UsageError


def read_names(path: str | Path, classes: Sequence[str]) -> list[str]:
    """What to look for in place of each class.

    Args:
        path: Names file.
        classes: Names of the classes.

    Returns:
        A name for each class, in their order.

    Raises:
        UsageError: If there is no such file, it speaks of another class, or two classes get one name.
        BadDataError: If it is not a JSON object of names.
    """
    try:
        given = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, str])
    except OSError as error:
        raise UsageError(
            f"{path}: no names file ({error.strerror}); expected a JSON object, class to other name"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadDataError(
            f"{path}: expected a JSON object, class to other name: {error}"
        ) from None
    for name in given:
        if name not in classes:
            close = difflib.get_close_matches(name, classes, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{path}: {name!r} is no class of the split{hint}")
    if empty := [name for name, other in given.items() if not other.strip()]:
        raise BadDataError(f"{path}: the other name of {empty[0]!r} is empty")
    names = [given.get(name, name) for name in classes]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"{path}: {twice[0]!r} is the name of two classes; each needs its own")
    return names
