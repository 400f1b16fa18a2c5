"""What browsers send is checked, bounded and cleaned before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from alp_builder.record.config import RecordConfig
from alp_builder.record.containers import sniff
from alp_builder.record.submission import (
    SubmissionError,
    clean_caption,
    read_submission,
    trace_points,
)
from tests.alp_builder.record.conftest import WEBM, narrative

CONFIG = RecordConfig(max_points=50, max_caption_chars=60, max_word_chars=40, max_seconds=20)


def read(**fields: Any) -> Any:
    return read_submission(msgspec.json.encode(narrative() | fields), CONFIG)


def test_a_good_one_comes_back_clean() -> None:
    sent = read(caption="  Zwei Ka\u0308fer\n sitzen da. ", traces=[[[0.5, -0.05, 0.0]], []])
    assert sent.caption == "Zwei K\u00e4fer sitzen da."
    assert [[(p.x, p.y, p.t) for p in s] for s in trace_points(sent)] == [[(0.5, -0.05, 0.0)]]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "../../etc/passwd"}, "malformed"),
        ({"id": "0" * 36}, "malformed"),
        ({"image": "../one.png"}, "malformed"),
        ({"caption": " \n\t\u2028 "}, "empty_caption"),
        ({"caption": "word " * 20}, "long_caption"),
        ({"caption": "w" * 41}, "long_word"),
        ({"caption": 7}, "malformed"),
        ({"seconds": 23}, "long_recording"),
        ({"seconds": -1}, "malformed"),
        ({"traces": [[[0.5, 0.5, 1.0], [0.5, 0.5, 0.9]]]}, "unsorted_trace"),
        ({"traces": [[[0.5, 0.5, 1.0]], [[0.5, 0.5, 0.9]]]}, "unsorted_trace"),
        ({"traces": [[[640, 480, 1.0]]]}, "malformed"),
        ({"traces": [[[0.5, 0.5, 5.0]]]}, "late_trace"),
        ({"traces": [[[0.5, 0.5]]]}, "malformed"),
        ({"traces": [[[0.5, 0.5, 0.1]] * 51]}, "long_trace"),
        ({"surprise": 1}, "malformed"),
        ({"agent": "x" * 500}, "malformed"),
    ],
)
def test_a_bad_one_is_refused_with_its_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        read(**fields)
    assert caught.value.reason == reason
    assert 400 <= caught.value.status < 500


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"seconds": NaN}'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(SubmissionError, match="cannot be read"):
        read_submission(data, CONFIG)


def test_captions_keep_their_words_and_lose_what_controls() -> None:
    assert clean_caption("<b>A</b>\x1b[31m \u202etest") == "<b>A</b> [31m \u202etest"
    assert clean_caption("a\ud800b") == "a?b"


def test_containers_are_told_by_their_bytes(shared_data: Path) -> None:
    recordings = sorted((shared_data / "vidln" / "recordings").iterdir())
    assert recordings
    assert {sniff(path.read_bytes()[:4096]) for path in recordings} == {".webm"}


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (WEBM, ".webm"),
        (WEBM.replace(b"webm", b"mkv_"), None),
        (b"OggS" + bytes(24) + b"OpusHead", ".ogg"),
        (b"OggS" + bytes(24) + b"\x80theora", None),
        (bytes(4) + b"ftypisom", ".m4a"),
        (b"RIFF0000WAVEfmt ", None),
        (b"<!doctype html>", None),
        (b"", None),
    ],
)
def test_heads(head: bytes, suffix: str | None) -> None:
    assert sniff(head) == suffix
