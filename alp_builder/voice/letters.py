"""Which letters of a word make which of its phones: alignment by expectation-maximisation.

Every letter makes none, one or two phones ("x" makes K S, the "e" of "horse" none), from left to right. With
theta(l -> s) the probability that letter l makes the phones s, a pronunciation's likelihood is the sum over
all ways of cutting it among the letters; EM (Dempster, Laird and Rubin, 1977) raises the likelihood of a whole
dictionary, and the most likely cut of each word then says which letter made what.

Words of equal numbers of letters and phones go through the dynamic program together, as arrays: n words, L
letters, P phones; alpha[i, j] of shape (n,) is the likelihood that the first i letters made the first j phones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alp_builder.arrays import Ints

Floats = npt.NDArray[np.float64]

MOST_PHONES = 2
"""Most phones that one letter makes."""


@dataclass(frozen=True)
class _Group:
    """n words with equally many letters and phones: their rows, letters (n, L) and phones (n, P)."""

    rows: Ints
    letters: Ints
    phones: Ints


class LetterModel:
    """Probabilities of the phones that letters make.

    Args:
        letter_count: How many letters there are; they are numbers below it.
        phone_count: The same for phones.
    """

    def __init__(self, letter_count: int, phone_count: int) -> None:
        self._phones = phone_count
        # Outcomes of a letter: none, each phone, each pair of phones. A pair starts out as unlikely.
        singles = np.full((letter_count, 1 + phone_count), 1 / phone_count)
        pairs = np.full((letter_count, phone_count**2), 0.02 / phone_count**2)
        self._theta = np.concatenate([singles, pairs], axis=1)

    def fit(self, letters: list[list[int]], phones: list[list[int]], rounds: int) -> None:
        """Runs rounds of EM over a dictionary; words that cannot be cut are left out."""
        groups = list(_grouped(letters, phones))
        for _ in range(rounds):
            counts = np.full(self._theta.size, 1e-9)
            for group in groups:
                counts += self._expected(group)
            table = counts.reshape(self._theta.shape)
            self._theta = table / table.sum(axis=1, keepdims=True)

    def cut(self, letters: list[list[int]], phones: list[list[int]]) -> dict[int, list[int]]:
        """The most likely cut of each word.

        Returns:
            For each word that can be cut, by row: how many phones each of its letters makes.
        """
        found: dict[int, list[int]] = {}
        for group in _grouped(letters, phones):
            best, steps = self._forward(group, np.maximum)
            del best
            length, left = group.letters.shape[1], np.full(len(group.rows), group.phones.shape[1])
            counts = np.zeros((len(group.rows), length), np.int64)
            index = np.arange(len(group.rows))
            for i in range(length - 1, -1, -1):
                counts[:, i] = steps[i][left, index]
                left = left - counts[:, i]
            found.update(zip(group.rows.tolist(), counts.tolist(), strict=True))
        return found

    def _emissions(self, group: _Group, i: int) -> list[tuple[int, Ints]]:
        """For letter i: (number of phones, index into theta's flat table (n, P + 1 - number))."""
        base = group.letters[:, i, None] * self._theta.shape[1]
        ones = base + 1 + group.phones
        pairs = base + 1 + self._phones + group.phones[:, :-1] * self._phones + group.phones[:, 1:]
        none = np.broadcast_to(base, (len(base), group.phones.shape[1] + 1))
        return [(0, none), (1, ones), (2, pairs)]

    def _forward(self, group: _Group, combine: np.ufunc) -> tuple[list[Floats], list[Ints]]:
        """Alpha of every letter, (P + 1, n) each, and how many phones the best step onto it made."""
        n, length = group.letters.shape
        size = group.phones.shape[1] + 1
        theta = self._theta.ravel()
        alpha = [np.zeros((size, n))]
        alpha[0][0] = 1.0
        steps: list[Ints] = []
        for i in range(length):
            reached, step = np.zeros((size, n)), np.zeros((size, n), np.int64)
            for number, index in self._emissions(group, i):
                if number >= size:
                    continue
                came = alpha[i][: size - number] * theta[index].T
                target = reached[number:]
                step[number:][came > target] = number
                combine(target, came, out=target)
            alpha.append(reached)
            steps.append(step)
        return alpha, steps

    def _expected(self, group: _Group) -> Floats:
        """Expected counts of theta's outcomes over a group, as a flat table."""
        alpha, _ = self._forward(group, np.add)
        size = group.phones.shape[1] + 1
        theta = self._theta.ravel()
        beta = np.zeros_like(alpha[0])
        beta[-1] = 1 / np.maximum(alpha[-1][-1], 1e-300)
        indices, weights = [], []
        for i in range(group.letters.shape[1] - 1, -1, -1):
            before = np.zeros_like(beta)
            for number, index in self._emissions(group, i):
                if number >= size:
                    continue
                onward = theta[index].T * beta[number:]
                before[: size - number] += onward
                indices.append(index.T.ravel())
                weights.append((alpha[i][: size - number] * onward).ravel())
            beta = before
        flat, counted = np.concatenate(indices), np.concatenate(weights)
        return np.asarray(np.bincount(flat, counted, self._theta.size), np.float64)


def _grouped(letters: list[list[int]], phones: list[list[int]]) -> Iterator[_Group]:
    """Words by their numbers of letters and phones; those with too many phones are left out."""
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, (word, sounds) in enumerate(zip(letters, phones, strict=True)):
        if word and 0 < len(sounds) <= MOST_PHONES * len(word):
            rows[len(word), len(sounds)].append(row)
    for group in rows.values():
        yield _Group(
            np.array(group),
            np.array([letters[row] for row in group]),
            np.array([phones[row] for row in group]),
        )
