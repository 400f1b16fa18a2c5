"""Words to text: which characters of a caption each timed utterance stands for.

The caption was typed and the timed words were recognised, so the two differ: in case and punctuation, by
several words under one utterance, by words that only one of them has, now and then by spelling. What they
share is the order of speaking. Alignment has two steps:

1. **Letters.** Lower-cased and reduced to letters and digits, the caption and its utterances end to end
   are the same string in nearly every real narrative. Then every utterance's place is known exactly. This
   runs over all captions of a batch at once, as arrays of code points.
2. **Edit distance** over tokens (Wagner and Fischer, J. ACM 1974), for what the rest does not share at either
   end in whole tokens: equal tokens align at no cost, similar ones at cost 1, and a token that the other side
   lacks costs 1. Tokens that align with none are left out, never shifted onto a neighbour.

Where utterances come out of the order of their times, sorting them by time is tried; an utterance that still
starts before an earlier word did has no trustworthy time and is marked.

Legend: N narratives, U utterances, C characters of all captions end to end. A *place* is a pair of offsets
into one caption, end exclusive, in Unicode code points as Python counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from alp_builder.arrays import (
    Bools,
    Ints,
    group_of,
    offsets_of,
    ranges,
    segment_any,
    segment_reduce,
    sizes_of,
)
from alp_builder.narratives import NarrativeBatch

MIN_TOKEN_SIMILARITY = 0.6
"""Least `difflib` ratio of two tokens that are taken for spellings of one word ("gray", "grey": 0.75)."""

_MAX_SIMILAR_PAIRS = 10_000  # bounds the work a hostile caption can cause
# And its memory: 2,000 words by 2,000. Where more lies between the shared ends, it stays unaligned.
_MAX_TOKEN_PAIRS = 2**22


_Codes: TypeAlias = npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Alignment:
    """Places of a batch's utterances in their captions.

    Attributes:
        char_start: int64 (U,), first character, -1 where the utterance has no place.
        char_end: int64 (U,), one past the last character, -1 where it has no place.
        by_place: int64 (at most U,), the utterances that have a place, by narrative and place.
        out_of_order: bool (U,), the utterance starts before a word that was spoken earlier.
        exact: bool (N,), the first step sufficed.
    """

    char_start: Ints
    char_end: Ints
    by_place: Ints
    out_of_order: Bools
    exact: Bools


@dataclass(frozen=True)
class Letters:
    """Letters and digits of T texts end to end, lower-cased.

    Attributes:
        codes: Unsigned integers (L,), code points.
        position: int64 (L,), offset of each letter in all texts end to end.
        offsets: int64 (T + 1,), the letters of each text.
        text_offsets: int64 (at least T,), where each text starts.
    """

    codes: _Codes
    position: Ints
    offsets: Ints
    text_offsets: Ints

    def take(self, texts: Ints) -> Letters:
        """The letters of some texts, in that order; their positions stay those in all texts."""
        sizes = sizes_of(self.offsets).take(texts)
        index = ranges(self.offsets.take(texts), sizes)
        codes, position = self.codes.take(index), self.position.take(index)
        return Letters(codes, position, offsets_of(sizes), self.text_offsets.take(texts))

    def token_starts(self) -> Bools:
        """Whether a token starts at each letter, (L + 1,); the end of the letters counts too."""
        starts = np.ones(len(self.codes) + 1, np.bool_)
        np.not_equal(self.position[1:] - self.position[:-1], 1, out=starts[1:-1])
        starts[self.offsets] = True
        return starts

    def text(self, first: int, last: int) -> str:
        """The letters `first` to `last`, end exclusive."""
        return "".join(map(chr, self.codes[first:last].tolist()))


def align_utterances(batch: NarrativeBatch) -> Alignment:
    """Finds the characters of the caption that each utterance stands for.

    Args:
        batch: N narratives with U utterances.

    Returns:
        The places. Places never overlap and follow each other in the order of the utterances, or in
        the order of their times where only that order fits the caption.
    """
    captions = _letters_of(batch.captions)
    spoken = _letters(batch.spoken, batch.spoken_offsets)
    offsets = batch.utterance_offsets
    start, end, exact = _align_letters(captions, spoken, offsets)
    rest = ~exact
    for index in np.flatnonzero(rest & _steps_back(batch.utterance_start, offsets)).tolist():
        words = slice(int(offsets[index]), int(offsets[index + 1]))
        places = _align_by_time(
            batch.captions[index], batch.utterances(index), batch.utterance_start[words]
        )
        if places is not None:
            start[words], end[words] = places
            rest[index] = False
    if rest.any():
        _align_inexact(captions, spoken, offsets, np.flatnonzero(rest), start, end)
    by_place, owner = _by_place(start, offsets)
    late = _out_of_order(by_place, owner, batch.utterance_start)
    return Alignment(start, end, by_place, late, exact)


def _align_letters(
    captions: Letters, spoken: Letters, utterance_offsets: Ints
) -> tuple[Ints, Ints, Bools]:
    """First step: equal letters. Returns start (U,), end (U,) and which narratives it settled (N,)."""
    caption_counts, spoken_counts = sizes_of(captions.offsets), sizes_of(spoken.offsets)
    spoken_first = spoken.offsets[utterance_offsets]  # (N + 1,)

    # Compare letter by letter wherever the two sides have equally many letters.
    spoken_sizes = sizes_of(spoken_first)
    same_count = spoken_sizes == caption_counts
    found = captions.codes[same_count.repeat(caption_counts)]
    heard = spoken.codes[same_count.repeat(spoken_sizes)]
    exact = same_count.copy()
    exact[same_count] = ~segment_any(found != heard, offsets_of(caption_counts[same_count]))

    # The k-th spoken letter of a narrative is the k-th letter of its caption.
    sizes = sizes_of(utterance_offsets)
    shift = (captions.offsets[:-1] - spoken_first[:-1]).repeat(sizes)
    placed = np.flatnonzero(exact.repeat(sizes) & (spoken_counts > 0))
    start = np.full(len(spoken_counts), -1, np.int64)
    end = start.copy()
    text = captions.text_offsets[:-1].repeat(sizes).take(placed)
    first = (spoken.offsets[:-1] + shift).take(placed)
    start[placed] = captions.position.take(first) - text
    end[placed] = captions.position.take(first + spoken_counts.take(placed) - 1) + 1 - text
    return start, end, exact


def _letters_of(texts: list[str]) -> Letters:
    """Reduces texts to their letters and digits."""
    return _letters("".join(texts), offsets_of([len(text) for text in texts]))


def _letters(joined: str, text_offsets: Ints) -> Letters:
    """Reduces texts, given end to end, to their letters and digits."""
    lowered = joined.lower()
    if len(lowered) != len(joined):  # a few letters lower to two code points, such as "İ"
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in joined)
    # The one letter whose lower case depends on its neighbours, here perhaps those of another text.
    lowered = lowered.replace("\u03c2", "\u03c3")
    codes: _Codes
    if lowered.isascii():
        data = lowered.encode()
        codes = np.frombuffer(data.translate(None, _ASCII_OTHER), np.uint8)
        is_letter = np.frombuffer(data.translate(_ASCII_LETTER), np.bool_)
    else:
        is_letter = np.fromiter(map(str.isalnum, lowered), np.bool_, len(lowered))
        codes = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), np.uint32)[is_letter]
    position = np.flatnonzero(is_letter)
    counted = np.zeros(len(lowered) + 1, np.int64)  # letters before each character
    is_letter.cumsum(out=counted[1:])
    return Letters(codes, position, counted[text_offsets], text_offsets)


_ASCII_LETTER = bytes(code < 128 and chr(code).isalnum() for code in range(256))
_ASCII_OTHER = bytes(code for code in range(128) if not chr(code).isalnum())


def _steps_back(start: Ints, offsets: Ints) -> Bools:
    """Which narratives have an utterance that starts before the one before it, (N,)."""
    later = np.flatnonzero(start[1:] < start[:-1]) + 1
    later = later[offsets.searchsorted(later) == offsets.searchsorted(later, "right")]
    flags = np.zeros(len(offsets) - 1, np.bool_)
    flags[offsets.searchsorted(later, "right") - 1] = True
    return flags


def _align_by_time(caption: str, utterances: list[str], start: Ints) -> tuple[Ints, Ints] | None:
    """Tries the first step with a narrative's utterances sorted by time.

    Returns:
        Start (U,) and end (U,), or `None` if that does not help.
    """
    order = np.argsort(start, kind="stable")
    by_time = _letters_of([utterances[index] for index in order.tolist()])
    first, last, exact = _align_letters(_letters_of([caption]), by_time, np.array([0, len(order)]))
    if not exact[0]:
        return None
    back = np.argsort(order)
    return first[back], last[back]


def _align_inexact(
    captions: Letters,
    spoken: Letters,
    utterance_offsets: Ints,
    narratives: Ints,
    start: Ints,
    end: Ints,
) -> None:
    """Second step, for the given narratives: writes the places of their utterances to `start` and `end`.

    What both sides share at either end, in whole tokens of both, aligns as it stands, and leaves little of
    most captions; the tokens between align by edit distance.
    """
    sizes = utterance_offsets[narratives + 1] - utterance_offsets[narratives]
    words = ranges(utterance_offsets[narratives], sizes)
    found, heard = captions.take(narratives), spoken.take(words)
    tokens = found.token_starts(), heard.token_starts()
    # Letters a to a_end of each caption against letters b to b_end of its utterances.
    a, a_end = found.offsets[:-1], found.offsets[1:]
    bounds = heard.offsets[offsets_of(sizes)]
    b, b_end = bounds[:-1], bounds[1:]
    # First and last character of what each spoken letter aligns with, in all captions end to end.
    first = np.full(len(heard.codes), _NOWHERE, np.int64)
    last = np.full(len(heard.codes), -1, np.int64)
    most = np.minimum(a_end - a, b_end - b)
    head = _shared(found.codes, heard.codes, tokens, (a, b), most, 1)
    aligned = ranges(b, head)
    first[aligned] = last[aligned] = found.position[ranges(a, head)]
    a, b = a + head, b + head
    tail = _shared(found.codes, heard.codes, tokens, (a_end, b_end), most - head, -1)
    a_end, b_end = a_end - tail, b_end - tail
    aligned = ranges(b_end, tail)
    first[aligned] = last[aligned] = found.position[ranges(a_end, tail)]
    for index in np.flatnonzero((a < a_end) & (b < b_end)).tolist():
        _align_rest(
            found, heard, tokens, slice(a[index], a_end[index]), slice(b[index], b_end[index]),
            first, last,
        )  # fmt: skip
    latest = segment_reduce(np.maximum, last, heard.offsets, -1)
    earliest = segment_reduce(np.minimum, first, heard.offsets, _NOWHERE)
    text = found.text_offsets.repeat(sizes)
    start[words] = np.where(latest < 0, -1, earliest - text)
    end[words] = np.where(latest < 0, -1, latest + 1 - text)


_NOWHERE = np.iinfo(np.int64).max


def _shared(
    left: _Codes,
    right: _Codes,
    tokens: tuple[Bools, Bools],
    begin: tuple[Ints, Ints],
    most: Ints,
    step: int,
) -> Ints:
    """How many letters of whole tokens two sides share, from given places on.

    Args:
        left: Letters of one side.
        right: Letters of the other.
        tokens: Where tokens start, on both sides.
        begin: Where to begin, on both sides, each (K,); a token starts there on both.
        most: How many letters to look at, (K,).
        step: 1 forward; -1 backward, from the letter before.

    Returns:
        int64 (K,), at most `most`.
    """
    a, b = begin
    offsets = offsets_of(most)
    count = np.arange(offsets[-1]) - offsets[:-1].repeat(most)
    # Letter `count` from place a on is at a + count forward, at a - 1 - count backward.
    here, there = ((side + min(step, 0)).repeat(most) + step * count for side in (a, b))
    differs = np.append(np.flatnonzero(left.take(here) != right.take(there)), offsets[-1])
    same = differs.take(differs.searchsorted(offsets[:-1])) - offsets[:-1]
    np.minimum(same, most, out=same)
    # Step back to where a token starts on both sides; one does at no letters shared.
    split = ~(tokens[0][a + step * same] & tokens[1][b + step * same])
    for index in np.flatnonzero(split).tolist():
        one, other, shared = a.item(index), b.item(index), same.item(index)
        while not (tokens[0].item(one + step * shared) and tokens[1].item(other + step * shared)):
            shared -= 1
        same[index] = shared
    return same


def _align_rest(
    found: Letters,
    heard: Letters,
    tokens: tuple[Bools, Bools],
    caption_part: slice,
    spoken_part: slice,
    first: Ints,
    last: Ints,
) -> None:
    """Aligns the tokens of one caption and its utterances that lie between what both share at the ends.

    Args:
        found: Letters of captions.
        heard: Letters of utterances.
        tokens: Where tokens start, on both sides.
        caption_part: The letters of this caption.
        spoken_part: The letters of its utterances.
        first: Written: the first character that each spoken letter aligns with.
        last: Written: the last character.
    """
    written, said = (
        [*(np.flatnonzero(starts[part]) + part.start).tolist(), int(part.stop)]
        for starts, part in zip(tokens, (caption_part, spoken_part), strict=True)
    )
    if (len(written) - 1) * (len(said) - 1) > _MAX_TOKEN_PAIRS:
        return
    for one, other in align_tokens(_texts(found, written), _texts(heard, said)):
        token = slice(said[other], said[other + 1])
        first[token] = found.position[written[one]]
        last[token] = found.position[written[one + 1] - 1]


def _texts(letters: Letters, bounds: list[int]) -> list[str]:
    """The tokens between consecutive bounds."""
    return [letters.text(one, other) for one, other in pairwise(bounds)]


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
    # Less the column's number: an insertion costs 1 a column, so it becomes a running minimum.
    cost = np.zeros((rows + 1, columns + 1), np.int32)
    substitution -= 1
    for row in range(rows):
        step = cost[row + 1]
        np.add(cost[row], 1, out=step)
        np.minimum(step[1:], cost[row, :-1] + substitution[row], out=step[1:])
        np.minimum.accumulate(step, out=step)
    return _trace_back(cost, substitution)


def _trace_back(
    cost: npt.NDArray[np.int32], substitution: npt.NDArray[np.int32]
) -> list[tuple[int, int]]:
    """The pairs of tokens that the cheapest way through the table aligns.

    Args:
        cost: (A + 1, B + 1), each less its column's number.
        substitution: (A, B), less 1.
    """
    pairs = []
    row, column = (size - 1 for size in cost.shape)
    while row and column:
        here = cost.item(row, column)
        pair = substitution.item(row - 1, column - 1)
        if here == cost.item(row - 1, column - 1) + pair:
            row, column = row - 1, column - 1
            if pair < 1:
                pairs.append((row, column))
        elif here == cost.item(row - 1, column) + 1:
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


def _by_place(place: Ints, offsets: Ints) -> tuple[Ints, Ints]:
    """The placed utterances by narrative and place, and their narratives."""
    placed = np.flatnonzero(place >= 0)
    owner = group_of(offsets)[placed]
    keys = (owner << 32) + place[placed]
    if not (keys[1:] > keys[:-1]).all():  # rare: places follow each other as the utterances do
        placed = placed[np.argsort(keys, kind="stable")]  # narratives keep their order
    return placed, owner


def _out_of_order(by_place: Ints, owner: Ints, start: Ints) -> Bools:
    """Marks placed utterances that start before a word placed earlier in the caption did, shape (U,)."""
    flags = np.zeros(len(start), np.bool_)
    begins = start[by_place]
    later = np.flatnonzero(begins[1:] < begins[:-1]) + 1  # or another narrative begins
    later = later[owner[later] == owner[later - 1]]
    # Rare: only narratives with a step back are walked through.
    for narrative in np.unique(owner[later]).tolist():
        words = by_place[owner == narrative]
        latest = np.maximum.accumulate(start[words])
        flags[words] = start[words] < latest
    return flags
