"""What a browser sends, and what is kept of it.

A **submission** is JSON and a recording. Its `id` is made by the browser, once, before anything is sent: sent
again, it is the same narrative. Nothing is trusted: ids and keys are matched against patterns, numbers have
bounds, the caption is cleaned of control characters, and points must lie near the image, in order of time,
within the recording.

Coordinates are fractions of the image, origin at the top left; times are seconds on the recording's clock.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from alp_builder.record.config import RecordConfig
from alp_builder.records import TracePoint

Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
Key = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Near = Annotated[float, Meta(ge=-1, le=2)]
Milliseconds = Annotated[float, Meta(ge=-60_000, le=60_000)]


class SentPoint(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """A trace point as it is sent, `[x, y, t]`."""

    x: Near
    y: Near
    t: Seconds


class Clock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the page found the recording's zero on the pointer's clock; kept as evidence.

    Attributes:
        start_ms: From the call that started the recorder to the zero, in milliseconds.
        end_ms: How much later the zero would be by the recording's end and length, in milliseconds; much
            more or less than 0 means that sound was lost, or that the two clocks drift apart.
        source: `call` where the call gave the zero, `late` where the microphone began later.
    """

    start_ms: Milliseconds = 0.0
    end_ms: Milliseconds | None = None
    source: Annotated[str, Meta(pattern=r"^[a-z]{1,20}\Z")] = "call"


class Submission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A narrative as a browser sends it.

    Attributes:
        id: UUID made by the browser.
        image: Key of the image.
        caption: As typed.
        traces: Segments of points.
        seconds: Length of the recording, as the page measured it.
        clock: How times came about.
        agent: What browser it was.
    """

    id: Id
    image: Key
    caption: str
    traces: list[list[SentPoint]]
    seconds: Seconds
    clock: Clock = Clock()
    agent: Annotated[str, Meta(max_length=400)] = ""


class SubmissionError(Exception):
    """A submission that cannot be taken.

    Attributes:
        reason: Short code.
        detail: In words, for the annotator.
        status: HTTP status.
    """

    def __init__(self, reason: str, detail: str, status: int = 422) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.status = status


_DECODER = msgspec.json.Decoder(Submission)


def read_submission(data: bytes, config: RecordConfig) -> Submission:
    """Reads and checks a submission; its caption comes back clean.

    Raises:
        SubmissionError: If it cannot be taken.
    """
    try:
        sent = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SubmissionError("malformed", f"the narrative cannot be read ({error})") from error
    caption = clean_caption(sent.caption)
    if not caption:
        raise SubmissionError("empty_caption", "the caption is empty")
    if len(caption) > config.max_caption_chars:
        detail = (
            f"the caption has {len(caption)} characters, at most {config.max_caption_chars} fit"
        )
        raise SubmissionError("long_caption", detail)
    if max(map(len, caption.split())) > config.max_word_chars:
        detail = f"a word of the caption is longer than {config.max_word_chars} characters"
        raise SubmissionError("long_word", detail)
    if sent.seconds > config.max_seconds + config.clock_slack:
        detail = f"the recording is longer than {config.max_seconds:.0f} s"
        raise SubmissionError("long_recording", detail, 413)
    _check_trace(sent, config)
    return msgspec.structs.replace(sent, caption=caption)


def _check_trace(sent: Submission, config: RecordConfig) -> None:
    points = [point for segment in sent.traces for point in segment]
    if len(points) > config.max_points:
        raise SubmissionError("long_trace", f"the trace has over {config.max_points} points", 413)
    times = [point.t for point in points]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise SubmissionError("unsorted_trace", "the trace is not in order of time")
    if times and times[-1] > sent.seconds + config.clock_slack:
        raise SubmissionError("late_trace", "the trace goes on after the recording has ended")


def clean_caption(text: str) -> str:
    r"""A caption in one line: composed characters, no control characters, single blanks.

    >>> clean_caption(" A dog\n\nand\x07 a  cat.\x00 ")
    'A dog and a cat.'
    """
    composed = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    spaced = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in composed)
    return " ".join("".join(spaced).split())


def trace_points(sent: Submission) -> list[list[TracePoint]]:
    """The segments that have points, as they are kept."""
    return [[TracePoint(p.x, p.y, p.t) for p in segment] for segment in sent.traces if segment]
