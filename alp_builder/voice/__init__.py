"""From a voice recording and a typed caption to timed words.

The modules, in the order of work: `audio` decodes a recording, `words` says what of a caption is spoken,
`pronounce` and `g2p` how, `aligner` finds when.
"""

from alp_builder.voice.aligner import Aligner, Alignment, TimedWord
from alp_builder.voice.audio import VoiceError, decode
from alp_builder.voice.config import VoiceConfig

__all__ = ["Aligner", "Alignment", "TimedWord", "VoiceConfig", "VoiceError", "decode"]
