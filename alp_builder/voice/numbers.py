"""How numbers are said: digits to words."""

from __future__ import annotations

import re
from itertools import pairwise

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_MOST_DIGITS = 9  # longer ones are read out digit by digit, as telephone numbers are
_YEARS = range(1100, 2000)

NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?(st|nd|rd|th|s)?(?![a-z])|\d+")
"""A number as it is typed, lower case: "12", "1,000", "3.5", "2nd", "1990s"."""


def say_number(match: re.Match[str]) -> list[str]:
    """The words of a match of `NUMBER`.

    >>> say_number(NUMBER.match("23rd")), say_number(NUMBER.match("3.5"))
    (['twenty', 'third'], ['three', 'point', 'five'])
    """
    whole, decimals, suffix = match[1], match[2], match[3]
    if whole is None:
        return say_digits(match[0])
    words = _whole(whole)
    if decimals:
        return [*words, "point", *say_digits(decimals)]
    if suffix in ("st", "nd", "rd", "th"):
        words[-1] = _ordinal(words[-1])
    elif suffix == "s":
        words[-1] = words[-1].removesuffix("y") + ("ies" if words[-1].endswith("y") else "s")
    return words


def say_digits(digits: str) -> list[str]:
    """Digits one by one."""
    return [_ONES[int(digit)] for digit in digits]


def _whole(digits: str) -> list[str]:
    plain = digits.replace(",", "")
    if len(plain) > _MOST_DIGITS or (plain.startswith("0") and len(plain) > 1):
        return say_digits(plain)
    number = int(plain)
    if plain == digits and number in _YEARS:  # nineteen ninety, nineteen hundred, nineteen oh five
        century, rest = divmod(number, 100)
        after = ["hundred"] if not rest else ["oh"] * (rest < 10) + _cardinal(rest)
        return _cardinal(century) + after
    return _cardinal(number)


def _cardinal(number: int) -> list[str]:
    if number < len(_ONES):
        return [_ONES[number]]
    if number < 100:
        tens, rest = divmod(number, 10)
        return [_TENS[tens], *([_ONES[rest]] if rest else [])]
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    count, rest = divmod(number, scale)
    return [*_cardinal(count), name, *(_cardinal(rest) if rest else [])]


def _ordinal(word: str) -> str:
    if word in _ORDINALS:
        return _ORDINALS[word]
    return word.removesuffix("y") + ("ieth" if word.endswith("y") else "th")


def clock(text: str) -> list[str] | None:
    """A time of day such as "10:30" as words; None where it is none."""
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2])
    return [*_cardinal(hour), *(["oh"] * (0 < minute < 10)), *(_cardinal(minute) if minute else [])]


assert all(a > b for (a, _), (b, _) in pairwise(_SCALES))  # the largest is tried first
