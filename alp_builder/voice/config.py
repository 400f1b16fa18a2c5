"""Every choice of the forced alignment, in one documented place.

Scores are pocketsphinx's acoustic scores a frame: a tenth of a natural log, zero where the frame is the best that
the phones in play can say, and the more negative the worse the sound fits.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from alp_builder.config import Count, Fraction, NonNegative, Positive, Signed, parse_value
from alp_builder.errors import UsageError


class VoiceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How voices are read, words are timed, and a caption is said not to fit.

    The defaults were chosen on the seven recordings of docs/align.md, which has the figures.

    Attributes:
        max_seconds: Longest recording that is decoded, in seconds; its samples take 32 kB a second.
        max_file_bytes: Largest file of a recording.
        max_words: Most spoken words of a caption.
        offset: Seconds added to every time. 0 is the recording's own clock; the published times of Video
            Localized Narratives lie 0.15 s later.
        room_quantile: Quantile of the frames' power that is taken for the room's noise.
        quietest_room_db: Least power that is taken for it, in dB over one unit of int16: digital silence
            would make a whisper loud.
        pause_db: Power over the room's, in dB, below which a frame counts as pause.
        pause_margin: Seconds on either side of sound that are kept.
        loud_db: Power over the room's, in dB, from which a frame may be speech that has to be explained.
        least_speech: Seconds of loud frames below which a recording counts as silent.
        silence_probability: Chance of a pause between two words, for the search.
        beam: How much less likely than the best a path may be before it is given up, for the search.
        word_score: Score at which a word's confidence is one half.
        word_score_width: Change of the score that changes the odds of a word by e.
        fit_score: Score of all words at which the confidence of the whole is one half: what fits its
            recording scores -17 to -23, what does not -26 and less.
        fit_score_width: Change of the score that changes the odds of the whole by e.
        min_confidence: Confidence of the whole below which the caption is said not to fit.
        max_unclaimed: Share of the speech that the caption may leave without words; half a caption
            leaves half of it, what fits up to a twelfth.
    """

    max_seconds: Annotated[float, Meta(gt=0, le=14_400)] = 900.0
    max_file_bytes: Count = 64 * 2**20
    max_words: Count = 1_000
    offset: Signed = 0.0
    room_quantile: Fraction = 0.1
    quietest_room_db: NonNegative = 10.0
    pause_db: Positive = 8.0
    pause_margin: NonNegative = 0.25
    loud_db: Positive = 10.0
    least_speech: NonNegative = 0.1
    silence_probability: Annotated[float, Meta(gt=0, le=1)] = 0.1
    beam: Annotated[float, Meta(gt=0, lt=1)] = 1e-60
    word_score: Signed = -32.0
    word_score_width: Positive = 5.0
    fit_score: Signed = -24.5
    fit_score_width: Positive = 1.5
    min_confidence: Fraction = 0.5
    max_unclaimed: Fraction = 0.15


def load_voice_config(overrides: list[str]) -> VoiceConfig:
    """The defaults with overrides.

    Args:
        overrides: Items such as `max_unclaimed=0.4`.

    Raises:
        UsageError: If a field is unknown, or a value does not fit.
    """
    fields: dict[str, object] = {}
    for item in overrides:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item}: expected KEY=VALUE, such as max_unclaimed=0.4")
        fields[name.strip()] = parse_value(value.strip())
    try:
        return msgspec.convert(fields, VoiceConfig)
    except msgspec.ValidationError as error:
        raise UsageError(f"--set: {error}; fields: `alps align --show-config`") from error
