"""Records of the two files of a narrator: the published schema, and the truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

Traces = TypeVar("Traces")


class Point(msgspec.Struct, gc=False):
    """A trace point: x, y in image sides from the top left, t in seconds."""

    x: float
    y: float
    t: float


class TimedUtterance(msgspec.Struct, gc=False):
    """An utterance of the published schema; times in seconds."""

    utterance: str
    start_time: float
    end_time: float


class Record(msgspec.Struct, Generic[Traces]):
    """A record of the published schema; its traces as objects or as written JSON."""

    dataset_id: str
    image_id: str
    annotator_id: int
    caption: str
    timed_caption: list[TimedUtterance]
    traces: Traces
    voice_recording: str


Narrative = Record[list[list[Point]]]
"""A record that is read."""

NarrativeLine = Record[msgspec.Raw]
"""A record that is written."""


class TruthPhrase(msgspec.Struct, gc=False):
    """What one phrase means: a record of the truth file.

    Attributes:
        dataset_id: Data set of the narrative.
        image_id: Image of the narrative, as the narrative names it.
        annotator_id: Annotator of the narrative.
        phrase_index: Which phrase of the narrative, in the order of the caption.
        char_start: First character of the phrase in the caption, article included.
        char_end: One past its last character.
        noun_start: First character of its noun.
        noun_end: One past the noun's last character.
        phrase: The phrase as it stands in the caption.
        category_ids: Categories meant, sorted; empty for stuff.
        annotation_ids: Annotations meant, several for a plural; empty for stuff.
        is_thing: Whether it means things; stuff otherwise.
        is_plural: Whether it means several things (or a crowd).
        is_group: Whether it names them as a group.
        box: Box round all that is meant, xyxy in image sides; `None` for stuff of unknown extent.
    """

    dataset_id: str
    image_id: str
    annotator_id: int
    phrase_index: int
    char_start: int
    char_end: int
    noun_start: int
    noun_end: int
    phrase: str
    category_ids: list[int]
    annotation_ids: list[int]
    is_thing: bool
    is_plural: bool
    is_group: bool
    box: tuple[float, float, float, float] | None = None


def truth_path(out_path: Path) -> Path:
    """Where the truth of a narratives file lies: `x.jsonl` has `x.truth.jsonl`."""
    return out_path.with_name(out_path.name.removesuffix(".jsonl") + ".truth.jsonl")
