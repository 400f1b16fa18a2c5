"""A recording of any container and codec as samples on its own clock.

Sample k is the sound at k / 16000 seconds of the recording: what the container leaves out, such as packets that
a browser dropped or a start after 0 s, is silence here, so that times read off the samples are times of the
recording.
Nothing here trusts the file: it may be no sound, broken in the middle, or say that it lasts for years.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alp_builder.errors import BadDataError, UsageError
from alp_builder.voice.config import VoiceConfig

RATE = 16_000
"""Samples a second, what the acoustic model was trained on."""

Samples = npt.NDArray[np.int16]

# Containers of voices from a local file and nothing else: no playlist that leads to other files or hosts.
_SAFE = {
    "protocol_whitelist": "file",
    "format_whitelist": "matroska,webm,ogg,mov,mp4,m4a,3gp,wav,mp3,flac,aac,aiff,w64",
}
_CLOCK_SLACK = RATE // 50  # containers round times to milliseconds: 20 ms off is no gap
_ERROR_LENGTH = 200


class VoiceError(BadDataError):
    """A recording that cannot be used.

    Attributes:
        reason: Short code for counts, see `alp_builder.voice.reasons`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def __reduce__(self) -> tuple[type[VoiceError], tuple[str, str]]:
        return type(self), (self.reason, str(self))


def decode(
    path: Path, max_seconds: float | None = None, config: VoiceConfig | None = None
) -> tuple[Samples, float]:
    """Decodes the first sound stream of a file.

    Args:
        path: A file of any container FFmpeg knows: webm, ogg, mp4, wav, ...
        max_seconds: Longest recording that is accepted, in seconds; default the configuration's.
        config: Limits.

    Returns:
        Samples, int16 (S,), mono at 16 kHz, and the duration S / 16000 in seconds.

    Raises:
        VoiceError: If there is no such file, no sound in it, or it is broken, too large or too long.
        UsageError: If PyAV is not installed.
    """
    try:
        import av  # the extra `record`
    except ImportError as error:
        raise UsageError(
            "PyAV is not installed: pip install alp-toolkit[record] (or make record-env)"
        ) from error
    path, limits = Path(path), config or VoiceConfig()
    seconds = limits.max_seconds if max_seconds is None else max_seconds
    logging.getLogger("libav").setLevel(logging.CRITICAL)  # what is wrong is raised as well
    try:
        size = path.stat().st_size
        if size > limits.max_file_bytes:
            raise VoiceError(
                "recording_too_large", f"{path}: {size:,} bytes, more than voice.max_file_bytes"
            )
        with av.open(str(path), options=_SAFE) as container:
            if not container.streams.audio:
                raise VoiceError("no_sound", f"{path}: there is no sound in it")
            samples = _laid_out(_resampled(container), path, int(seconds * RATE))
    except FileNotFoundError as error:
        raise VoiceError("no_recording", f"{path}: no such recording") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        what = " ".join(str(getattr(error, "strerror", None) or error).split())[:_ERROR_LENGTH]
        raise VoiceError("broken_recording", f"{path}: cannot be decoded ({what})") from error
    return samples, len(samples) / RATE


def _resampled(container: Any) -> Iterator[tuple[float | None, Samples]]:
    """Pieces of int16 mono at 16 kHz, each with the time it starts at, where the container tells."""
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    stream = container.streams.audio[0]
    stream.thread_type = "NONE"  # workers share the cores already
    for frame in container.decode(stream):
        time = frame.time
        for out in resampler.resample(frame):
            yield time, out.to_ndarray()[0]
            time = None  # what follows of this frame follows in time
    for out in resampler.resample(None):
        yield None, out.to_ndarray()[0]


def _laid_out(pieces: Iterator[tuple[float | None, Samples]], path: Path, most: int) -> Samples:
    """Pieces end to end, with silence where the clock says that something is missing.

    Raises:
        VoiceError: As soon as they are longer than `most` samples, or if there are none.
    """
    laid: list[Samples] = []
    length = 0
    for time, piece in pieces:
        gap = 0 if time is None else round(time * RATE) - length
        # The resampler holds a few samples back: only what is clearly missing is filled in.
        gap = gap if gap > _CLOCK_SLACK else 0
        length += gap + len(piece)
        if length > most:
            raise VoiceError("recording_too_long", f"{path}: longer than {most / RATE:g} s")
        if gap:
            laid.append(np.zeros(gap, np.int16))
        laid.append(piece)
    if not length:
        raise VoiceError("no_sound", f"{path}: its sound is empty")
    return np.concatenate(laid)
