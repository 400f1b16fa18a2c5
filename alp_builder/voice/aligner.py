"""When each word of a typed caption was spoken, and whether it was.

1. `speech` cuts the pauses out, `words` says what is spoken, `pronounce` how.
2. pocketsphinx finds the most likely times of all words in their order (Viterbi over the phones' hidden Markov
   models, pauses and noises allowed between words). No path at all: the caption is too long for the sound.
3. **Fit.** A forced alignment always finds something. What it found is believed if the sound fits the words
   (mean score a frame, turned into a confidence), and if the words account for the speech: what is loud and
   has no word is listened to once more for phones of any kind, for a door that slams needs no word.

Times are seconds of the recording. A word begins where its first frame begins and ends where its last one ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from alp_builder.records import Utterance
from alp_builder.voice.audio import RATE, Samples
from alp_builder.voice.config import VoiceConfig
from alp_builder.voice.engine import Engine, Segment
from alp_builder.voice.speech import HOP, Sound, without_pauses
from alp_builder.voice.words import Token, tokens_of, unspeakable

FRAME = HOP / RATE
"""Seconds to a frame."""

_LONGEST_BLIP = 8  # loud frames in a row that need no word
_CONTEXT = 10  # frames around unexplained sound, for hearing phones in it


class TimedWord(msgspec.Struct, frozen=True, kw_only=True):
    """A word of the caption and when it was spoken.

    Attributes:
        text: As typed, with the punctuation that touches it: `caption[char_start:char_end]`.
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
        words: In the order of the caption; what is not spoken ("-") stands with its neighbour. Where there is a
            `problem` they are missing, or the times that were found, not to be trusted.
        confidence: Of the whole, in [0, 1].
        problem: None, or in one line why the times cannot be used.
        reason: None, or a short code of the problem, for counts; see `alp_builder.voice.reasons`.
        score: Mean acoustic score a frame of all words; not a number where nothing was found.
        unclaimed: Share of the speech that has no word.
    """

    words: tuple[TimedWord, ...] = ()
    confidence: float = 0.0
    problem: str | None = None
    reason: str | None = None
    score: float = math.nan
    unclaimed: float = 0.0

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
        self.config = config or VoiceConfig()
        self._engine = Engine(self.config)

    def align(self, caption: str, samples: Samples) -> Alignment:
        """Times the words of a caption.

        Args:
            caption: As typed.
            samples: int16 (S,), mono at 16 kHz, as `decode` gives them.

        Returns:
            The words, or a problem in words; nothing is raised for bad data.
        """
        tokens = tokens_of(caption)
        words = [word for token in tokens for word in token.spoken]
        if not words:
            return Alignment(problem="the caption has no words", reason="empty_caption")
        strange = unspeakable(caption)
        if strange > len(tokens):
            text = f"{strange} words of the caption are not in Latin letters; the model is English"
            return Alignment(problem=text, reason="not_english")
        if len(words) > self.config.max_words:
            text = f"{len(words)} words, more than voice.max_words"
            return Alignment(problem=text, reason="caption_too_long")
        sound = without_pauses(samples, self.config)
        if sound.loud_seconds < self.config.least_speech:
            return Alignment(problem="nothing is spoken in the recording", reason="silence")
        segments = self._engine.align(words, sound.samples)
        if segments is None:
            text = "the caption's words do not fit into what is spoken in the recording"
            return Alignment(problem=text, reason="misfit")
        return self._judged(caption, tokens, segments, sound)

    def _judged(
        self, caption: str, tokens: list[Token], segments: list[Segment], sound: Sound
    ) -> Alignment:
        """The words with their confidence, and whether they are to be believed."""
        config = self.config
        frames = sum(segment.frames for segment in segments)
        score = sum(segment.score * segment.frames for segment in segments) / frames
        unclaimed = self._unclaimed(segments, sound)
        confidence = _logistic((score - config.fit_score) / config.fit_score_width)
        problem = None
        if confidence < config.min_confidence:
            problem = f"the recording does not sound like the caption (confidence {confidence:.2f})"
        elif unclaimed > config.max_unclaimed:
            problem = f"{unclaimed:.0%} of the speech in the recording is not in the caption"
        words = self._timed(caption, tokens, segments, sound)
        reason = None if problem is None else "misfit"
        return Alignment(words, confidence, problem, reason, score, unclaimed)

    def _unclaimed(self, segments: list[Segment], sound: Sound) -> float:
        """Share of the speech that no word accounts for."""
        claimed = np.zeros(len(sound.frames) + 1, np.bool_)
        for segment in segments:
            claimed[segment.first : segment.last + 1] = True
        claimed = claimed[:-1]
        rest = np.concatenate([[False], sound.loud & ~claimed, [False]])
        bounds = np.flatnonzero(rest[1:] != rest[:-1]).reshape(-1, 2)
        heard = np.zeros(len(claimed), np.bool_)
        for first, end in bounds.tolist():
            if end - first >= _LONGEST_BLIP:
                heard[max(first - _CONTEXT, 0) : end + _CONTEXT] = True
        heard &= ~claimed
        if not heard.any():
            return 0.0
        speech = self._engine.speech_frames(sound.samples.reshape(-1, HOP)[heard].ravel())
        return speech / (speech + int(claimed.sum()))

    def _timed(
        self, caption: str, tokens: list[Token], segments: list[Segment], sound: Sound
    ) -> tuple[TimedWord, ...]:
        """The tokens with the times of their spoken words."""
        config, last_frame = self.config, len(sound.frames) - 1
        words: list[TimedWord] = []
        position = 0
        for token in tokens:
            parts = segments[position : position + len(token.spoken)]
            position += len(parts)
            frames = sum(part.frames for part in parts)
            score = sum(part.score * part.frames for part in parts) / frames
            start = int(sound.frames[min(parts[0].first, last_frame)]) * FRAME
            end = (int(sound.frames[min(parts[-1].last, last_frame)]) + 1) * FRAME
            words.append(
                TimedWord(
                    text=caption[token.start : token.end],
                    char_start=token.start,
                    char_end=token.end,
                    start=_to_milliseconds(start + config.offset),
                    end=_to_milliseconds(end + config.offset),
                    confidence=round(
                        _logistic((score - config.word_score) / config.word_score_width), 3
                    ),
                )
            )
        return tuple(words)


def _to_milliseconds(seconds: float) -> float:
    """A time as it is written: whole milliseconds, not before the recording."""
    return round(max(seconds, 0.0), 3)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(min(-value, 700.0)))
