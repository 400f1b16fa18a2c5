"""Lines of JSON into typed records, or a reason why not.

A line is a record of Localized Narratives (Pont-Tuset et al., ECCV 2020), or of Video Localized Narratives
(Voigtlaender et al., CVPR 2023), which gives several. Nothing here trusts the line: it may be no JSON, of
the wrong types, nested a million deep or gigabytes long.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta

from alp_builder.config import InputConfig

Identifier = Annotated[str, Meta(max_length=1024)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class TracePoint(msgspec.Struct, gc=False):
    """A pointer position: `x, y` as fractions of the image, `t` in seconds."""

    x: float
    y: float
    t: float


class Utterance(msgspec.Struct, gc=False):
    """One or more spoken words and when they were spoken, in seconds."""

    utterance: str
    start_time: float
    end_time: float


class NarrativeRecord(msgspec.Struct, gc=False):
    """A line of a Localized Narratives file. Fields it does not name are ignored.

    `timed_caption` and `traces` are optional because published records exist without them. `actor` is whom
    a video narrative follows: one person may say the same of two actors of a video.
    """

    dataset_id: Identifier
    image_id: Identifier
    annotator_id: Int64
    caption: str
    timed_caption: list[Utterance] | None = None
    traces: list[list[TracePoint]] | None = None
    actor: Identifier = msgspec.field(default="", name="_actor")


class RejectedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was set aside, as it goes into the quarantine file.

    Attributes:
        file: Name of the input.
        line: Line number, counted from 1.
        byte_offset: Where the line starts in the (unpacked) input.
        reason: Short code, the key of the counts.
        detail: What was wrong, in words.
        sha256: Of the line's bytes without its line end.
    """

    file: str
    line: int
    byte_offset: int
    reason: str
    detail: str
    sha256: str


class RecordError(Exception):
    """A record that cannot be used; `reason` is a short code, `detail` says it in words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an input.

    Attributes:
        number: Counted from 1.
        offset: Byte offset of its start.
        data: Its bytes without the line end; only their start where the line is too long.
        oversize_sha256: Hash of the whole line where it is too long, else `None`.
    """

    number: int
    offset: int
    data: bytes
    oversize_sha256: str | None = None

    def rejected(self, file: str, error: RecordError) -> RejectedRecord:
        """The quarantine entry of this line."""
        return RejectedRecord(
            file=file,
            line=self.number,
            byte_offset=self.offset,
            reason=error.reason,
            detail=error.detail[:300],
            sha256=self.oversize_sha256 or hashlib.sha256(self.data).hexdigest(),
        )


def read_lines(
    stream: BinaryIO, start: int, end: int, first_line: int, max_bytes: int
) -> Iterator[Line]:
    """Yields the lines with text of the bytes from offset `start` up to `end`.

    Lines longer than `max_bytes` are never held whole.

    Args:
        stream: Bytes to read from where it stands: at `start`, the start of a line.
        start: Offset of that line in the input.
        end: Offset at which to stop, at the start of a line or past the end of the file.
        first_line: Number of the first line.
        max_bytes: Longest line that is kept.
    """
    number, offset = first_line, start
    while offset < end:
        data = stream.readline(max_bytes + 1)
        if not data:
            return
        size, digest = len(data), None
        if size > max_bytes and not data.endswith(b"\n"):
            size, digest = _measure_rest(stream, data)
            data = data[:80]
        data = _without_line_end(data)
        if digest or data.removeprefix(_BYTE_ORDER_MARK).strip():
            yield Line(number, offset, data, digest)
        number, offset = number + 1, offset + size


def _measure_rest(stream: BinaryIO, data: bytes) -> tuple[int, str]:
    """Reads a line to its end. Returns its size, and its SHA-256 without the line end."""
    size, hasher = len(data), hashlib.sha256()
    while not data.endswith(b"\n") and (block := stream.readline(2**20)):
        # The last byte waits for what follows: a carriage return may be half of a line end.
        hasher.update(data[:-1])
        data = data[-1:] + block
        size += len(block)
    hasher.update(_without_line_end(data))
    return size, hasher.hexdigest()


def _without_line_end(data: bytes) -> bytes:
    """The line without its one line end, LF or CR LF."""
    return data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder(NarrativeRecord)


def parse_line(line: Line, config: InputConfig) -> list[NarrativeRecord]:
    """Parses a line of either format.

    Args:
        line: The line.
        config: Limits on records.

    Returns:
        One record, or one for each actor and key frame of a video narrative.

    Raises:
        RecordError: If the line is not JSON, its fields do not fit, or it is absurdly large.
    """
    from alp_builder import video_narratives  # it converts to the records defined here

    if line.oversize_sha256 is not None:
        raise RecordError("too_large", "longer than input.max_record_bytes")
    data = line.data.removeprefix(_BYTE_ORDER_MARK) if line.offset == 0 else line.data
    try:
        is_video = video_narratives.MARKER in data
        records = video_narratives.parse(data) if is_video else [_DECODER.decode(data)]
    except msgspec.ValidationError as error:
        missing = "missing required field" in str(error)
        raise RecordError("missing_field" if missing else "wrong_type", str(error)) from error
    except msgspec.DecodeError as error:
        raise RecordError("not_json", str(error)) from error
    except UnicodeDecodeError as error:
        raise RecordError("not_utf8", str(error)) from error
    except RecursionError as error:
        raise RecordError("not_json", "nested too deeply") from error
    for record in records:
        _check_size(record, config)
    return records


def _check_size(record: NarrativeRecord, config: InputConfig) -> None:
    """Refuses records of absurd size, before anything is made of them."""
    if len(record.caption) > config.max_caption_chars:
        detail = f"caption of {len(record.caption)} characters, more than input.max_caption_chars"
        raise RecordError("too_large", detail)
    spoken = sum(len(word.utterance) for word in record.timed_caption or ())
    if spoken > config.max_caption_chars:
        detail = f"timed words of {spoken} characters, more than input.max_caption_chars"
        raise RecordError("too_large", detail)
    # Tokenisers take quadratic time over a long run of punctuation.
    longest = max(map(len, record.caption.split()), default=0)
    if longest > config.max_word_chars:
        detail = f"a word of {longest} characters, more than input.max_word_chars"
        raise RecordError("too_large", detail)
    points = sum(map(len, record.traces or ()))
    if points > config.max_points:
        raise RecordError("too_large", f"{points} trace points, more than input.max_points")
