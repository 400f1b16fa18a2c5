"""What a narrator says: captions in the manner of Localized Narratives, and what they mean.

A caption is a list of words; a phrase is a run of them that means things of the image or its stuff.
The grammar is that of the published captions: an opening frame ("In this image we can see"),
mentions joined by commas and "and", places ("On the left side there is"), colours before or after
the noun, plurals by number, "few", "group of" or none, things named again ("Beside the car"), and
the background at the end.

Invariant: `caption[phrase.char_start:phrase.char_end]` is the phrase, and its noun lies inside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from alp_builder.simulate.dice import Dice
from alp_builder.simulate.nouns import NUMBERS, article

OPENINGS = (
    "In this image there {is}",
    "In this image I can see",
    "In this image we can see",
    "In the image we can see",
    "In this picture we can see",
    "In this picture there {is}",
    "Here we can see",
    "As we can see in the image there {is}",
    "This is an image in which I can see",
)
"""Frames that open a narrative."""

AGAIN = (
    "There {is}",
    "We can see",
    "I can also see",
    "There {is} even",
    "Here I can see",
    "These are",
)
"""Frames that open a later sentence without a place."""

CLOSINGS = (
    "In the background we can see",
    "In the background there {is}",
    "Behind we can see",
    "I can see",
)
"""Frames before the stuff of the background."""

PLACES = {
    (-1, 0): ("On the left side of the image there {is}", "On the left side we can see"),
    (1, 0): ("On the right side of the image there {is}", "To the right I can see"),
    (0, -1): ("At the top of the image there {is}", "At the top we can see"),
    (0, 1): ("At the bottom of the image there {is}", "In front of the image I can see"),
    (0, 0): ("In the middle of the image there {is}", "In the center we can see"),
}
"""Frames that say a place, by the column and row the thing lies in."""

BESIDE = (
    "Beside the {name} there {is}",
    "Next to the {name} we can see",
    "Near the {name} there {is}",
)
"""Frames that name a thing again before the next."""

REMARKS = (
    "The {name} is on the {side} side of the image.",
    "The {name} is in the {side} of the picture.",
    "I can see the {name} clearly over here.",
    "We can also see some text on the {name}.",
)
"""Sentences that name a thing again."""


class Thing(msgspec.Struct, frozen=True, gc=False):
    """A thing that can be spoken of.

    Attributes:
        annotation_id: Id of the annotation.
        category_id: Id of its category.
        name: Its noun.
        many: The noun's plural.
        color: Word of its colour, empty where it is not known.
        box: Its box, xywh in image sides.
        is_crowd: Whether the annotation is one region round many things.
    """

    annotation_id: int
    category_id: int
    name: str
    many: str
    color: str
    box: tuple[float, float, float, float]
    is_crowd: bool = False


class Phrase(msgspec.Struct):
    """A phrase of a caption and what it means.

    Attributes:
        things: Indices of the things meant; empty for stuff.
        stuff: Which backdrop is meant, counted from the top, -1 for things.
        first: Its first word.
        last: Its last word.
        head_first: First word of its noun.
        is_plural: Whether it means several things.
        is_group: Whether it names them as a group.
    """

    things: list[int]
    stuff: int
    first: int
    last: int
    head_first: int
    is_plural: bool = False
    is_group: bool = False


@dataclass(slots=True)
class Caption:
    """Words of a narrative, its phrases, and which words open a sentence."""

    words: list[str] = field(default_factory=list)
    phrases: list[Phrase] = field(default_factory=list)
    openers: list[int] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add words that mean nothing in the image."""
        self.words += text.split(" ")

    def end(self, mark: str) -> None:
        """Put a punctuation mark after the last word."""
        self.words[-1] += mark

    def mention(self, front: str, noun: str, things: list[int], stuff: int = -1) -> Phrase:
        """Add a phrase.

        Args:
            front: Words before the noun, may be empty.
            noun: The noun, one word or several.
            things: Indices of the things meant.
            stuff: Backdrop meant, -1 for things.
        """
        first = len(self.words)
        if front:
            self.words += front.split(" ")
        head = len(self.words)
        self.words += noun.split(" ")
        phrase = Phrase(things, stuff, first, len(self.words) - 1, head)
        self.phrases.append(phrase)
        return phrase


def compose(things: list[Thing], backdrop: list[str], dice: Dice, max_words: int = 55) -> Caption:
    """Say what is in an image.

    Args:
        things: The things that can be named.
        backdrop: Names of the stuff, from top to bottom; empty where it is not known.
        dice: Where the choices come from.
        max_words: No new mention starts after so many words.

    Returns:
        The caption; without things it speaks of the backdrop alone.
    """
    caption = Caption()
    mentions = _order(things, dice)
    done: list[list[int]] = []
    sentence = 0
    for position, group in enumerate(mentions):
        if len(caption.words) >= max_words - 12 and done:
            break
        if sentence == 0:
            caption.openers.append(len(caption.words))
            _open(caption, things, group, done, dice)
        else:
            last = position == len(mentions) - 1 or sentence >= 2
            caption.end("" if last else ",")
            if last:
                caption.say("and")
        _mention(caption, things, group, dice)
        done.append(group)
        sentence = (sentence + 1) % 3 if dice.chance(0.6) and position < len(mentions) - 1 else 0
        if sentence == 0:
            caption.end(".")
    if caption.words and not caption.words[-1].endswith("."):
        caption.end(".")
    while done and len(caption.words) < 24:
        _remark(caption, things, dice.choice(done), dice)
    _close(caption, backdrop, dice)
    return caption


def _order(things: list[Thing], dice: Dice) -> list[list[int]]:
    """Groups of things in the order they are named: large things tend to come first."""
    by_category: dict[int, list[int]] = {}
    for index, thing in enumerate(things):
        by_category.setdefault(thing.category_id, []).append(index)
    groups: list[list[int]] = []
    for members in by_category.values():
        if 1 < len(members) <= 3 and dice.chance(0.35):
            groups += [[member] for member in members]
        else:
            groups.append(members)
    size = [
        max(things[i].box[2] * things[i].box[3] for i in group) * dice.between(0.3, 1.0)
        for group in groups
    ]
    return [groups[i] for i in sorted(range(len(groups)), key=lambda i: -size[i])]


def _is_plural(things: list[Thing], group: list[int]) -> bool:
    return len(group) > 1 or things[group[0]].is_crowd


def _open(
    caption: Caption, things: list[Thing], group: list[int], done: list[list[int]], dice: Dice
) -> None:
    """Open a sentence: at the start, at a place, beside a thing, or plainly."""
    verb = "are" if _is_plural(things, group) else "is"
    if not caption.words:
        caption.say(dice.choice(OPENINGS).format(**{"is": verb}))
        return
    kind = dice.uniform()
    if kind < 0.25:
        near = [g for g in done if len(g) == 1 and not things[g[0]].is_crowd]
        if near:
            other = dice.choice(near)
            front, back = dice.choice(BESIDE).format(name="\0", **{"is": verb}).split(" \0 ")
            caption.say(front.removesuffix(" the"))
            caption.mention("the", things[other[0]].name, list(other))
            caption.say(back)
            return
    if kind < 0.7 and len(group) == 1:
        x, y, w, h = things[group[0]].box
        cx, cy = x + w / 2, y + h / 2
        column = (cx > 0.62) - (cx < 0.38)
        place = (column, 0 if column else (cy > 0.66) - (cy < 0.34))
        caption.say(dice.choice(PLACES[place]).format(**{"is": verb}))
        return
    caption.say(dice.choice(AGAIN[:-1] if verb == "is" else AGAIN).format(**{"is": verb}))


def _mention(caption: Caption, things: list[Thing], group: list[int], dice: Dice) -> None:
    """Name a group of things."""
    first = things[group[0]]
    colors = {things[i].color for i in group}
    color = colors.pop() if len(colors) == 1 and dice.chance(0.6) else ""
    late = bool(color) and dice.chance(0.4)
    front = color if color and not late else ""
    if not _is_plural(things, group):
        words = f"{front} {first.name}".strip()
        caption.mention(f"{article(words)} {front}".strip(), first.name, group)
        if late:
            caption.say(f"which is in {color} color")
        return
    kind = dice.uniform()
    count = len(group)
    if kind < 0.35 and count in NUMBERS and not first.is_crowd:
        phrase = caption.mention(f"{NUMBERS[count]} {front}".strip(), first.many, group)
    elif kind < 0.55:
        phrase = caption.mention(
            f"{dice.choice(('few', 'some'))} {front}".strip(), first.many, group
        )
    elif kind < 0.8 and (count > 2 or first.is_crowd):
        front = f"{dice.choice(('a group of', 'group of'))} {front}".strip()
        phrase = caption.mention(front, first.many, group)
        phrase.is_group = True
    else:
        phrase = caption.mention(front, first.many, group)
    phrase.is_plural = True
    if late:
        caption.say(f"which are in {color} color")


def _remark(caption: Caption, things: list[Thing], group: list[int], dice: Dice) -> None:
    """Name one of the things again."""
    index = dice.choice(group)
    thing = things[index]
    side = "left" if thing.box[0] + thing.box[2] / 2 < 0.5 else "right"
    front, back = dice.choice(REMARKS).format(name="\0", side=side).split("\0")
    caption.openers.append(len(caption.words))
    before = front.strip().removesuffix("the").removesuffix("The").strip()
    if before:
        caption.say(before)
    if len(group) == 1 and not thing.is_crowd:
        caption.mention("the" if before else "The", thing.name, [index])
    else:
        caption.mention("one of the" if before else "One of the", thing.many, [index])
    if back.strip() == ".":
        caption.end(".")
    else:
        caption.say(back.strip())


def _close(caption: Caption, backdrop: list[str], dice: Dice) -> None:
    """Speak of the background."""
    caption.openers.append(len(caption.words))
    if not backdrop:
        phrase = caption.mention("The", "background", [], 0)
        phrase.head_first = phrase.last
        caption.say(dice.choice(("is blurred.", "is dark.", "of the image is not clear.")))
        return
    caption.say(dice.choice(CLOSINGS).format(**{"is": "is"}))
    for index, name in enumerate(backdrop):
        if index:
            caption.say("and")
        caption.mention(dice.choice(("", "the", "some")), name, [], index)
    caption.end(".")
