"""Where recordings are found: names that are refused, folders, a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alp_builder.errors import UsageError
from alp_builder.http_range import FetchConfig, OfflineError
from alp_builder.voice.audio import VoiceError
from alp_builder.voice.recordings import FetchedRecordings, LocalRecordings, safe_name
from tests.alp_builder.file_server import Faults, FileServer, serve

IMPATIENT = FetchConfig(attempts=2, first_attempts=1, backoff=0.01, max_bytes=100_000)
BODY = bytes(range(256)) * 100


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../a.ogg", "a/../../b.ogg", "a//b.ogg", "./a.ogg", "a/.", "..", "a\\b.ogg", "C:a.ogg",
        "https://example.org/a.ogg", "a\0.ogg", "a\n.ogg", ".hidden", "a/.cache", "a" * 300, "a/" * 600 + "b",
        "a?b.ogg", "\u202ea.ogg",
    ],
)  # fmt: skip
def test_names_that_could_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(VoiceError) as caught:
        safe_name(name)
    assert caught.value.reason == "unsafe_name"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [None, ""])
def test_a_record_may_name_none(name: str | None) -> None:
    with pytest.raises(VoiceError) as caught:
        safe_name(name)
    assert caught.value.reason == "no_recording"


@given(st.text(max_size=80))
def test_what_is_let_through_stays_inside(name: str) -> None:
    try:
        path = safe_name(name)
    except VoiceError:
        return
    inside = Path("/folder").joinpath(*path.parts)
    assert not path.is_absolute()
    assert Path("/folder") in inside.resolve().parents


def test_a_folder_may_leave_out_the_first_parts_and_hold_another_container(tmp_path: Path) -> None:
    (tmp_path / "OVIS").mkdir()
    for name in ("OVIS/a.webm", "b.wav", "c.webm", "c.ogg"):
        (tmp_path / name).write_bytes(b"")
    folder = LocalRecordings(tmp_path)
    assert folder.find("recordings/OVIS/a.webm") == tmp_path / "OVIS/a.webm"
    assert folder.find("recordings/OVIS/b.webm") == tmp_path / "b.wav"
    assert folder.find("c.webm") == tmp_path / "c.webm"
    assert folder.find("OVIS/c.mp4") == tmp_path / "c.ogg"
    with pytest.raises(VoiceError) as caught:
        folder.find("d.webm")
    assert caught.value.reason == "no_recording"
    with pytest.raises(UsageError, match="no such folder"):
        LocalRecordings(tmp_path / "none")


def test_recordings_are_fetched_once_and_resumed(tmp_path: Path) -> None:
    with serve(FileServer(BODY, faults=[Faults(cut=10_000)])) as server:
        base = server.url.rpartition("/")[0] + "/voices"
        fetched = FetchedRecordings(tmp_path, base, fetch=IMPATIENT)
        path = fetched.find("coco_val/a b.ogg")
        assert path.read_bytes() == BODY
        assert path.is_relative_to(tmp_path / "voice-recordings")
        assert server.asked[1]["Range"] == "bytes=10000-"
        fetched.prepare(["coco_val/a b.ogg", "coco_val/c.ogg", "../d.ogg"])
        assert len(server.asked) == 3  # one is at hand, one is new, one is refused
    assert fetched.find("coco_val/c.ogg").read_bytes() == BODY  # the server is gone


def test_what_the_server_does_not_give_is_told_of_that_record(tmp_path: Path) -> None:
    faults = [Faults(status=404), Faults(status=500), Faults(status=500)]
    with serve(FileServer(BODY * 5, faults=faults)) as server:
        fetched = FetchedRecordings(tmp_path, server.url, fetch=IMPATIENT)
        for name, words in (("a.ogg", "404"), ("b.ogg", "500"), ("c.ogg", "100,000 accepted")):
            with pytest.raises(VoiceError, match=words) as caught:
                fetched.find(name)
            assert caught.value.reason == "not_fetched"
        fetched.prepare(["a.ogg"])  # raises nothing
    assert not list(tmp_path.rglob("c.ogg"))


def test_offline_ends_the_run_with_one_line(tmp_path: Path) -> None:
    fetched = FetchedRecordings(tmp_path, "http://127.0.0.1:9/voices/", fetch=IMPATIENT)
    for ask in (lambda: fetched.find("a.ogg"), lambda: fetched.prepare(["a.ogg"])):
        with pytest.raises(OfflineError, match=r"no connection to 127\.0\.0\.1.*--recordings DIR"):
            ask()
