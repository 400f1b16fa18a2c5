"""Sounds for tests: the real recordings, and made-up ones written by a real encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alp_builder.voice.audio import RATE, Samples

CAPTIONS = {
    "0_0": "A group of people is cycling on the grey road.",
    "1_1": "Another brown tiger with black stripes is fighting with the first tiger.",
    "2_1": "In the background, there is a river with green grassland surrounded by fences.",
}
"""Captions of three of the real recordings, as typed."""


def tone(seconds: float, frequency: float = 440.0, loudness: float = 8000.0) -> Samples:
    """A tone at 16 kHz."""
    t = np.arange(round(seconds * RATE)) / RATE
    return (loudness * np.sin(2 * np.pi * frequency * t)).astype(np.int16)


def encode(path: Path, samples: Samples, codec: str, rate: int = 48_000, skip: float = 0.0) -> Path:
    """Writes samples as a file of the container of its suffix.

    Args:
        path: The file.
        samples: int16 (S,), mono at 16 kHz.
        codec: FFmpeg's name of the codec.
        rate: Samples a second in the file.
        skip: Seconds by which the second half is moved later, as if packets had been lost before it.
    """
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=rate, frame_size=stream.frame_size or 960
        )
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        made = [*resampler.resample(frame), *resampler.resample(None)]
        packets = [packet for piece in [*made, None] for packet in stream.encode(piece)]
        half = len(samples) / RATE / 2
        for packet in packets:
            if skip and packet.pts is not None and packet.pts * packet.time_base >= half:
                late = round(skip / packet.time_base)
                packet.pts, packet.dts = packet.pts + late, (packet.dts or 0) + late
            container.mux(packet)
    return path
