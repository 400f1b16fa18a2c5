"""The data cards in the repository describe what `make alps` builds today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alp_builder.cards import check_card
from alp_builder.reader import open_alps
from tests.conftest import ROOT

CARDS = sorted(path.parent for path in (ROOT / "data_cards").glob("*/README.md"))


def test_the_card_of_the_sample_agrees_with_its_shards(simulated_sample: Path) -> None:
    """After a change that is meant, `make cards` writes it again."""
    card = ROOT / "data_cards/simulated-sample"
    assert check_card(open_alps(simulated_sample / "data/alps"), card).differences == []


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.name)
def test_cards_in_the_repository_say_that_they_are_simulated(card: Path) -> None:
    text = (card / "README.md").read_text("utf-8")
    assert re.search("^# Simulated ", text, re.MULTILINE)
    assert "**This data set is simulated**" in text
    assert {path.name for path in card.iterdir()} == {
        "README.md",
        "croissant.json",
        "distributions.png",
        "figures.json",
        "nouns.png",
        "positions.png",
    }
