"""When each word of a typed caption was spoken: forced alignment by pocketsphinx."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from alp_builder.errors import UsageError
from alp_builder.records import Utterance
from alp_builder.voice.audio import RATE, Samples
from alp_builder.voice.config import VoiceConfig

FRAME = 0.01
"""Seconds to a frame of the acoustic model."""


class TimedWord(msgspec.Struct, frozen=True, kw_only=True):
    """A word of the caption and when it was spoken.

    Attributes:
        text: As typed, with the punctuation that touches it; `caption[char_start:char_end]`.
        char_start: First character in the caption.
        char_end: One past its last character.
        start: Seconds from the start of the recording.
        end: Seconds from the start of the recording, not before `start`.
        confidence: In [0, 1]; near 0 where the sound does not fit the word.
    """

    text: str
    char_start: int
    char_end: int
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Alignment:
    """What became of a caption and its recording.

    Attributes:
        words: In the order of the caption; what is not spoken ("-") stands with its neighbour. Empty where
            there is a `problem` that left no times; where the caption seems not to fit, the words have the times
            that were found, not to be trusted.
        confidence: Of the whole, in [0, 1].
        problem: None, or in one line why the times cannot be used.
        reason: None, or a short code of the problem, for counts.
    """

    words: tuple[TimedWord, ...]
    confidence: float
    problem: str | None = None
    reason: str | None = None

    def timed_caption(self) -> list[Utterance]:
        """The words as Localized Narratives write them: utterance, start_time, end_time."""
        return [Utterance(word.text, word.start, word.end) for word in self.words]


class Aligner:
    """Loads the acoustic model and the dictionary once (0.2 s); one for each thread or process.

    Args:
        config: All choices.

    Raises:
        UsageError: If pocketsphinx is not installed.
    """

    def __init__(self, config: VoiceConfig | None = None) -> None:
        try:
            import pocketsphinx  # the extra `record`
        except ImportError as error:
            raise UsageError(
                "pocketsphinx is not installed: pip install alp-toolkit[record]"
            ) from error
        self.config = config or VoiceConfig()
        self._decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")

    def align(self, caption: str, samples: Samples) -> Alignment:
        """Times the words of a caption.

        Args:
            caption: As typed.
            samples: int16 (S,), mono at 16 kHz, as `decode` gives them.

        Returns:
            The words, or a problem in words; nothing is raised for bad data.
        """
        tokens = [(m[0], m.start(), m.end()) for m in re.finditer(r"\S+", caption)]
        spoken = [re.findall(r"[a-z']+", token.lower()) for token, _, _ in tokens]
        flat = [word for words in spoken for word in words]
        if not flat:
            return Alignment((), 0.0, "the caption has no words", "empty_caption")
        for word in flat:
            if self._decoder.lookup_word(word) is None:
                self._decoder.add_word(word, "AH", True)
        self._decoder.set_align_text(" ".join(flat))
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
        self._decoder.end_utt()
        found = [
            s for s in self._decoder.seg() or () if re.fullmatch(r"[a-z'][^<]*", s.word) is not None
        ]
        if len(found) != len(flat):
            return Alignment((), 0.0, "the caption does not fit the recording", "misfit")
        words, position = [], 0
        for (token, first, last), parts in zip(tokens, spoken, strict=True):
            if not parts:
                continue
            segments = found[position : position + len(parts)]
            position += len(parts)
            words.append(
                TimedWord(
                    text=token,
                    char_start=first,
                    char_end=last,
                    start=segments[0].start_frame * FRAME,
                    end=min((segments[-1].end_frame + 1) * FRAME, len(samples) / RATE),
                    confidence=1.0,
                )
            )
        return Alignment(tuple(words), 1.0)
