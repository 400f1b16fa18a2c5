"""One share of a build's map: for those who have many machines and no more than SLURM or xargs.

N processes are started with the same inputs, choices and folder, on a file system that all of them see, each
with a number of its own from 0 to N - 1. Process I does the chunks whose number leaves I when divided by N.
An ordinary build into the folder, when all have ended, finds their work, does what is missing, merges and
publishes: the bytes are those of one build alone.

- **Plan once.** The first process hashes and cuts the inputs and writes the plan; the others wait for it and
  take it over, if sizes and times of the inputs, choices and versions are theirs. The ordinary build at the
  end hashes again.
- **At once.** Parts hold the folder's lock together; an ordinary build wants it alone. A part that
  would have to throw work away wants it alone too, and so cannot harm parts of another build.
- **Restart.** A part that was killed goes on where it was; run twice, it has nothing to do.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from alp_builder.build import BuildSummary, Site, adopt_work, find_finished, map_chunks, written_to
from alp_builder.config import BuildConfig
from alp_builder.errors import UsageError
from alp_builder.executors import Executor, run_local
from alp_builder.files import exclusive
from alp_builder.inputs import NarrativeSource
from alp_builder.merging import count_narratives
from alp_builder.planning import Plan, check_unchanged, make_plan, still_holds


@dataclass(frozen=True)
class Part:
    """Which share of the chunks.

    Attributes:
        index: Number of the share, from 0.
        count: How many shares there are.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"--num-shards {self.count}: expected 1 or more")
        if not 0 <= self.index < self.count:
            raise UsageError(
                f"--shard-index {self.index}: expected 0 to {self.count - 1}, as --num-shards is {self.count}"
            )


@dataclass
class PartSummary:
    """What one share did.

    Attributes:
        part: Which.
        chunks: Chunks of the share.
        reused_chunks: Those of them that were done before.
        narratives: Narratives read in this run.
        remaining: Chunks of all shares that are not done yet.
        seconds: Time it took.
        already_built: The data set is there: nothing had to be done.
        notes: What the user should know.
    """

    part: Part
    chunks: int = 0
    reused_chunks: int = 0
    narratives: int = 0
    remaining: int = 0
    seconds: float = 0.0
    already_built: bool = False
    notes: list[str] = field(default_factory=list)


def build_part(
    sources: list[NarrativeSource],
    folder: Path | str,
    config: BuildConfig,
    part: Part,
    workers: int = 1,
    progress: bool = True,
    executor: Executor = run_local,
    work: Path | None = None,
) -> PartSummary:
    """Does one share of a build's map.

    Args:
        sources: The inputs of the whole build, the same for all parts.
        folder: Where the data set will go, on a file system all parts see; or a URL.
        config: All choices, the same for all parts.
        part: Which share.
        workers: Processes.
        progress: Whether to show progress bars.
        executor: What runs the chunks.
        work: Folder to work in, where `folder` is a URL; on a file system all parts see.

    Raises:
        UsageError: If a whole build, or parts of another one, are at work there.
        BadDataError: If an input cannot be read.
    """
    started = time.monotonic()
    site = Site.of(folder, work, progress=progress)
    summary = PartSummary(part)
    with written_to(site), ExitStack() as stack:
        agreed = _agree(site, sources, config, progress, stack)
        if isinstance(agreed, BuildSummary):
            summary.already_built = True
        else:
            plan, summary.notes = agreed
            _run(site, plan, summary, config, workers, progress, executor)
    summary.seconds = time.monotonic() - started
    return summary


def _agree(
    site: Site,
    sources: list[NarrativeSource],
    config: BuildConfig,
    progress: bool,
    stack: ExitStack,
) -> tuple[Plan, list[str]] | BuildSummary:
    """The plan of all parts and notes, or what is published already; the folder's lock goes to the stack."""
    place = site.place
    notes: list[str] = []
    with exclusive(place.plan_lock, "planning", wait=True):
        plan = place.read_plan()
        if plan is None or not still_holds(plan, sources, place, config):
            other = f"another build into {site.name}, or parts of one with other inputs or choices,"
            with exclusive(place.lock, other):
                plan = make_plan(sources, place, config, progress)
                done = find_finished(site, plan)
                if done is not None:
                    place.remove()
                    return done
                notes = adopt_work(site, plan)
        stack.enter_context(exclusive(place.lock, f"a build into {site.name}", shared=True))
    return plan, notes


def _run(
    site: Site,
    plan: Plan,
    summary: PartSummary,
    config: BuildConfig,
    workers: int,
    progress: bool,
    executor: Executor,
) -> None:
    """Does the chunks of the share and fills in the summary."""
    place, part = site.place, summary.part
    share = [chunk for chunk in plan.chunks if chunk.number % part.count == part.index]
    todo = [chunk for chunk in share if not place.chunk(chunk.number).exists()]
    before = map_chunks(place, plan, todo, config, workers, progress, executor, share)
    check_unchanged(plan, place)
    summary.chunks = len(share)
    summary.reused_chunks = len(share) - len(todo)
    summary.narratives = count_narratives(place, [c.number for c in share]) - before
    summary.remaining = len(place.missing(plan))
