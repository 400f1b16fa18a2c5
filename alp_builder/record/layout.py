"""Where everything of a folder of recordings lies, and what the files hold.

    DIR/narratives.jsonl                    what `alps build` reads
    DIR/recordings/3/UUID.webm              voices of annotator 3
    DIR/_record/session.json                annotators and their tokens
    DIR/_record/shares.json                 who narrates which image
    DIR/_record/set_aside.jsonl             narratives that are not in narratives.jsonl, with the reason
    DIR/_record/narratives/3/UUID.json      what annotator 3 sent
    DIR/_record/outcomes/3/UUID.json        word times and ALPs made of it
    DIR/_record/reviews/3/UUID.json         what the reviewer said

A narrative counts from the moment its own file is there, and by then its recording is. All of one person's
data lie in folders of that person's number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from alp_builder.record.submission import Clock
from alp_builder.records import TracePoint, Utterance

PRIVATE = "_record"
"""Folder of what only this program reads; builds pass over names that start with an underscore."""

NARRATIVES, OUTCOMES, REVIEWS = "narratives", "outcomes", "reviews"
KINDS = (NARRATIVES, OUTCOMES, REVIEWS)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A narrative without its trace, as the server keeps it in memory.

    Attributes:
        id: Made by the browser.
        annotator: Number of who spoke.
        image: Key of the image.
        image_id: What its narratives call it.
        caption: As typed, cleaned.
        seconds: Length of the recording.
        recording: Path of the recording below the output folder.
        media_type: Of the recording.
        size: Bytes of the recording.
        digest: SHA-256 of the submission's JSON and of the recording, to know it again.
        sequence: Order in which narratives were taken.
        received: When, in UTC, ISO 8601.
    """

    id: str
    annotator: int
    image: str
    image_id: str
    caption: str
    seconds: float
    recording: str
    media_type: str
    size: int
    digest: str
    sequence: int
    received: str


class StoredNarrative(Entry, frozen=True, kw_only=True):
    """A narrative as it lies on disk.

    Attributes:
        traces: Segments of points.
        clock: How times came about.
        agent: Browser it was recorded with.
    """

    traces: list[list[TracePoint]]
    clock: Clock
    agent: str = ""


class ShownAlp(msgspec.Struct, frozen=True, kw_only=True):
    """An ALP as the review page shows it; units as in the schema."""

    phrase: str
    char_start: int
    char_end: int
    box: list[float]
    t_start: float
    t_end: float
    score: float
    component: int


class ShownWord(msgspec.Struct, frozen=True, kw_only=True):
    """A word of the caption and when it was spoken."""

    text: str
    char_start: int
    char_end: int
    start: float
    end: float
    confidence: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a narrative after it was taken.

    Attributes:
        state: `aligned`: it has word times; `flagged`: it was tried, and they are not to be used.
        reason: Short code of why not.
        detail: Why not, in words.
        confidence: Of the alignment, 0 to 1.
        timed_caption: Word times as Localized Narratives have them; empty where there are none.
        words: For the review page.
        alps: For the review page.
        seconds: Length of the decoded recording; 0 where it could not be decoded.
        dropped: Phrases without an ALP, by reason.
    """

    state: Literal["aligned", "flagged"]
    reason: str = ""
    detail: str = ""
    confidence: float = 0.0
    timed_caption: list[Utterance] = []
    words: list[ShownWord] = []
    alps: list[ShownAlp] = []
    seconds: float = 0.0
    dropped: dict[str, int] = {}


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What the reviewer said of a narrative.

    Attributes:
        decision: `accepted`, or `returned` to its annotator.
        note: Why, for the annotator.
        at: When, in UTC, ISO 8601.
    """

    decision: Literal["accepted", "returned"]
    note: str = ""
    at: str = ""


def private_file(out: Path, kind: str, annotator: int, narrative: str) -> Path:
    """The file of a narrative's part; `narrative` is a UUID that was matched against its pattern."""
    return out / PRIVATE / kind / str(annotator) / f"{narrative}.json"


def recording_name(annotator: int, narrative: str, suffix: str) -> str:
    """Path of a recording below the output folder."""
    return f"recordings/{annotator}/{narrative}{suffix}"
