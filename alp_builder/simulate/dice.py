"""A cheap stream of uniform numbers that depends on named keys only.

Everything simulated draws from `dice(seed, ..., index)`: the same keys give the same numbers
whatever was drawn for other scenes or narratives, in whichever order and process. Philox is a
counter-based generator (Salmon et al., SC 2011): its key is the hash of the names, so there is no
seeding cost to speak of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_BLOCK = 128


def generator(*keys: object) -> np.random.Generator:
    """A numpy generator of these keys; keys are told apart by their text."""
    text = "\x1f".join(map(str, keys)).encode()
    key = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


class Dice:
    """Scalar draws from a generator, a block at a time (a numpy call for each costs 1 us more).

    Args:
        rng: The generator the blocks come from.
    """

    __slots__ = ("_block", "_next", "rng")

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._block: list[float] = []
        self._next = 0

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if self._next == len(self._block):
            self._block = self.rng.random(_BLOCK).tolist()
            self._next = 0
        value = self._block[self._next]
        self._next += 1
        return value

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.uniform()

    def chance(self, rate: float) -> bool:
        """True with probability `rate`."""
        return self.uniform() < rate

    def below(self, count: int) -> int:
        """A whole number in [0, count)."""
        return int(self.uniform() * count)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, all as likely."""
        return options[int(self.uniform() * len(options))]
