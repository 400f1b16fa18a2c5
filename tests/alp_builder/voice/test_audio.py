"""Decoding: containers, the clock, and files that are none."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from alp_builder.errors import UsageError
from alp_builder.voice.audio import RATE, Samples, VoiceError, decode
from alp_builder.voice.config import VoiceConfig
from tests.alp_builder.voice.voices import encode, tone

pytest.importorskip("av")


@pytest.fixture(scope="module")
def beep() -> Samples:
    """A second of silence, half a second of tone, another second of silence."""
    return np.concatenate([np.zeros(RATE, np.int16), tone(0.5), np.zeros(RATE, np.int16)])


def _sounding(samples: Samples) -> tuple[float, float]:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 2000)
    return float(loud[0]) / RATE, float(loud[-1]) / RATE


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.wav", "pcm_s16le", 16_000),
        ("a.wav", "pcm_s16le", 44_100),
        ("a.webm", "libopus", 48_000),
        ("a.ogg", "libopus", 48_000),
        ("a.mp4", "aac", 44_100),
        ("a.m4a", "aac", 48_000),
        ("a.flac", "flac", 48_000),
    ],
)
def test_a_sound_is_where_it_was_in_every_container(
    name: str, codec: str, rate: int, beep: Samples, tmp_path: Path
) -> None:
    samples, seconds = decode(encode(tmp_path / name, beep, codec, rate))
    assert samples.dtype == np.int16
    assert samples.ndim == 1
    assert seconds == len(samples) / RATE == pytest.approx(2.5, abs=0.05)
    first, last = _sounding(samples)
    assert first == pytest.approx(1.0, abs=0.015)
    assert last == pytest.approx(1.5, abs=0.015)


def test_packets_that_were_lost_are_silence_not_a_jump_of_the_clock(
    beep: Samples, tmp_path: Path
) -> None:
    samples, seconds = decode(encode(tmp_path / "a.webm", np.tile(beep, 2), "libopus", skip=0.4))
    assert seconds == pytest.approx(5.4, abs=0.05)
    assert _sounding(samples[round(3 * RATE) :])[0] == pytest.approx(0.9, abs=0.03)


def test_a_real_recording_lasts_as_long_as_its_packets_say(shared_data: Path) -> None:
    _, seconds = decode(shared_data / "vidln/recordings/1_1.webm")
    assert seconds == pytest.approx(22.92, abs=0.001)


def test_what_cannot_be_used_says_why_in_one_line(beep: Samples, tmp_path: Path) -> None:
    good = encode(tmp_path / "good.webm", beep, "libopus")
    (tmp_path / "text.webm").write_text("not a recording\n" * 100)
    (tmp_path / "empty.ogg").write_bytes(b"")
    (tmp_path / "head.webm").write_bytes(good.read_bytes()[:60])
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:2,\n{good}\n#EXT-X-ENDLIST\n")
    reasons = {
        "text.webm": "broken_recording",
        "empty.ogg": "broken_recording",
        "head.webm": "broken_recording",
        "list.m3u8": "broken_recording",  # it would lead to other files
        "none.webm": "no_recording",
        ".": "broken_recording",
    }
    for name, reason in reasons.items():
        with pytest.raises(VoiceError) as caught:
            decode(tmp_path / name)
        assert caught.value.reason == reason, name
        assert "\n" not in str(caught.value)
        assert pickle.loads(pickle.dumps(caught.value)).reason == reason


def test_a_video_without_sound_has_no_sound(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for packet in stream.encode(av.VideoFrame(32, 32, "yuv420p")):
            container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    with pytest.raises(VoiceError) as caught:
        decode(tmp_path / "a.mp4")
    assert caught.value.reason == "no_sound"


def test_limits_hold(beep: Samples, tmp_path: Path) -> None:
    path = encode(tmp_path / "a.flac", beep, "flac")
    with pytest.raises(VoiceError, match=r"longer than 2 s") as caught:
        decode(path, max_seconds=2.0)
    assert caught.value.reason == "recording_too_long"
    with pytest.raises(VoiceError) as caught:
        decode(path, config=VoiceConfig(max_file_bytes=100))
    assert caught.value.reason == "recording_too_large"


def test_a_broken_end_leaves_the_start(beep: Samples, tmp_path: Path) -> None:
    path = encode(tmp_path / "a.ogg", beep, "libopus")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        _, seconds = decode(path)
    except VoiceError as error:
        assert error.reason in ("broken_recording", "no_sound")  # noqa: PT017
    else:
        assert 0 < seconds < 2.5


def test_without_pyav_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"pip install alp-toolkit\[record\]"):
        decode(tmp_path / "a.webm")
