"""Locations as they may be told: no credentials in what is published or logged."""

from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.errors import AlpError
from alp_builder.inputs import NarrativeSource, find_sources
from alp_builder.manifest import read_manifest
from alp_builder.remote import shown
from tests.alp_builder.conftest import Builder
from tests.alp_builder.file_server import Faults, FileServer, serve
from tests.alp_builder.simulated import simulated_records, to_line

PASSWORD, SIGNATURE = "hunter2", "5f00d5"


def with_secrets(url: str) -> str:
    place = url.replace("http://", f"http://me:{PASSWORD}@")
    return f"{place}?part=2&X-Amz-Signature={SIGNATURE}&X-Amz-Credential={SIGNATURE}"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://host/x.jsonl", "https://host/x.jsonl"),
        ("https://me@host/x", "https://host/x"),
        ("https://me:p@ss@host:8/x@y?a=b@c", "https://host:8/x@y?a=b@c"),
        ("s3://bucket/a@b.jsonl", "s3://bucket/a@b.jsonl"),
        ("https://h/x?id=5&sv=1&sig=abc%3D", "https://h/x?id=5&sv=1&sig=..."),
        (
            "https://h/x?AWSAccessKeyId=A&Signature=B",
            "https://h/x?AWSAccessKeyId=...&Signature=...",
        ),
        ("data/me:p@ss/x?token=1.jsonl", "data/me:p@ss/x?token=1.jsonl"),
    ],
)
def test_what_is_shown_of_a_location(location: str, expected: str) -> None:
    assert shown(location) == expected


def test_a_build_keeps_no_credentials_of_its_inputs(tmp_path: Path, build_here: Builder) -> None:
    body = b"".join(map(to_line, simulated_records(3))) + b"no record\n"
    with serve(FileServer(body)) as server:
        build_here(find_sources([with_secrets(server.url)], "train"), tmp_path / "out")
    assert server.asked[0]["Authorization"].startswith("Basic ")  # they are used
    (entry,) = read_manifest(tmp_path / "out").inputs
    assert entry.location.endswith(
        "/narratives.jsonl?part=2&X-Amz-Signature=...&X-Amz-Credential=..."
    )
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert PASSWORD.encode() not in data, file
            assert SIGNATURE.encode() not in data, file


@pytest.mark.parametrize(
    "fault",
    [
        Faults(status=404),
        Faults(status=302, headers={"Location": "ftp://me:hunter2@host/x"}),
        Faults(status=302, headers={"Location": "http://127.0.0.1:99999/?sig=5f00d5"}),
        Faults(nameless=True),
    ],
    ids=["missing", "led away", "led nowhere", "no size"],
)
def test_messages_show_no_credentials(fault: Faults, tmp_path: Path, build_here: Builder) -> None:
    with serve(FileServer(b"", faults=[fault])) as server:
        source = NarrativeSource(location=with_secrets(server.url), split="train")
        with pytest.raises(AlpError) as told:
            build_here([source], tmp_path / "out")
    assert PASSWORD not in str(told.value)
    assert SIGNATURE not in str(told.value)
    assert "narratives.jsonl" in str(told.value)
    for file in (tmp_path / "out").rglob("*.json"):
        assert PASSWORD.encode() not in file.read_bytes(), file
