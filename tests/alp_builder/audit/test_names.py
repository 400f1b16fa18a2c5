from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.audit.names import SYNONYMS, CategoryNames, read_synonyms
from alp_builder.errors import UsageError

NAMES = {1: "person", 2: "wine glass", 3: "striped mug", 4: "couch", 5: "cup", 6: "mug"}


@pytest.mark.parametrize(
    ("text", "lemma", "category"),
    [
        ("person", "person", 1),
        ("old woman", "woman", 1),
        ("wine glasses", "glass", 2),
        ("glasses", "glass", None),
        ("red striped mugs", "mug", 3),
        ("green mug", "mug", 6),
        ("sofa", "sofa", 4),
        ("cup of coffee", "cup", 5),
        ("sky", "sky", None),
        ("", "", None),
    ],
)
def test_phrases_find_their_category(text: str, lemma: str, category: int | None) -> None:
    assert CategoryNames(NAMES).find(text, lemma) == category


def test_a_synonym_never_takes_a_category_of_that_name() -> None:
    assert "mug" in SYNONYMS["cup"]
    assert CategoryNames({5: "cup"}).find("mug", "mug") == 5
    assert CategoryNames(NAMES).find("mug", "mug") == 6


def test_synonyms_of_a_file_are_added(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.json"
    path.write_text('{"couch": ["settee"]}')
    names = CategoryNames(NAMES, synonyms=read_synonyms(path))
    assert names.find("blue settee", "settee") == 4
    assert names.find("sofa", "sofa") == 4
    path.write_text('["couch"]')
    with pytest.raises(UsageError, match="synonyms"):
        read_synonyms(path)
