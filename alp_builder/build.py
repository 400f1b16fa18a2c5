"""Narratives in, a data set of shards out: planned, resumable, the same bytes every time.

A build has four steps; what each leaves behind appears whole or not at all:

1. **Plan** (`planning`). Every input is read once for its hash and cut into chunks. The hashes of inputs,
   configuration and versions make the build's fingerprint. Work left by an earlier build is used again if its
   fingerprint is the same, and otherwise thrown away, saying what changed.
2. **Map** (`chunks`). Each chunk becomes a file of rows in the work folder, by any number of workers in any
   order: those of an executor, or processes that know nothing of each other (`parts`).
3. **Merge** (`merging`). Each shard collects its images' rows from all chunks, sorts them and is written.
4. **Publish** (`publishing`). Shards move to their final names, then the manifest is written; the work goes.

Work lives in `OUT/_alps/work`, on the same file system as the result, so that publishing is renaming; where
the result goes to object storage, in a folder of its own. A build can be killed at any instant: run again, it
goes on from the last finished file and ends in the same bytes.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from alp_builder.chunks import ChunkTask
from alp_builder.config import BuildConfig
from alp_builder.errors import UsageError
from alp_builder.executors import Executor, run_local
from alp_builder.files import exclusive
from alp_builder.inputs import Chunk, NarrativeSource
from alp_builder.manifest import META_FOLDER, joint_fingerprint, manifest_path
from alp_builder.merging import collect, count_narratives, merge
from alp_builder.object_store import ObjectStore
from alp_builder.planning import Plan, Workplace, check_unchanged, make_plan
from alp_builder.progress import progress_bar
from alp_builder.publishing import Destination, LocalFolder, is_published, make_manifest, publish
from alp_builder.remote import is_url
from alp_builder.shards import ShardInfo


@dataclass
class BuildSummary:
    """What a build did.

    Attributes:
        folder: Where the data set is: a folder, or a URL.
        counts: Narratives, phrases and ALPs by what became of them.
        rejected: Records set aside, by reason.
        shards: The shards.
        seconds: Time the build took.
        built: Narratives read in this run, without chunks an earlier run had finished.
        reused_chunks: Chunks an earlier run had finished.
        already_built: Nothing had to be done.
        notes: What the user should know, such as why a build started afresh.
    """

    folder: Path | str
    counts: dict[str, int]
    rejected: dict[str, int]
    shards: list[ShardInfo]
    seconds: float = 0.0
    built: int = 0
    reused_chunks: int = 0
    already_built: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def bad_fraction(self) -> float:
        """Records set aside over records read."""
        return sum(self.rejected.values()) / max(self.counts.get("lines", 0), 1)


@dataclass(frozen=True)
class Site:
    """Where a build works and where its result goes.

    Attributes:
        name: The result's place, as the user named it.
        place: The work folder.
        destination: What the result is published to.
    """

    name: str
    place: Workplace
    destination: Destination

    @classmethod
    def of(cls, out: Path | str, work: Path | None, *, progress: bool = False) -> Site:
        """The site of a folder or a URL.

        Args:
            out: Where the data set goes.
            work: Folder to work in, for a URL; default one below the cache, named by the URL.
            progress: Whether uploads are shown.

        Raises:
            UsageError: If a folder is given to work in although the data set goes to a folder, the place
                holds shards of somebody else, or the storage of a URL cannot be reached.
        """
        if not is_url(str(out)):
            if work is not None:
                raise UsageError(
                    "--work is for a data set that goes to a URL; a folder has its work within it"
                )
            folder = Path(out)
            site = cls(str(out), Workplace(folder / META_FOLDER), LocalFolder(folder))
        else:
            url = str(out)
            base = work if work is not None else _default_work(url)
            site = cls(url, Workplace(base), ObjectStore(url, base, progress=progress))
        _refuse_others(site)
        return site

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the work folder, and the place of the result, for one build alone."""
        with exclusive(self.place.lock, f"a build into {self.name}"):
            if isinstance(self.destination, ObjectStore):
                with self.destination.claimed():
                    yield
            else:
                yield


def _refuse_others(site: Site) -> None:
    """Refuses a place whose shards no build of ours has written: publishing would remove them.

    Raises:
        UsageError: If there are any.
    """
    other = site.destination.stranger()
    if other is not None:
        kind = "place" if is_url(site.name) else "folder"
        raise UsageError(
            f"{site.name}: holds {other}, and no {META_FOLDER} tells that `alps build` wrote it: a build would"
            f" remove or mix it; name another {kind}, or remove it yourself"
        )


def _default_work(url: str) -> Path:
    from alp_builder.fetch import default_cache  # brings requests along, which few builds need

    return default_cache() / "builds" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def build(
    sources: list[NarrativeSource],
    folder: Path | str,
    config: BuildConfig,
    workers: int = 1,
    progress: bool = True,
    executor: Executor = run_local,
    checkpoint: Callable[[str], object] = lambda _: None,
    work: Path | None = None,
) -> BuildSummary:
    """Builds a data set of ALPs.

    Args:
        sources: Files of narratives and their splits.
        folder: Where the data set goes, made if need be; or a URL such as `s3://bucket/alps`.
        config: All choices.
        workers: Processes for step 2; the result does not depend on it.
        progress: Whether to show progress bars.
        executor: What runs step 2.
        checkpoint: Called with the name of each step of publishing as it is reached; for tests.
        work: Folder to work in, where `folder` is a URL; default one below the cache.

    Returns:
        What was done.

    Raises:
        UsageError: If another build is at work there, there is nothing to read, or nothing can be written.
        BadDataError: If an input cannot be read.
    """
    started = time.monotonic()
    site = Site.of(folder, work, progress=progress)
    with written_to(site), site.held():
        summary = _Build(site, config, workers, progress, executor, checkpoint).run(sources)
    summary.seconds = time.monotonic() - started
    summary.folder = folder
    return summary


@contextmanager
def written_to(site: Site) -> Iterator[None]:
    """Turns a folder that cannot be written to into one line."""
    try:
        site.place.base.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        name = site.place.base if is_url(site.name) else site.name
        raise UsageError(f"{name}: cannot be written ({error.strerror or error})") from error


@dataclass
class _Build:
    """One run of a build, holding the lock of its folder."""

    site: Site
    config: BuildConfig
    workers: int
    progress: bool
    executor: Executor
    checkpoint: Callable[[str], object]

    def run(self, sources: list[NarrativeSource]) -> BuildSummary:
        place, destination = self.site.place, self.site.destination
        place.tidy()
        plan = make_plan(sources, place, self.config, self.progress)
        done = find_finished(self.site, plan)
        if done is not None:
            place.remove()
            return done
        notes = adopt_work(self.site, plan)
        todo = place.missing(plan)
        before = map_chunks(
            place, plan, todo, self.config, self.workers, self.progress, self.executor
        )
        check_unchanged(plan, place)
        found = collect(plan, place)
        shards = merge(plan, place, destination, found, self.config, self.progress)
        manifest = make_manifest(plan, self.config, shards, found.counts, place.quarantine)
        publish(destination, manifest, place.shards, place.quarantine, self.checkpoint)
        place.remove()
        return BuildSummary(
            folder=self.site.name,
            counts=dict(found.counts),
            rejected=dict(found.rejected),
            shards=shards,
            built=found.counts["narratives"] - before,
            reused_chunks=len(plan.chunks) - len(todo),
            notes=notes,
        )


def find_finished(site: Site, plan: Plan) -> BuildSummary | None:
    """The summary of the data set that is there, if this very build has made it."""
    manifest = site.destination.manifest()
    if manifest is None or manifest.fingerprint != joint_fingerprint(plan.fingerprint):
        return None
    if not is_published(site.destination, manifest):
        return None
    counts = Counter(manifest.counts)  # of a manifest that somebody edited some may be missing
    return BuildSummary(
        folder=site.name,
        counts=counts,
        rejected={k.removeprefix("rejected."): v for k, v in counts.items() if "rejected." in k},
        shards=manifest.shards,
        already_built=True,
    )


def adopt_work(site: Site, plan: Plan) -> list[str]:
    """Keeps work of the same build, throws other work away; returns what the user should know."""
    fresh = site.place.read_plan() is None
    notes = site.place.adopt(plan)
    if fresh and site.destination.has_manifest():
        notes.append(
            "rebuilding: the data set here is damaged, or of other inputs, configuration or versions"
        )
    return notes + _nesting_notes(site.name)


def map_chunks(
    place: Workplace,
    plan: Plan,
    todo: list[Chunk],
    config: BuildConfig,
    workers: int,
    progress: bool,
    executor: Executor,
    share: list[Chunk] | None = None,
) -> int:
    """Step 2, for chunks that are not done yet.

    Args:
        place: Where rows go.
        plan: What there is.
        todo: What is to be done.
        config: All choices.
        workers: How many may work at once.
        progress: Whether to show progress.
        executor: What runs it.
        share: What counts as all of it, for the progress bar; default all chunks.

    Returns:
        Narratives of that share that were done before.
    """
    share = plan.chunks if share is None else share
    left = {chunk.number for chunk in todo}
    before = count_narratives(place, [c.number for c in share if c.number not in left])
    tasks = [
        ChunkTask(
            chunk=chunk,
            path=str(place.input(plan, chunk.source)),
            name=plan.inputs[chunk.source].location,
            output=str(place.chunk(chunk.number)),
        )
        for chunk in todo
    ]
    total = sum(chunk.end - chunk.start for chunk in share)
    done = total - sum(chunk.end - chunk.start for chunk in todo)
    narratives = before
    with progress_bar(total, "building", "B", shown=progress, done=done) as bar:
        for task, made in executor(tasks, config, workers):
            narratives += made
            bar.set_postfix_str(f"{narratives} narratives", refresh=False)
            bar.update(task.chunk.end - task.chunk.start)
    return before


def _nesting_notes(name: str) -> list[str]:
    """Says so if a folder lies inside another data set: readers of that one would find these shards too."""
    if is_url(name):
        return []
    outer = next((p for p in Path(name).resolve().parents if manifest_path(p).is_file()), None)
    if outer is None:
        return []
    return [f"{name} lies inside the data set {outer}: `pd.read_parquet` of that folder reads both"]
