"""English around a category's name: plurals, articles, number words."""

from __future__ import annotations

from functools import cache

IRREGULAR = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "mouse": "mice",
    "knife": "knives",
    "loaf": "loaves",
    "leaf": "leaves",
    "shelf": "shelves",
    "wolf": "wolves",
    "goose": "geese",
    "foot": "feet",
    "tooth": "teeth",
    "tomato": "tomatoes",
    "potato": "potatoes",
    "mango": "mangoes",
    "ox": "oxen",
    "scarf": "scarves",
    "die": "dice",
}
"""Plurals that no rule gives."""

INVARIABLE = frozenset(
    {"sheep", "fish", "blowfish", "jellyfish", "deer", "moose", "bison", "squid", "shrimp"}
    | {"skis", "scissors", "broccoli", "spectacles", "jeans", "grapes", "cherries", "blueberries"}
    | {"glasses", "sunglasses", "goggles", "shorts", "briefs", "chopsticks", "fries", "pancakes"}
    | {"gloves", "socks", "maracas", "luggage"}
)
"""Nouns whose plural is the noun."""

PLURAL_ONLY = frozenset(
    {"skis", "scissors", "spectacles", "jeans", "broccoli", "grapes", "cherries", "blueberries"}
    | {"glasses", "sunglasses", "goggles", "shorts", "briefs", "chopsticks", "fries", "pancakes"}
    | {"gloves", "socks", "maracas", "luggage"}
)
"""Nouns that take no article of their own: plurals, and what is not counted."""

SOUND_OF_A_VOWEL = ("umbr", "uten", "upper", "hour")
SOUND_OF_A_CONSONANT = ("ewe", "euro")
"""How names start whose first letter does not tell the article."""

NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
"""Numbers a speaker counts to."""


@cache
def plural(name: str) -> str:
    """Plural of a category's name; the last word changes.

    Example:
        >>> plural("wine glass"), plural("person"), plural("butterfly"), plural("key")
        ('wine glasses', 'people', 'butterflies', 'keys')
    """
    *front, head = name.split(" ")
    if head in INVARIABLE:
        many = head
    elif head in IRREGULAR:
        many = IRREGULAR[head]
    elif head.endswith(("s", "x", "z", "ch", "sh")):
        many = head + "es"
    elif head.endswith("y") and head[-2:-1] not in "aeiou":
        many = head[:-1] + "ies"
    else:
        many = head + "s"
    return " ".join([*front, many])


@cache
def article(name: str) -> str:
    """Indefinite article of a name, empty where the noun takes none.

    Example:
        >>> article("umbrella"), article("red car"), article("skis")
        ('an', 'a', '')
    """
    if name.split(" ")[-1] in PLURAL_ONLY:
        return ""
    if name.startswith(SOUND_OF_A_CONSONANT):
        return "a"
    return "an" if name[0].lower() in "aeio" or name.startswith(SOUND_OF_A_VOWEL) else "a"
