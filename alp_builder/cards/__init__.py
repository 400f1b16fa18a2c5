"""Data cards: what a data set is, generated from its shards and checked against them.

A card is a folder of four kinds of file. `figures.json` holds every number, gathered from shards and manifest
alone; `README.md` (Hugging Face front matter, headings of the Data Cards Playbook), `croissant.json` and the
pictures are functions of it. So a card agrees with its shards exactly if gathering again gives the same
figures, and the other files are what those figures give.
"""

from alp_builder.cards.card import CheckedCard, check_card, write_card
from alp_builder.cards.figures import CardFigures, CardSettings, gather_figures

__all__ = [
    "CardFigures",
    "CardSettings",
    "CheckedCard",
    "check_card",
    "gather_figures",
    "write_card",
]
