"""pocketsphinx, behind the few calls this package makes of it.

One decoder aligns words, a second one, made when first needed, hears phones freely. Both start every utterance
afresh, so that results do not depend on what was heard before. `ascore` is a probability to the base e of scores
in ten-thousandths: its logarithm is taken back here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from alp_builder.voice.audio import Samples
from alp_builder.voice.config import VoiceConfig
from alp_builder.voice.pronounce import DICTIONARY, MODEL, Lexicon, model_path

_LOG_BASE = 1e-4  # pocketsphinx counts in logarithms to the base 1.0001
_PHONES = "en-us/en-us-phone.lm.bin"
_PHONE_WEIGHT = (
    2.0  # of the phone language model, as pocketsphinx's documentation advises for phones
)
_PHONE_BEAM = 1e-20
_NO_SPEECH = ("SIL", "+", "(")  # how the names of silence, noise and empty words begin


@dataclass(frozen=True)
class Segment:
    """A stretch of frames and what was heard in it.

    Attributes:
        name: A word or phone.
        first: First frame.
        last: Last frame, included.
        score: A frame's acoustic score, on average.
    """

    name: str
    first: int
    last: int
    score: float

    @property
    def frames(self) -> int:
        """How many frames it lasts."""
        return self.last - self.first + 1


class Engine:
    """The decoders; not for several threads at once.

    Args:
        config: All choices.

    Raises:
        UsageError: If pocketsphinx is not installed.
    """

    def __init__(self, config: VoiceConfig) -> None:
        files = {"hmm": str(model_path(MODEL)), "dict": str(model_path(DICTIONARY))}
        self._config = config
        self._words = self._decoder(
            **files, lm=None, bestpath=False, silprob=config.silence_probability,
            beam=config.beam, pbeam=config.beam, wbeam=math.sqrt(config.beam),
        )  # fmt: skip
        self._phones: Any = None
        self.lexicon = Lexicon(self._words.lookup_word)

    def _decoder(self, **options: object) -> Any:
        import pocketsphinx

        return pocketsphinx.Decoder(loglevel="FATAL", **options)

    def align(self, words: list[str], samples: Samples) -> list[Segment] | None:
        """Finds words, in their order, in samples; None where they do not fit in at all.

        Args:
            words: Spoken words.
            samples: int16 (S,).

        Returns:
            A segment for each word.
        """
        for word in set(words):
            if self._words.lookup_word(word) is None:
                self._words.add_word(word, self.lexicon.phones(word), False)
        try:
            self._words.set_align_text(" ".join(words))
        except RuntimeError:
            return None
        heard = _heard(self._words, samples)
        found = [segment for segment in heard if not segment.name.startswith(("<", "[", "("))]
        return found if len(found) == len(words) else None

    def speech_frames(self, samples: Samples) -> int:
        """How many frames of samples sound like phones rather than noise or silence."""
        if self._phones is None:
            self._phones = self._decoder(
                allphone=str(model_path(_PHONES)), allphone_ci=True, lw=_PHONE_WEIGHT,
                beam=_PHONE_BEAM, pbeam=_PHONE_BEAM,
            )  # fmt: skip
        heard = _heard(self._phones, samples)
        return sum(part.frames for part in heard if not part.name.startswith(_NO_SPEECH))


def _heard(decoder: Any, samples: Samples) -> list[Segment]:
    """Runs a decoder over one utterance."""
    try:
        decoder.reinit_feat()  # forgets the noise of the recording before
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
    except RuntimeError:  # how it says that too few frames came to reach the end
        return []
    return [
        Segment(
            part.word,
            part.start_frame,
            part.end_frame,
            _log(part.ascore) / (part.end_frame - part.start_frame + 1),
        )
        for part in decoder.seg() or ()
    ]


def _log(probability: float) -> float:
    return math.log(probability) / _LOG_BASE if probability > 0 else -math.inf
