"""From results to rows: means over seeds, 95 % intervals, and whether the paper's claims hold.

The interval of a mean over n seeds is Student's: mean +- t(0.975, n - 1) s / sqrt(n), with the sample's
standard deviation s. It speaks of seeds only (first weights, order, augmentation), for one world and
one test split. One seed has no interval.

A claim "A is above B" **holds** where the interval of A lies wholly above that of B, is **contradicted**
where it lies wholly below, and is **open** where they overlap, or there are none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import msgspec

from alp_builder.errors import UsageError
from pipelines.table.job import Result
from pipelines.table.plan import Row

T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; 1.96 beyond is close enough."""

HOLDS, OPEN, CONTRADICTED = "holds", "open", "contradicted"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure over seeds.

    Attributes:
        mean: Mean of the seeds, percent.
        ci95: 95 % interval of the mean, None with one seed.
        seeds: The figure of each seed.
    """

    mean: float
    ci95: tuple[float, float] | None
    seeds: tuple[float, ...]

    def above(self, other: Estimate) -> str:
        """Whether this figure is above another one: `holds`, `open` or `contradicted`."""
        if self.ci95 is None or other.ci95 is None:
            return OPEN
        if self.ci95[0] > other.ci95[1]:
            return HOLDS
        return CONTRADICTED if self.ci95[1] < other.ci95[0] else OPEN


class RowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a table over its seeds.

    Attributes:
        name: Name of the row.
        model: Of `plan.MODELS`.
        supervision: Of `plan.SUPERVISIONS`.
        ap50_base: Mask AP50 of base classes.
        ap50_novel: Mask AP50 of novel classes.
        seconds: Wall clock of a run, training and evaluation, mean over seeds.
        cpu_seconds: Processor time of a run, mean over seeds.
        peak_memory_mb: Largest resident memory of a run.
        peak_gpu_mb: Largest memory on the GPU, 0 without one.
    """

    name: str
    model: str
    supervision: str
    ap50_base: Estimate
    ap50_novel: Estimate
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    peak_gpu_mb: float


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim of the paper and what the table says of it.

    Attributes:
        text: The claim.
        group: `base` or `novel`.
        higher: Row that is claimed to be higher.
        lower: Row it is compared with.
        difference: Difference of the means, points of AP50.
        verdict: `holds`, `open` or `contradicted`.
    """

    text: str
    group: str
    higher: str
    lower: str
    difference: float
    verdict: str


CLAIMS = (
    ("ALPs help novel classes", "novel", "maskrcnn_alps", "maskrcnn_none"),
    ("ALPs help novel classes", "novel", "fcosmo_alps", "maskrcnn_none"),
    ("ALPs help novel classes", "novel", "fcosmo_alps", "fcosmo_none"),
    ("FCOS-MO uses ALPs better", "novel", "fcosmo_alps", "maskrcnn_alps"),
    ("FCOS-MO uses ALPs better", "base", "fcosmo_alps", "maskrcnn_alps"),
)
"""The paper's claims: text, group of classes, the higher row and the lower one."""


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval of a figure over seeds, rounded to hundredths of a point.

    >>> estimate([10.0, 12.0, 14.0])
    Estimate(mean=12.0, ci95=(7.03, 16.97), seeds=(10.0, 12.0, 14.0))
    """
    if not values:
        raise UsageError("no seed has a result")
    mean, n = statistics.fmean(values), len(values)
    ci95 = None
    if n > 1 and math.isfinite(mean):
        t = T_975[n - 2] if n - 2 < len(T_975) else 1.96
        half = t * statistics.stdev(values) / math.sqrt(n)
        ci95 = (round(mean - half, 2), round(mean + half, 2))
    return Estimate(mean=round(mean, 2), ci95=ci95, seeds=tuple(round(v, 2) for v in values))


def summarise(
    rows: Sequence[Row], seeds: Sequence[int], results: Mapping[str, Result]
) -> list[RowSummary]:
    """Rows over their seeds; a row no seed of which has a result is left out.

    Args:
        rows: Rows.
        seeds: Seeds, in the order of the figures.
        results: Results by job name.
    """
    out = []
    for row in rows:
        found = [results[name] for s in seeds if (name := f"{row.name}/seed{s}") in results]
        if not found:
            continue
        spent = [result.spent for result in found]
        out.append(
            RowSummary(
                name=row.name,
                model=row.model,
                supervision=row.supervision,
                ap50_base=estimate([_known(r.ap50_base) for r in found]),
                ap50_novel=estimate([_known(r.ap50_novel) for r in found]),
                seconds=round(statistics.fmean(s.seconds for s in spent), 1),
                cpu_seconds=round(statistics.fmean(s.cpu_seconds for s in spent), 1),
                peak_memory_mb=max(s.peak_memory_mb for s in spent),
                peak_gpu_mb=max(s.peak_gpu_mb for s in spent),
            )
        )
    return out


def judge(rows: Sequence[RowSummary]) -> list[Claim]:
    """What the table says of the paper's claims, as far as it has their rows."""
    known = {row.name: row for row in rows}
    claims = []
    for text, group, higher, lower in CLAIMS:
        if higher not in known or lower not in known:
            continue
        a, b = (getattr(known[name], f"ap50_{group}") for name in (higher, lower))
        claims.append(
            Claim(
                text=text,
                group=group,
                higher=higher,
                lower=lower,
                difference=round(a.mean - b.mean, 2),
                verdict=a.above(b),
            )
        )
    return claims


def _known(value: float | None) -> float:
    return math.nan if value is None else value
