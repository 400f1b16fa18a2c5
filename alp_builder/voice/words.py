"""What of a typed caption is spoken: tokens of the caption, each with the words one hears.

A token is a stretch of the caption without white space, punctuation included. "T-shirt," is heard as "t" and
"shirt", "23rd" as "twenty third", "&" as "and"; a lone dash as nothing. What is not heard is grouped with the
token before it (at the start, after it), so that the tokens end to end are the caption, as in Localized
Narratives. Spoken words consist of the letters a to z and the apostrophe.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from alp_builder.voice.numbers import NUMBER, clock, say_number

_SYMBOLS = {
    "&": ["and"], "%": ["percent"], "+": ["plus"], "=": ["equals"], "@": ["at"], "€": ["euros"],
    "$": ["dollars"], "£": ["pounds"], "°": ["degrees"],
}  # fmt: skip
_CURRENCY = re.compile(r"([$€£])(\d[\d,.]*)")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u00b4`", "'''''")
_PIECE = re.compile(
    rf"(?P<number>{NUMBER.pattern})|(?P<word>[a-z]+(?:'[a-z]+)*)|(?P<symbol>[&%+=@€$£°])"
)


@dataclass(frozen=True)
class Token:
    """A stretch of the caption that gets times of its own.

    Attributes:
        start: First character in the caption.
        end: One past the last.
        spoken: The words heard, at least one.
    """

    start: int
    end: int
    spoken: tuple[str, ...]


def tokens_of(caption: str) -> list[Token]:
    """The tokens of a caption, in order; none where nothing of it can be spoken.

    >>> [(caption[t.start : t.end], t.spoken) for caption in ["A T-shirt - & 2 cups."] for t in tokens_of(caption)]
    [('A', ('a',)), ('T-shirt -', ('t', 'shirt')), ('&', ('and',)), ('2', ('two',)), ('cups.', ('cups',))]
    """
    tokens: list[Token] = []
    waiting: int | None = None  # where something silent at the start of the caption begins
    for match in re.finditer(r"\S+", caption):
        spoken = tuple(spoken_words(match[0]))
        if spoken:
            start = match.start() if waiting is None else waiting
            tokens.append(Token(start, match.end(), spoken))
            waiting = None
        elif tokens:
            tokens[-1] = Token(tokens[-1].start, match.end(), tokens[-1].spoken)
        elif waiting is None:
            waiting = match.start()
    return tokens


def spoken_words(text: str) -> list[str]:
    """The words one hears of a token."""
    plain = _plain(text)
    time = clock(plain.strip(".,;!?()[]\"'"))
    if time is not None:
        return time
    plain = _CURRENCY.sub(r"\2\1", plain)
    words: list[str] = []
    for match in _PIECE.finditer(plain):
        if match["word"]:
            words.append(match["word"])
        elif match["symbol"]:
            words += _SYMBOLS[match["symbol"]]
        else:
            number = NUMBER.match(match["number"])
            assert number is not None  # it is how the piece was found
            words += say_number(number)
    return words


def unspeakable(caption: str) -> int:
    """How many tokens have letters or digits, but none that an English speaker's model knows."""
    return sum(
        any(map(str.isalnum, token)) and not spoken_words(token) for token in caption.split()
    )


def _plain(text: str) -> str:
    """Lower case without accents: "Café" is "cafe"; full-width digits are digits."""
    apart = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).lower()
    return "".join(char for char in apart if not unicodedata.combining(char))
