"""Narratives on disk: written whole and flushed before anybody is told that they are safe.

A submission is written in two steps: the recording (a temporary file that was filled while it arrived) is
flushed and renamed, then the narrative's own file, which names it, is written, flushed and renamed. Only then
is the browser told. A kill between the two leaves a recording that no narrative names; the browser still has
all of it and sends it again; the next start removes such leftovers.

The newest narrative of an annotator and image is the **current** one; those before it stay on disk.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from alp_builder.errors import BadDataError
from alp_builder.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, flush_folder, move, write_atomic
from alp_builder.record.layout import (
    KINDS,
    NARRATIVES,
    OUTCOMES,
    PRIVATE,
    REVIEWS,
    Entry,
    Outcome,
    Review,
    StoredNarrative,
    private_file,
)
from alp_builder.record.sharing import Shares
from alp_builder.record.submission import Submission, SubmissionError, trace_points

Struct = TypeVar("Struct", bound=msgspec.Struct)
Ids = tuple[int, str]
"""Number of an annotator and id of a narrative: what one browser calls it says nothing of another's."""

TRIED_AGAIN = frozenset({"worker_died", "failed", "not_aligned"})
"""Reasons of outcomes that may be the machine's fault: the next start tries those narratives again."""


class Store:
    """The narratives of a folder. One process at a time; its methods may run in threads.

    Args:
        out: The folder.

    Raises:
        BadDataError: If a narrative's file cannot be read.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.entries: dict[Ids, Entry] = {}
        self.states: dict[Ids, str] = {}
        self.reviews: dict[Ids, Review] = {}
        self._lock = threading.Lock()
        for path in sorted((out / PRIVATE / NARRATIVES).glob("*/*.json")):
            entry = _read(path, Entry)
            self.entries[entry.annotator, entry.id] = entry
        for ids in self.entries:
            outcome = self._part(OUTCOMES, ids, Outcome)
            final = outcome is not None and outcome.reason not in TRIED_AGAIN
            self.states[ids] = outcome.state if outcome and final else "waiting"
            review = self._part(REVIEWS, ids, Review)
            if review:
                self.reviews[ids] = review
        self._sequence = max((entry.sequence for entry in self.entries.values()), default=0)

    def clear_leftovers(self) -> list[str]:
        """Removes what a kill left half done, before anything is served. Returns names, for a message."""
        named = {entry.recording for entry in self.entries.values()}
        pattern = f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"
        gone = [path for path in self.out.rglob(pattern) if path.is_file()]
        gone += [
            path
            for path in (self.out / "recordings").glob("*/*")
            if path.relative_to(self.out).as_posix() not in named and path not in gone
        ]
        for path in gone:
            path.unlink()
        return sorted(path.relative_to(self.out).as_posix() for path in gone)

    def temporary(self, annotator: int, narrative: str, unique: str) -> Path:
        """A name for a recording that is arriving; its folder is made."""
        folder = self.out / "recordings" / str(annotator)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{TEMPORARY_PREFIX}{narrative}.{unique}{TEMPORARY_SUFFIX}"

    def commit(
        self, annotator: int, sent: Submission, image_id: str, temporary: Path, about: Entry
    ) -> tuple[Entry, bool]:
        """Makes a submission durable.

        Args:
            annotator: Number of who sent it.
            sent: The submission.
            image_id: What its image is called.
            temporary: Its recording, written and flushed.
            about: The entry to be, but for its order and time.

        Returns:
            Its entry, and whether it is new: the same one sent twice is there once.

        Raises:
            SubmissionError: If another narrative has this id.
            OSError: If it cannot be written; then nothing of it is there.
        """
        with self._lock:  # one at a time: the order of sequence numbers is that of the files
            if (known := self.known(annotator, sent.id, about.digest)) is not None:
                return known, False
            move(temporary, self.out / about.recording)
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            fields = msgspec.structs.asdict(about)
            fields |= {"sequence": self._sequence + 1, "received": now, "image_id": image_id}
            stored = StoredNarrative(
                **fields, traces=trace_points(sent), clock=sent.clock, agent=sent.agent
            )
            data = msgspec.json.encode(stored)
            try:
                write_atomic(private_file(self.out, NARRATIVES, annotator, sent.id), data)
            except OSError:
                (self.out / about.recording).unlink(missing_ok=True)
                raise
            self._sequence += 1
            entry = msgspec.json.decode(data, type=Entry)
            self.entries[annotator, sent.id] = entry
            self.states[annotator, sent.id] = "waiting"
            return entry, True

    def known(self, annotator: int, narrative: str, digest: str) -> Entry | None:
        """The entry of a narrative that was sent before.

        Raises:
            SubmissionError: If a narrative of this id is there and is another one.
        """
        entry = self.entries.get((annotator, narrative))
        if entry is not None and entry.digest != digest:
            raise SubmissionError("other_narrative", "another narrative has this id already", 409)
        return entry

    def current(self) -> dict[tuple[str, int], Entry]:
        """The newest narrative of each image (its key) and annotator."""
        newest: dict[tuple[str, int], Entry] = {}
        for entry in sorted(self.entries.values(), key=lambda entry: entry.sequence):
            newest[entry.image, entry.annotator] = entry
        return newest

    def narrative(self, ids: Ids) -> StoredNarrative:
        """A narrative with its trace."""
        return _read(private_file(self.out, NARRATIVES, *ids), StoredNarrative)

    def outcome(self, ids: Ids) -> Outcome | None:
        """What became of a narrative, or `None` while it waits."""
        return self._part(OUTCOMES, ids, Outcome)

    def set_outcome(self, ids: Ids, outcome: Outcome) -> None:
        """Keeps what became of a narrative."""
        write_atomic(private_file(self.out, OUTCOMES, *ids), msgspec.json.encode(outcome))
        self.states[ids] = outcome.state

    def set_review(self, ids: Ids, review: Review) -> None:
        """Keeps what the reviewer said, durably."""
        write_atomic(private_file(self.out, REVIEWS, *ids), msgspec.json.encode(review))
        self.reviews[ids] = review

    def _part(self, kind: str, ids: Ids, struct: type[Struct]) -> Struct | None:
        path = private_file(self.out, kind, *ids)
        return _read(path, struct) if path.exists() else None


def _read(path: Path, struct: type[Struct]) -> Struct:
    try:
        return msgspec.json.decode(path.read_bytes(), type=struct)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadDataError(f"{path}: cannot be read ({error})") from error


def read_shares(out: Path) -> Shares:
    """Who narrated which image, as it was shared out last."""
    path = out / PRIVATE / "shares.json"
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=Shares)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadDataError(f"{path}: cannot be read ({error})") from error


def write_shares(out: Path, shares: Shares) -> None:
    """Keeps who narrates which image."""
    write_atomic(out / PRIVATE / "shares.json", msgspec.json.encode(shares))


def forget(out: Path, annotator: int) -> dict[str, int]:
    """Deletes all that one annotator recorded.

    Args:
        out: The folder.
        annotator: Their number.

    Returns:
        How many files of each kind went.
    """
    gone = {}
    for name, folder in _folders(out, annotator):
        gone[name] = sum(path.is_file() for path in folder.rglob("*"))
        if folder.exists():
            shutil.rmtree(folder)
            flush_folder(folder.parent)
    return gone


def _folders(out: Path, annotator: int) -> Iterator[tuple[str, Path]]:
    yield "recordings", out / "recordings" / str(annotator)
    for kind in KINDS:
        yield kind, out / PRIVATE / kind / str(annotator)
