"""Words to text: which characters of a caption each timed utterance stands for.

The caption was typed and the timed words were recognised, so the two differ: in case and punctuation, by
several words under one utterance, by words that only one of them has, now and then by spelling. What they
share is the order of speaking. Alignment has two steps:

1. **Letters.** Lower-cased and reduced to letters and digits, the caption and its utterances end to end
   are the same string in nearly every real narrative. Then every utterance's place is known exactly. This
   runs over all captions of a batch at once, as arrays of code points.
2. **Edit distance** over tokens (Wagner and Fischer, J. ACM 1974), for the rest: equal tokens align at no
   cost, similar ones at cost 1, and a token that the other side lacks costs 1. Tokens that align
   with none are left out, never shifted onto a neighbour.

Where utterances come out of the order of their times, sorting them by time is tried; an utterance that still
starts before an earlier word did has no trustworthy time and is marked.

Legend: N narratives, U utterances, C characters of all captions end to end. A *place* is a pair of offsets
into one caption, end exclusive, in Unicode code points as Python counts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

from alp_builder.arrays import Bools, Ints, group_of, offsets_of, segment_any
from alp_builder.narratives import NarrativeBatch

MIN_TOKEN_SIMILARITY = 0.6
"""Least `difflib` ratio of two tokens that are taken for spellings of one word ("gray", "grey": 0.75)."""

_MAX_SIMILAR_PAIRS = 10_000  # bounds the work a hostile caption can cause
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Alignment:
    """Places of a batch's utterances in their captions.

    Attributes:
        char_start: int64 (U,), first character, -1 where the utterance has no place.
        char_end: int64 (U,), one past the last character, -1 where it has no place.
        out_of_order: bool (U,), the utterance starts before a word that was spoken earlier.
        exact: bool (N,), the first step sufficed.
    """

    char_start: Ints
    char_end: Ints
    out_of_order: Bools
    exact: Bools


def align_utterances(batch: NarrativeBatch) -> Alignment:
    """Finds the characters of the caption that each utterance stands for.

    Args:
        batch: N narratives with U utterances.

    Returns:
        The places. Places never overlap and follow each other in the order of the utterances, or in
        the order of their times where only that order fits the caption.
    """
    start, end, exact = _align_letters(batch.captions, batch.utterances, batch.utterance_offsets)
    offsets = batch.utterance_offsets
    for index in np.flatnonzero(~exact).tolist():
        words = slice(int(offsets[index]), int(offsets[index + 1]))
        places = _align_inexact(
            batch.captions[index], batch.utterances[words], batch.utterance_start[words]
        )
        start[words], end[words] = places[:, 0], places[:, 1]
    return Alignment(start, end, _out_of_order(start, batch.utterance_start, offsets), exact)


def _align_letters(
    captions: list[str], utterances: list[str], utterance_offsets: Ints
) -> tuple[Ints, Ints, Bools]:
    """First step: equal letters. Returns start (U,), end (U,) and which narratives it settled (N,)."""
    caption_letters, caption_place, caption_counts = _letters(captions)
    spoken_letters, _, spoken_counts = _letters(utterances)
    letter_offsets = offsets_of(caption_counts)
    spoken_offsets = offsets_of(spoken_counts)
    spoken_by_narrative = np.diff(spoken_offsets[utterance_offsets])

    # Compare letter by letter wherever the two sides have equally many letters.
    same_count = spoken_by_narrative == caption_counts
    narrative = group_of(letter_offsets)
    compared = same_count[narrative]
    shift = spoken_offsets[utterance_offsets[:-1]] - letter_offsets[:-1]
    partner = np.flatnonzero(compared) + shift[narrative[compared]]
    differs = np.zeros(len(caption_letters), np.bool_)
    differs[compared] = caption_letters[compared] != spoken_letters[partner]
    exact = same_count & ~segment_any(differs, letter_offsets)

    # The k-th spoken letter of a narrative is the k-th letter of its caption.
    owner = group_of(utterance_offsets)
    first = spoken_offsets[:-1] - shift[owner]
    placed = exact[owner] & (spoken_counts > 0)
    start = np.full(len(utterances), -1, np.int64)
    end = start.copy()
    start[placed] = caption_place[first[placed]]
    end[placed] = caption_place[first[placed] + spoken_counts[placed] - 1] + 1
    return start, end, exact


def _letters(texts: list[str]) -> tuple[npt.NDArray[np.unsignedinteger], Ints, Ints]:
    """Letters and digits of texts, lower-cased.

    Returns:
        Code points, shape (L,); each one's offset in its own text, shape (L,); letters to a text, (T,).
    """
    joined = "".join(texts)
    lowered = joined.lower()
    if len(lowered) != len(joined):  # a few letters lower to two code points, such as "İ"
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in joined)
    if lowered.isascii():
        codes = np.frombuffer(lowered.encode(), np.uint8)
        keep = _ASCII_LETTER[codes]
    else:
        codes = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), np.uint32)
        keep = _ASCII_LETTER[np.minimum(codes, 127)]
        for foreign in np.flatnonzero(codes > 127).tolist():
            keep[foreign] = lowered[foreign].isalnum()
    offsets = offsets_of(np.fromiter(map(len, texts), np.int64, len(texts)))
    position = np.flatnonzero(keep)
    counts = np.diff(np.searchsorted(position, offsets))
    return codes[position], position - np.repeat(offsets[:-1], counts), counts


_ASCII_LETTER = np.array([chr(code).isalnum() for code in range(128)])


def _align_inexact(caption: str, utterances: list[str], start: Ints) -> Ints:
    """Second step for one narrative. Returns places, shape (U, 2), -1 where there is none."""
    order = np.argsort(start, kind="stable")
    if (np.diff(order) < 0).any():
        by_time = [utterances[index] for index in order.tolist()]
        first, last, exact = _align_letters([caption], by_time, np.array([0, len(by_time)]))
        if exact[0]:
            places = np.empty((len(order), 2), np.int64)
            places[order] = np.stack([first, last], 1)
            return places
    places = np.full((len(utterances), 2), -1, np.int64)
    found = [(match[0], *match.span()) for match in _TOKEN.finditer(caption)]
    spoken = [
        (token, index) for index, text in enumerate(utterances) for token in _TOKEN.findall(text)
    ]
    pairs = align_tokens([token.lower() for token, *_ in found], [t.lower() for t, _ in spoken])
    for caption_token, spoken_token in pairs:
        _, first_char, last_char = found[caption_token]
        place = places[spoken[spoken_token][1]]
        place[0] = first_char if place[0] < 0 else place[0]
        place[1] = last_char
    return places


def align_tokens(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    """Pairs up the tokens of two sequences by edit distance.

    Args:
        left: A tokens.
        right: B tokens.

    Returns:
        Index pairs of aligned tokens, both indices increasing. Work is O(A B) in array operations.
    """
    # What the sequences share at either end aligns as it stands; that leaves little in most captions.
    shorter = min(len(left), len(right))
    head = next((i for i in range(shorter) if left[i] != right[i]), shorter)
    rest = shorter - head
    tail = next((i for i in range(rest) if left[-1 - i] != right[-1 - i]), rest)
    middle = _align_middle(left[head : len(left) - tail], right[head : len(right) - tail])
    pairs = [(i, i) for i in range(head)]
    pairs += [(head + i, head + j) for i, j in middle]
    return pairs + [(len(left) - i, len(right) - i) for i in range(tail, 0, -1)]


def _align_middle(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    """Wagner and Fischer's table, a row at a time, and the way back through it."""
    if not left or not right:
        return []
    substitution = _substitution_costs(left, right)
    rows, columns = substitution.shape
    cost = np.empty((rows + 1, columns + 1), np.int32)
    ladder = np.arange(columns + 1, dtype=np.int32)
    cost[0] = ladder
    for row in range(rows):
        step = cost[row] + 1
        np.minimum(step[1:], cost[row, :-1] + substitution[row], out=step[1:])
        # An insertion costs 1 a column: with the ladder taken off it is a running minimum.
        cost[row + 1] = np.minimum.accumulate(step - ladder) + ladder
    pairs = []
    row, column = rows, columns
    while row and column:
        here = cost[row, column]
        if here == cost[row - 1, column - 1] + substitution[row - 1, column - 1]:
            row, column = row - 1, column - 1
            if substitution[row, column] < 2:
                pairs.append((row, column))
        elif here == cost[row - 1, column] + 1:
            row -= 1
        else:
            column -= 1
    return pairs[::-1]


def _substitution_costs(left: list[str], right: list[str]) -> npt.NDArray[np.int32]:
    """Costs (A, B): 0 for equal tokens, 1 for similar ones, 2 (as much as leaving both out) for others.

    Only words that the other side lacks altogether can be misspellings of each other.
    """
    numbers = {token: number for number, token in enumerate(dict.fromkeys(left + right))}
    a = np.array([numbers[token] for token in left], np.int64)
    b = np.array([numbers[token] for token in right], np.int64)
    costs = np.where(a[:, None] == b[None, :], 0, 2).astype(np.int32)
    only_left = sorted(set(left) - set(right))
    only_right = sorted(set(right) - set(left))
    if len(only_left) * len(only_right) > _MAX_SIMILAR_PAIRS:
        return costs
    for one in only_left:
        matcher = SequenceMatcher(b=one, autojunk=False)
        for other in only_right:
            matcher.set_seq1(other)
            if matcher.quick_ratio() >= MIN_TOKEN_SIMILARITY <= matcher.ratio():
                costs[np.ix_(a == numbers[one], b == numbers[other])] = 1
    return costs


def _out_of_order(place: Ints, start: Ints, offsets: Ints) -> Bools:
    """Marks placed utterances that start before a word placed earlier in the caption did, shape (U,)."""
    flags = np.zeros(len(place), np.bool_)
    owner = group_of(offsets)
    placed = np.flatnonzero(place >= 0)
    by_place = placed[np.lexsort((place[placed], owner[placed]))]
    before = (np.diff(start[by_place]) < 0) & (np.diff(owner[by_place]) == 0)
    # Rare: only narratives with a step back are walked through.
    for narrative in np.unique(owner[by_place[1:][before]]).tolist():
        words = by_place[owner[by_place] == narrative]
        latest = np.maximum.accumulate(start[words])
        flags[words] = start[words] < latest
    return flags
