"""Annotators have links of their own, and the folder remembers them."""

from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.errors import BadDataError, UsageError
from alp_builder.record.guard import check_exposure, own_origins
from alp_builder.record.people import (
    REVIEWER,
    Tokens,
    open_session,
    read_session,
    session_path,
    without,
    write_session,
)
from alp_builder.record.server import links


def test_a_session_is_remembered_and_grows(tmp_path: Path) -> None:
    first = open_session(tmp_path, ["Ann", "Ben"], None, "recorded_x")
    assert session_path(tmp_path).stat().st_mode & 0o077 == 0
    again = open_session(tmp_path, ["Ben", "Cem"], None, "recorded_y")
    assert [(a.number, a.name) for a in again.annotators] == [(1, "Ann"), (2, "Ben"), (3, "Cem")]
    assert again.annotators[:2] == first.annotators
    assert (again.session, again.dataset_id) == (first.session, "recorded_x")
    told = links(again, "http://127.0.0.1:1")
    assert len({link for _, link in told}) == 4
    assert all("/#" in link or "/review#" in link for _, link in told)


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    session = open_session(tmp_path, ["Ann", "Ben"], None, "x")
    write_session(tmp_path, without(session, session.find("Ben")))
    again = open_session(tmp_path, ["Ben"], None, "x")
    assert [(a.number, a.name) for a in again.annotators] == [(1, "Ann"), (3, "Ben")]


def test_tokens_know_their_people(tmp_path: Path) -> None:
    session = open_session(tmp_path, ["Ann", "Ben"], None, "x")
    tokens = Tokens(session)
    assert tokens.number(session.annotators[1].token) == 2
    assert tokens.number(session.review_token) == REVIEWER
    assert tokens.number("") is None
    assert tokens.number(session.review_token[:-1]) is None
    assert all(len(a.token) >= 43 for a in session.annotators)  # 256 bits


@pytest.mark.parametrize("name", [" ", "x" * 81, "new\nline"])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--annotators"):
        open_session(tmp_path, [name], None, "x")


def test_bad_data_set_names_and_broken_sessions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--dataset-id"):
        open_session(tmp_path, [], "../x", "x")
    open_session(tmp_path, [], "good", "x")
    with pytest.raises(UsageError, match="holds good"):
        open_session(tmp_path, [], "other", "x")
    session_path(tmp_path).write_text("{")
    with pytest.raises(BadDataError, match="cannot be read"):
        read_session(tmp_path)


def test_find_takes_a_name_or_a_number(tmp_path: Path) -> None:
    session = open_session(tmp_path, ["Ann", "1"], None, "x")
    assert session.find("1").name == "1"  # a name goes before a number
    assert session.find("2").name == "1"
    with pytest.raises(UsageError, match=r"known: Ann \(1\), 1 \(2\)"):
        session.find("Zoe")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_front(host: str) -> None:
    check_exposure(host, None, behind_tls=False)


@pytest.mark.parametrize(
    ("host", "url", "behind"),
    [
        ("0.0.0.0", None, False),
        ("192.168.1.5", "https://x.org", False),
        ("0.0.0.0", None, True),
        ("127.0.0.1", "http://x.org", False),
        ("127.0.0.1", "https://x.org/path", False),
        ("127.0.0.1", "x.org", False),
        ("example.org", None, False),
    ],
)
def test_no_way_out_without_encryption(host: str, url: str | None, behind: bool) -> None:
    with pytest.raises(UsageError, match="TLS front|expected https"):
        check_exposure(host, url, behind)


def test_a_server_goes_by_its_own_names_only() -> None:
    plain = own_origins("127.0.0.1", 8765, None)
    assert "localhost:8765" in plain.hosts
    assert "http://127.0.0.1:8765" in plain.origins
    fronted = own_origins("0.0.0.0", 8765, "https://Narrate.Example.org")
    assert fronted.hosts == {"narrate.example.org"}
    assert fronted.origins == {"https://narrate.example.org"}
