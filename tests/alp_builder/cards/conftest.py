"""A card of the built data set, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.cards import CardSettings, write_card
from alp_builder.reader import open_alps

CLASSES = ("Apple", "Ball", "Dog", "Mug")


@pytest.fixture(scope="session")
def card(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card of `built`; never written to."""
    pytest.importorskip("matplotlib")
    out = tmp_path_factory.mktemp("cards") / "card"
    settings = CardSettings(name="alps-test", location=str(built), published="2026-11-22")
    write_card(open_alps(built), out, settings, CLASSES)
    return out
