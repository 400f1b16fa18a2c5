"""Where in a recording there is sound, and the recording without its pauses.

People who describe an image pause for most of the time. Pauses cost time to search, and worse: the decoder
subtracts the mean spectrum of the recording, which long pauses make that of the room, so that words are then
found in the room's noise. So pauses are cut out before the search and times are mapped back: with F frames of
10 ms, L their power in dB and f a low quantile of L (the room), what lies near a frame of L > f + `pause_db` is
kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alp_builder.arrays import Bools, Ints
from alp_builder.voice.audio import RATE, Samples
from alp_builder.voice.config import VoiceConfig

HOP = RATE // 100
"""Samples to a frame, the acoustic model's 10 ms."""

_REACH = 1  # neighbours on either side in a power reading: a click of one frame is no speech


@dataclass(frozen=True)
class Sound:
    """A recording without its pauses.

    Attributes:
        samples: int16 (K * 160,), the K kept frames end to end.
        frames: int64 (K,), which frame of the recording each one was, growing.
        loud: bool (K,), whether it is well above the room's noise.
    """

    samples: Samples
    frames: Ints
    loud: Bools

    @property
    def loud_seconds(self) -> float:
        """How long it is loud, in seconds."""
        return float(self.loud.sum()) * HOP / RATE


def without_pauses(samples: Samples, config: VoiceConfig) -> Sound:
    """Cuts the pauses out of a recording.

    Args:
        samples: int16 (S,), mono at 16 kHz.
        config: Levels and margins.

    Returns:
        What is left; nothing of a silent recording.
    """
    count = len(samples) // HOP
    whole = samples[: count * HOP].reshape(count, HOP)
    level = levels(whole)
    if not count:
        return Sound(samples[:0], np.zeros(0, np.int64), np.zeros(0, np.bool_))
    room = max(float(np.quantile(level, config.room_quantile)), config.quietest_room_db)
    near = _window_sums(level > room + config.pause_db, round(config.pause_margin * RATE / HOP)) > 0
    loud = level > room + config.loud_db
    return Sound(whole[near].ravel(), np.flatnonzero(near), loud[near])


def levels(frames: Samples) -> npt.NDArray[np.float64]:
    """Power of frames (F, 160) in dB over one unit of int16, (F,), smoothed over neighbours."""
    if not len(frames):
        return np.zeros(0)
    centred = frames - np.mean(frames, dtype=np.float64)
    power = _window_sums((centred**2).mean(axis=1), _REACH) / (2 * _REACH + 1)
    decibels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power, 0) + 1)
    return decibels


def _window_sums(values: npt.NDArray[Any], reach: int) -> npt.NDArray[np.float64]:
    """Of each value and `reach` neighbours on either side, the sum; beyond the ends there is nothing."""
    sums = np.convolve(values, np.ones(2 * reach + 1))
    return sums[reach : reach + len(values)]
