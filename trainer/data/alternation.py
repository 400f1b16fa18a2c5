"""Which source a step trains on, and which images: functions of (seed, step) and of nothing else.

The paper alternates batches of masks and of ALPs. Two rules make runs repeatable and parallel runs
safe:

* The source is a function of the step alone, so all ranks take the same source in the same step,
  and no parameter is unused on one rank only.
* The images of a step are a function of (seed, step). There is no iterator state to save: resuming
  at step s is to start counting at s.

A ratio m : a is spread as evenly as whole steps allow, masks first: step t takes masks where
ceil((t + 1) m / (m + a)) > ceil(t m / (m + a)).

Each source is read in epochs. Epoch e is a permutation drawn from (seed, source, e), cut into
batches; the few images left over sit out that epoch, others the next. Where sizes are known,
landscape and portrait images are not mixed in a batch, which saves padding; the order of batches is
shuffled again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alp_builder.errors import UsageError

Source = Literal["mask", "alp"]
SOURCES: tuple[Source, Source] = ("mask", "alp")


class Alternation:
    """The source of each step.

    Args:
        masks: Mask batches in a period.
        alps: ALP batches in a period. Either may be 0, not both.
        accumulation: Consecutive steps that make one optimizer step, and so share a source.

    Raises:
        UsageError: If a count is negative or both are 0.
    """

    def __init__(self, masks: int = 1, alps: int = 1, accumulation: int = 1) -> None:
        if masks < 0 or alps < 0 or masks + alps == 0 or accumulation < 1:
            raise UsageError(
                f"alternation {masks}:{alps}, accumulation {accumulation}: expected counts of at"
                " least 0, one of them above 0, and an accumulation of at least 1"
            )
        self.masks, self.alps, self.accumulation = masks, alps, accumulation

    def _masks_before(self, group: int) -> int:
        """Mask groups among the first `group` groups of steps: ceil(group * m / P)."""
        return -(-group * self.masks // (self.masks + self.alps))

    def source(self, step: int) -> Source:
        """The source of a step, counted from 0."""
        group = step // self.accumulation
        return "mask" if self._masks_before(group + 1) > self._masks_before(group) else "alp"

    def batch_number(self, step: int) -> int:
        """How many earlier steps had the same source as this one."""
        group, within = divmod(step, self.accumulation)
        masks = self._masks_before(group)
        before = masks if self.source(step) == "mask" else group - masks
        return before * self.accumulation + within


class BatchOrder:
    """The images of each batch of one source.

    Args:
        size: Images there are.
        batch: Images in a batch, of all ranks together.
        seed: Seed of the run.
        source: Source, so that two sources of one run are shuffled differently.
        portrait: Whether each image is higher than wide, bool of shape `(size,)`, or `None` where
            sizes are unknown. With it, as far as numbers allow, a batch holds one kind only.

    Raises:
        UsageError: If there is no image.
    """

    def __init__(
        self,
        size: int,
        batch: int,
        seed: int,
        source: Source,
        portrait: NDArray[np.bool_] | None = None,
    ) -> None:
        if size < 1 or batch < 1:
            raise UsageError(f"{source} source: {size} images in batches of {batch}; need some")
        self.size, self.batch, self.seed, self.source = size, batch, seed, source
        self.portrait = portrait
        self.batches = max(1, size // batch)
        self._epoch = lru_cache(maxsize=2)(self._draw_epoch)

    def __reduce__(self) -> tuple[type[BatchOrder], tuple[object, ...]]:
        return BatchOrder, (self.size, self.batch, self.seed, self.source, self.portrait)

    def indices(self, number: int) -> NDArray[np.int64]:
        """Image indices of a batch, counted from 0 over all epochs, shape `(batch,)`."""
        epoch, within = divmod(number, self.batches)
        return np.asarray(self._epoch(epoch)[within])

    def _draw_epoch(self, epoch: int) -> NDArray[np.int64]:
        """All batches of an epoch, int64 of shape `(batches, batch)`."""
        rng = np.random.default_rng([self.seed, SOURCES.index(self.source), epoch])
        needed = self.batches * self.batch
        # A set smaller than a batch is repeated until it fills one.
        rounds = [rng.permutation(self.size) for _ in range(-(-needed // self.size))]
        order = np.concatenate(rounds)[:needed]
        if self.portrait is not None:
            # Stable sort by kind: within a kind the random order stands, and at most one batch is
            # mixed.
            order = order[np.argsort(self.portrait[order], kind="stable")]
        batches: NDArray[np.int64] = order.reshape(self.batches, self.batch)
        return batches[rng.permutation(self.batches)] if self.portrait is not None else batches
