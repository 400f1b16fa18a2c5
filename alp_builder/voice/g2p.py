"""How a word is spoken that no dictionary has: a joint n-gram of letters and phones.

A pronounced word is a sequence of **units**, each a letter with the phones it makes (`letters`): h:HH u:AH
g:G. A dictionary's units give an n-gram model with interpolated Kneser-Ney smoothing (Kneser and Ney, ICASSP
1995), and a new word is spoken as the most likely sequence of units with its letters, found by beam search: the
joint-sequence model of Bisani and Ney (Speech Communication, 2008) with one letter to a unit.

With h a history of n - 1 units and h' the same without its first,

    P(u | h) = max(c(h u) - D, 0) / c(h) + D t(h) / c(h) * P(u | h')

where c counts occurrences at the highest order and, below it, distinct units to the left; t(h) is how many units
follow h; D = n1 / (n1 + 2 n2) of the order's counts of counts. An n-gram is one int64 of `BITS` bits a unit.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alp_builder.arrays import Ints
from alp_builder.files import atomic_file
from alp_builder.voice.letters import Floats, LetterModel

ORDER = 6
"""Units to an n-gram: as many as fit into an int64."""

BITS = 10
"""Bits to a unit in a packed n-gram: room for 1,024 units; the dictionary gives some 400."""

_ROUNDS = 6  # of EM
_EM_WORDS = 25_000  # that EM looks at: letters and phones are few, and every word more is time
_START, _END = 0, 1  # units of their own, before and after every word
_MASK = (1 << BITS) - 1


@dataclass(frozen=True)
class _Order:
    """The n-grams of one order: sorted keys with probabilities, sorted histories with weights."""

    keys: Ints
    alpha: Floats
    histories: Ints
    gamma: Floats


class Pronouncer:
    """A trained model.

    Args:
        units: The phones of each unit, such as "K S"; by number.
        letters: The letter of each unit; of the two that frame a word, none.
        orders: n-grams from order 1 up.
        beam: Hypotheses kept after each letter.
    """

    def __init__(
        self, units: list[str], letters: list[str], orders: list[_Order], beam: int = 24
    ) -> None:
        self._units, self._letters, self._orders, self._beam = units, letters, orders, beam
        self._of: dict[str, Ints] = {
            letter: np.array([i for i, of in enumerate(letters) if of == letter])
            for letter in set(letters) - {""}
        }

    def __call__(self, word: str) -> str | None:
        """The phones of a word, such as "HH UH D IY"; None where it has no letter or no sound."""
        history = np.array([0])  # packed; the start of a word is unit 0, so it packs to 0
        score = np.zeros(1)
        paths: list[tuple[int, ...]] = [()]
        for letter in [*(char for char in word if char in self._of), ""]:
            units = self._of.get(letter, np.array([_END]))
            total = score[:, None] + np.log(self._probability(history, units))
            best = np.argsort(-total, axis=None, kind="stable")[: self._beam]
            row, column = np.unravel_index(best, total.shape)
            score = total[row, column]
            shifted = (history[row] << BITS | units[column]) & ((1 << BITS * (ORDER - 1)) - 1)
            history = shifted
            paths = [(*paths[r], int(units[c])) for r, c in zip(row, column, strict=True)]
        spoken = " ".join(self._units[unit] for unit in paths[0] if self._units[unit])
        return spoken or None

    def _probability(self, history: Ints, units: Ints) -> Floats:
        """P(unit | history), (histories, units), from the lowest order up."""
        chance = np.full((len(history), len(units)), 1 / len(self._units))
        for n, order in enumerate(self._orders):
            seen = history & ((1 << BITS * n) - 1)
            chance *= _look_up(order.histories, order.gamma, seen, 1.0)[:, None]
            chance += _look_up(order.keys, order.alpha, (seen[:, None] << BITS) | units, 0.0)
        return chance

    def save(self, path: Path) -> None:
        """Writes the model; it appears whole or not at all."""
        arrays = {"units": np.array(self._units), "letters": np.array(self._letters)}
        for n, order in enumerate(self._orders):
            arrays |= {f"keys{n}": order.keys, f"alpha{n}": order.alpha.astype(np.float32)}
            arrays |= {
                f"histories{n}": order.histories,
                f"gamma{n}": order.gamma.astype(np.float32),
            }
        with atomic_file(path) as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Pronouncer | None:
        """Reads a model that `save` wrote; None where there is none, or a broken one."""
        try:
            with np.load(path, allow_pickle=False) as data:
                orders = [
                    _Order(
                        *(data[f"{name}{n}"] for name in ("keys", "alpha", "histories", "gamma"))
                    )
                    for n in range(ORDER)
                ]
                return cls(data["units"].tolist(), data["letters"].tolist(), orders)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def _look_up(keys: Ints, values: Floats, wanted: Ints, missing: float) -> Floats:
    """Values by key, `missing` where a key is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], missing)


def train(entries: Iterable[tuple[str, str]]) -> Pronouncer:
    """Learns from a dictionary.

    Args:
        entries: Words in lower case and their phones, such as ("hug", "HH AH G"); several of one word count
            each. Characters that are not letters should have been left out.

    Returns:
        The model.
    """
    words, sounds = map(
        list, zip(*((word, phones.split()) for word, phones in entries), strict=True)
    )
    letters = {letter: i for i, letter in enumerate(sorted(set("".join(words))))}
    phones = {phone: i for i, phone in enumerate(sorted({p for spoken in sounds for p in spoken}))}
    spelled = [[letters[letter] for letter in word] for word in words]
    spoken = [[phones[phone] for phone in sound] for sound in sounds]
    model = LetterModel(len(letters), len(phones))
    step = -(-len(spelled) // _EM_WORDS)
    model.fit(spelled[::step], spoken[::step], _ROUNDS)
    cuts = model.cut(spelled, spoken)
    counts: dict[tuple[str, str], int] = {}
    sequences: list[list[tuple[str, str]]] = []
    for row, numbers in sorted(cuts.items()):
        position, units = 0, []
        for letter, number in zip(words[row], numbers, strict=True):
            units.append((letter, " ".join(sounds[row][position : position + number])))
            position += number
        sequences.append(units)
        for unit in units:
            counts[unit] = counts.get(unit, 0) + 1
    # The commonest units, as many as the packing can tell apart; a word with another one is left out.
    kept = sorted(counts, key=lambda unit: (-counts[unit], unit))[: (1 << BITS) - 2]
    number_of = {unit: i + 2 for i, unit in enumerate(kept)}
    numbered = [
        [number_of[unit] for unit in units]
        for units in sequences
        if all(unit in number_of for unit in units)
    ]
    names, of = ["", "", *(unit[1] for unit in kept)], ["", "", *(unit[0] for unit in kept)]
    return Pronouncer(names, of, _orders(numbered))


def _orders(sequences: list[list[int]]) -> list[_Order]:
    """The smoothed n-grams of all orders, from 1 up."""
    flat = np.concatenate([[*[_START] * (ORDER - 1), *units, _END] for units in sequences])
    ends = np.cumsum([len(units) + ORDER for units in sequences])
    real = np.ones(len(flat), np.bool_)  # places an n-gram may end at: not in the padding
    for shift in range(ORDER - 1):
        real[np.concatenate([[0], ends[:-1]]) + shift] = False
    packed = np.zeros(len(flat), np.int64)
    for shift in range(ORDER):
        packed[shift:] |= flat[: len(flat) - shift] << (BITS * shift)
    keys, counts = np.unique(packed[real], return_counts=True)
    orders = []
    for n in range(ORDER, 0, -1):
        orders.append(_smoothed(keys, counts.astype(np.float64)))
        keys, counts = np.unique(keys & ((1 << BITS * (n - 1)) - 1), return_counts=True)
    return orders[::-1]


def _smoothed(keys: Ints, counts: Floats) -> _Order:
    """Discounts the counts of one order."""
    ones, twos = (counts == 1).sum(), (counts == 2).sum()
    discount = ones / max(ones + 2 * twos, 1)
    histories, first = np.unique(keys >> BITS, return_index=True)
    sums = np.add.reduceat(counts, first)
    types = np.diff(np.append(first, len(keys)))
    of = np.repeat(np.arange(len(histories)), types)
    return _Order(
        keys, np.maximum(counts - discount, 0) / sums[of], histories, discount * types / sums
    )
