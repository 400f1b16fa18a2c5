"""Why a narrative got no times, by the short codes of counts and of the quarantine file."""

from __future__ import annotations

VOICE_REASONS = {
    "no_recording": "the record names no recording, or none of that name is there",
    "unsafe_name": "the name of the recording leads out of its folder",
    "recording_too_large": "the file of the recording is larger than voice.max_file_bytes",
    "recording_too_long": "the recording is longer than voice.max_seconds",
    "broken_recording": "the recording cannot be decoded",
    "no_sound": "there is no sound in the recording",
    "not_fetched": "the server does not give the recording",
    "empty_caption": "the caption has no words",
    "not_english": "most of the caption is not in Latin letters",
    "caption_too_long": "the caption has more than voice.max_words words",
    "silence": "nothing is spoken in the recording",
    "misfit": "the caption does not fit the recording",
}
"""Each in words; the reasons of records that cannot be read are in `alp_builder.reasons`."""
