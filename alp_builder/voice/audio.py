"""A recording of any container and codec as samples on its own clock.

Sample k is the sound at k / 16000 seconds of the recording: what the container leaves out, such as packets a
browser dropped or a start after 0 s, is filled with silence, so that times read off the samples are times of
the recording. Nothing here trusts the file: it may be no sound, broken, or hours long.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from alp_builder.errors import BadDataError, UsageError

RATE = 16_000
"""Samples a second, what the acoustic model was trained on."""

Samples = npt.NDArray[np.int16]


class VoiceError(BadDataError):
    """A recording or caption that cannot be used; `reason` is a short code for counts."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode(path: Path, max_seconds: float = 900.0) -> tuple[Samples, float]:
    """Decodes the first sound stream of a file.

    Args:
        path: A file of any container FFmpeg knows: webm, ogg, mp4, wav, ...
        max_seconds: Longest recording that is accepted, in seconds.

    Returns:
        Samples, int16 (S,), mono at 16 kHz, and the duration S / 16000 in seconds.

    Raises:
        VoiceError: If there is no such file, no sound in it, it is broken, or it is too long.
        UsageError: If PyAV is not installed.
    """
    try:
        import av  # the extra `record`
    except ImportError as error:
        raise UsageError("PyAV is not installed: pip install alp-toolkit[record]") from error
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise VoiceError("no_sound", f"{path}: has no sound stream")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            pieces = [
                out.to_ndarray()[0]
                for frame in [*container.decode(container.streams.audio[0]), None]
                for out in resampler.resample(frame)
            ]
    except FileNotFoundError as error:
        raise VoiceError("no_recording", f"{path}: no such recording") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VoiceError("broken_recording", f"{path}: cannot be decoded ({error})") from error
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    if len(samples) > max_seconds * RATE:
        raise VoiceError("too_long", f"{path}: longer than {max_seconds} s")
    return samples, len(samples) / RATE
