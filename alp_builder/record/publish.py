"""The narratives' file: exact Localized Narratives, one line a narrative, in the order of images and annotators.

What is in it: the newest narrative of each image and annotator, if its words have times and the reviewer has
not returned it. Every other narrative stands in `_record/set_aside.jsonl`, as a record of the same fields and
`_reason`, so that nothing is lost and `alps align` can take it. Both files appear whole, and the same
narratives give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from alp_builder.files import atomic_file
from alp_builder.record.layout import PRIVATE, Entry, Outcome, Review
from alp_builder.record.store import Store
from alp_builder.records import TracePoint, Utterance


class PublishedRecord(msgspec.Struct, kw_only=True):
    """A line of a Localized Narratives file, all fields of the published schema and no other."""

    dataset_id: str
    image_id: str
    annotator_id: int
    caption: str
    timed_caption: list[Utterance]
    traces: list[list[TracePoint]]
    voice_recording: str


class SetAsideRecord(PublishedRecord, kw_only=True):
    """A record that was left out, and why."""

    id: str = msgspec.field(name="_id")
    reason: str = msgspec.field(name="_reason")


def narratives_path(out: Path) -> Path:
    """Where the narratives' file of a folder stands."""
    return out / "narratives.jsonl"


def set_aside_path(out: Path) -> Path:
    """Where the narratives stand that are not in it."""
    return out / PRIVATE / "set_aside.jsonl"


def publish(store: Store, dataset_id: str, only_accepted: bool = False) -> Counter[str]:
    """Writes both files.

    Args:
        store: The narratives.
        dataset_id: Of all of them.
        only_accepted: Leave out what the reviewer has not accepted.

    Returns:
        How many narratives went in under `published`, and how many did not, by reason.
    """
    counts: Counter[str] = Counter()
    with (
        atomic_file(narratives_path(store.out)) as good,
        atomic_file(set_aside_path(store.out)) as aside,
    ):
        for entry, outcome, reason in _judged(store, only_accepted):
            counts[reason.partition(":")[0] if reason else "published"] += 1
            narrative = store.narrative((entry.annotator, entry.id))
            fields: dict[str, Any] = {
                "dataset_id": dataset_id,
                "image_id": entry.image_id,
                "annotator_id": entry.annotator,
                "caption": entry.caption,
                "timed_caption": outcome.timed_caption if outcome else [],
                "traces": narrative.traces,
                "voice_recording": entry.recording,
            }
            if reason:
                record: PublishedRecord = SetAsideRecord(id=entry.id, reason=reason, **fields)
                aside.write(msgspec.json.encode(record) + b"\n")
            else:
                good.write(msgspec.json.encode(PublishedRecord(**fields)) + b"\n")
    return counts


def _judged(store: Store, only_accepted: bool) -> Iterator[tuple[Entry, Outcome | None, str]]:
    """Every narrative with its outcome and why it is left out; an empty reason where it is not."""
    newest = {(entry.annotator, entry.id) for entry in store.current().values()}
    for entry in sorted(
        store.entries.values(), key=lambda e: (e.image_id, e.annotator, e.sequence)
    ):
        ids = (entry.annotator, entry.id)
        outcome = store.outcome(ids)
        if ids not in newest:
            reason = "superseded: its annotator narrated the image again"
        else:
            reason = _reason(outcome, store.reviews.get(ids), only_accepted)
        yield entry, outcome, reason


def _reason(outcome: Outcome | None, review: Review | None, only_accepted: bool) -> str:
    if review is not None and review.decision == "returned":
        return f"returned: {review.note}"
    if outcome is None:
        return "not_aligned: its words have no times yet"
    if outcome.state == "flagged":
        return f"{outcome.reason or 'flagged'}: {outcome.detail}"
    if only_accepted and review is None:
        return "not_reviewed: the reviewer has not accepted it yet"
    return ""
