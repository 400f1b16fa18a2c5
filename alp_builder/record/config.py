"""Every choice of recording, in one documented place."""

from __future__ import annotations

import msgspec

from alp_builder.config import Count, Fraction, Positive


class RecordConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be recorded, and how long things may take.

    Attributes:
        band: Width of the band round the image in which the pointer is still recorded, in image sides.
            Localized Narratives reach about 0.05 beyond the image.
        max_seconds: Longest recording, in seconds; the page stops there by itself.
        max_recording_bytes: Largest recording. Browsers write about 16 kB/s at most.
        max_narrative_bytes: Largest narrative without its recording, as JSON.
        max_caption_chars: Longest caption, in characters.
        max_word_chars: Longest word of a caption, as `InputConfig.max_word_chars`.
        max_points: Most trace points of a narrative.
        min_free_bytes: Free space below which nothing more is taken, so that the disk never fills up.
        upload_seconds: Longest time an upload may take, in seconds.
        clock_slack: Trace points may lie this much after the end of the recording, in seconds.
        voice_bits: Bits a second the page asks the browser to record voices with.
        align_seconds: Time aligning may take, in multiples of the recording's length, beside a minute to
            start in; whoever takes longer is stopped, and the narrative set aside.
        publish_seconds: Shortest time between two writings of the narratives' file, in seconds.
        publish_share: Largest share of the time that may go into writing it.
    """

    band: Fraction = 0.08
    max_seconds: Positive = 300.0
    max_recording_bytes: Count = 32 * 2**20
    max_narrative_bytes: Count = 8 * 2**20
    max_caption_chars: Count = 4_000
    max_word_chars: Count = 500
    max_points: Count = 100_000
    min_free_bytes: Count = 200_000_000
    upload_seconds: Positive = 600.0
    clock_slack: Positive = 2.0
    voice_bits: Count = 64_000
    align_seconds: Positive = 4.0
    publish_seconds: Positive = 2.0
    publish_share: Fraction = 0.1
