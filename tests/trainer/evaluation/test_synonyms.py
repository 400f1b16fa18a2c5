"""Classes under other names: the names file, and its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.errors import AlpError, BadDataError, UsageError
from trainer.evaluation.synonyms import read_names

CLASSES = ["automobile", "dog", "soccer ball"]


def names_file(folder: Path, text: str) -> Path:
    path = folder / "names.json"
    path.write_text(text)
    return path


def test_names_stand_in_the_order_of_the_classes(tmp_path: Path) -> None:
    path = names_file(tmp_path, '{"soccer ball": "football", "automobile": "car"}')
    assert read_names(path, CLASSES) == ["car", "dog", "football"]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('{"automobil": "car"}', UsageError, "did you mean 'automobile'"),
        ('{"automobile": "dog"}', UsageError, "'dog' is the name of two classes"),
        ('{"automobile": " "}', BadDataError, "is empty"),
        ('{"automobile": 3}', BadDataError, "class to other name"),
        ('["car"]', BadDataError, "class to other name"),
        ("{", BadDataError, "class to other name"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, error: type[AlpError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        read_names(names_file(tmp_path, text), CLASSES)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no names file"):
        read_names(tmp_path / "none.json", CLASSES)
