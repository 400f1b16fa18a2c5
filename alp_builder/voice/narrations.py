"""A line of narratives as captions with recordings, and the same line with other word times.

Both formats are read, Localized Narratives and Video Localized Narratives. What is not the word times is kept
byte for byte, fields that nobody here knows too: values are carried as the raw JSON they came as.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from alp_builder import video_narratives
from alp_builder.config import InputConfig
from alp_builder.records import Line, RecordError, Utterance, parse_line
from alp_builder.voice.aligner import Alignment, TimedWord

_RawFields = dict[str, msgspec.Raw]


@dataclass(frozen=True)
class Narration:
    """What one person said of one thing.

    Attributes:
        caption: The typed caption.
        recording: Name of the recording, if there is one.
        published: Word times that the record has already.
    """

    caption: str
    recording: str | None
    published: list[Utterance]


class _Word(msgspec.Struct):
    """A timed word of Video Localized Narratives."""

    referenced_word: str
    start_ms: float
    end_ms: float


class NarratedLine:
    """One record.

    Args:
        line: A line of JSON.
        config: Limits on records.

    Raises:
        RecordError: If it is none, or its fields do not fit.
    """

    def __init__(self, line: Line, config: InputConfig) -> None:
        parse_line(line, config)  # raises what is wrong with it
        try:
            self._fields = msgspec.json.decode(
                line.data.removeprefix(b"\xef\xbb\xbf"), type=_RawFields
            )
            self._actors: list[_RawFields] | None = None
            if video_narratives.MARKER in line.data and "actor_narratives" in self._fields:
                self._actors = msgspec.json.decode(
                    self._fields["actor_narratives"], type=list[_RawFields]
                )
            self.narrations = [_narration(fields) for fields in self._actors or [self._fields]]
        except msgspec.DecodeError as error:
            raise RecordError("wrong_type", str(error)) from error

    def with_times(self, alignments: list[Alignment]) -> bytes:
        """The line with other word times, without a line end.

        Args:
            alignments: One for each narration, without problems.
        """
        if self._actors is None:
            words = alignments[0].timed_caption()
            return _encode(self._fields | {"timed_caption": words})
        actors = [
            fields | {"time_alignment": [_video_word(word) for word in alignment.words]}
            for fields, alignment in zip(self._actors, alignments, strict=True)
        ]
        return _encode(self._fields | {"actor_narratives": actors})


def _narration(fields: _RawFields) -> Narration:
    caption = msgspec.json.decode(fields["caption"], type=str)
    if "time_alignment" in fields:
        times = msgspec.json.decode(fields["time_alignment"], type=list[_Word])
        published = [
            Utterance(word.referenced_word, word.start_ms / 1000, word.end_ms / 1000)
            for word in times
        ]
    else:
        raw = fields.get("timed_caption", msgspec.Raw(b"null"))
        published = msgspec.json.decode(raw, type=list[Utterance] | None) or []
    named = fields.get("voice_recording", fields.get("recording_filename", msgspec.Raw(b"null")))
    return Narration(caption, msgspec.json.decode(named, type=str | None), published)


def _video_word(word: TimedWord) -> dict[str, Any]:
    """A word as Video Localized Narratives write it: bare, with its place in the caption, in milliseconds."""
    bare = word.text.strip("".join(char for char in word.text if not char.isalnum())) or word.text
    first = word.char_start + word.text.index(bare)
    return {
        "end_ms": round(word.end * 1000),
        "referenced_word": bare,
        "referenced_word_end_idx": first + len(bare),
        "referenced_word_start_idx": first,
        "start_ms": round(word.start * 1000),
    }


def _encode(fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode(fields)
