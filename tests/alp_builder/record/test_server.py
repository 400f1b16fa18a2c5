"""The server as others meet it: who may ask for what, what it refuses, and what it keeps."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from alp_builder.cli.main import main
from alp_builder.record.images import image_key
from alp_builder.record.publish import set_aside_path
from tests.alp_builder.record.conftest import WEBM, Client, Running, form, narrative, serving


@pytest.fixture(scope="module")
def server(two_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with two annotators; each gets both images."""
    out = tmp_path_factory.mktemp("served") / "out"
    words = ["--annotators", "Ann, Ben <b>&", "--redundancy", "2", "--max-mb", "0.5"]
    with serving(two_images, out, *words, "--max-seconds", "20") as running:
        yield running


@pytest.fixture
def ann(server: Running) -> Client:
    return Client(server, "Ann")


@pytest.fixture
def ben(server: Running) -> Client:
    return Client(server, "Ben <b>&")


@pytest.fixture
def reviewer(server: Running) -> Client:
    return Client(server, "review")


def test_each_link_is_one_person(ann: Client, ben: Client, reviewer: Client) -> None:
    told = ann.ask("GET", "/api/me")[1]
    assert (told["number"], told["name"]) == (1, "Ann")
    assert [image["id"] for image in told["images"]] == ["one", "sub/two"]
    assert ben.ask("GET", "/api/me")[1]["name"] == "Ben <b>&"
    assert reviewer.ask("GET", "/api/me")[1]["reviewer"]


@pytest.mark.parametrize("path", ["/api/me", "/api/images/0123456789abcdef", "/api/review"])
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic QTpC", "Bearer \u00fc"])
def test_nothing_without_a_token(ann: Client, path: str, header: str) -> None:
    status, told = ann.ask("GET", path, Authorization=header)
    assert (status, told["error"]) == (401, "token")


def test_nobody_does_what_is_anothers(ann: Client, ben: Client, reviewer: Client) -> None:
    sent = narrative()
    assert ann.put(sent)[0] == 201
    path = f"/api/narratives/{sent['id']}"
    assert ann.ask("GET", path)[1]["caption"] == "A red car."
    assert ann.ask("GET", f"{path}/recording") == (200, WEBM)
    assert ben.ask("GET", path)[0] == 404
    assert ben.ask("GET", f"{path}/recording")[0] == 404
    review = f"/api/review/1/{sent['id']}"
    assert ann.ask("GET", review)[0] == 403
    assert ann.ask("POST", review, b'{"decision": "accepted"}')[0] == 403
    assert reviewer.ask("GET", f"{review}/recording") == (200, WEBM)
    assert reviewer.put(narrative())[0] == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_other_sites_are_refused(ann: Client, headers: dict[str, str], status: int) -> None:
    assert ann.ask("GET", "/api/me", **headers)[0] == status


def test_its_own_origin_passes(ann: Client, server: Running) -> None:
    assert ann.ask("GET", "/api/me", Origin=server.address)[0] == 200
    named = server.address.replace("127.0.0.1", "localhost")
    host = urlsplit(named).netloc
    assert ann.ask("GET", "/api/me", Origin=named, Host=host)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../people.py", "/static/%2e%2e/people.py", "/static/", "/static/none.js", "/../etc/passwd",
        "/api/images/../../etc/passwd", "/api/images/..%2f..%2fone.png", "/api/images/one.png",
        "/api/narratives/../x", "/api/review/1/%2e%2e", "/_record/session.json", "/narratives.jsonl",
    ],
)  # fmt: skip
def test_no_path_leads_anywhere(ann: Client, reviewer: Client, path: str) -> None:
    for who in (ann, reviewer):
        status, body = who.ask("GET", path)
        assert status in (403, 404), path
        assert b"root:" not in str(body).encode()


def test_answers_carry_their_headers(server: Running, ann: Client) -> None:
    import requests

    page = requests.get(server.address, timeout=30)
    script = requests.get(f"{server.address}/static/main.js", timeout=30)
    refused = requests.get(f"{server.address}/api/me", timeout=30)
    for response in (page, script, refused):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
    assert refused.headers["Cache-Control"] == "no-store"
    assert page.headers["Cache-Control"] == "no-cache"
    again = requests.get(
        f"{server.address}/static/main.js", headers={"If-None-Match": script.headers["ETag"]}, timeout=30
    )  # fmt: skip
    assert again.status_code == 304
    for name in ("index.html", "review.html"):
        text = (
            page.text
            if name == "index.html"
            else requests.get(f"{server.address}/review", timeout=30).text
        )
        assert "<script>" not in text
        assert " style=" not in text
        assert " on" not in text.split("<body>")[0]


def test_images_come_as_they_are(ann: Client, two_images: Path) -> None:
    status, data = ann.ask("GET", f"/api/images/{image_key('one.png')}")
    assert (status, data) == (200, (two_images / "one.png").read_bytes())


BROKEN: list[tuple[dict[str, Any], bytes, int, str]] = [
    ({"caption": ""}, WEBM, 422, "empty_caption"),
    ({"seconds": 60}, WEBM, 413, "long_recording"),
    ({"image": "0" * 16}, WEBM, 404, "no_image"),
    ({}, b"MZ is no recording", 415, "no_recording"),
    ({}, b"", 415, "no_recording"),
    ({}, WEBM + bytes(600_000), 413, "too_large"),
]


@pytest.mark.parametrize(("fields", "sound", "status", "reason"), BROKEN)
def test_what_is_refused_leaves_nothing(
    server: Running, ann: Client, fields: dict[str, Any], sound: bytes, status: int, reason: str
) -> None:
    sent = narrative() | fields
    answer, told = ann.put(sent, sound)
    assert (answer, told["error"]) == (status, reason)
    assert told["detail"]
    assert not [path for path in server.out.rglob("*") if sent["id"] in path.name]


def test_broken_forms_are_refused(ann: Client) -> None:
    sent = narrative()
    path = f"/api/narratives/{sent['id']}"
    body, kind = form(msgspec.json.encode(sent), WEBM)
    assert ann.ask("PUT", path, body)[0] == 415
    assert ann.ask("PUT", path, body, Content_Type="multipart/form-data")[0] == 400
    assert ann.ask("PUT", path, body[:300], Content_Type=kind)[0] == 422
    assert ann.ask("PUT", path, b"", Content_Type=kind)[0] == 400
    other = f"/api/narratives/{narrative()['id']}"
    assert ann.ask("PUT", other, body, Content_Type=kind)[0] == 422
    assert ann.ask("PUT", path, body, Content_Type=kind)[0] == 201


def test_a_recording_longer_than_it_says_is_refused(ann: Client, shared_data: Path) -> None:
    pytest.importorskip("av")
    sound = (shared_data / "vidln" / "recordings" / "0_0.webm").read_bytes()  # 25 s
    status, told = ann.put(narrative(), sound)
    assert (status, told["error"]) == (413, "long_recording")


def test_sent_twice_it_is_there_once_and_ids_of_two_never_meet(ann: Client, ben: Client) -> None:
    sent = narrative(image="sub/two.jpg")
    first = ann.put(sent)
    assert (first[0], ann.put(sent)[0]) == (201, 200)
    assert ann.put(sent)[1] == first[1]
    assert ann.put(sent | {"caption": "Another."})[1]["error"] == "other_narrative"
    assert ben.put(sent | {"caption": "Ben's own."})[0] == 201
    path = f"/api/narratives/{sent['id']}"
    assert [c.ask("GET", path)[1]["caption"] for c in (ann, ben)] == ["A red car.", "Ben's own."]


def test_a_returned_narrative_goes_back_with_its_note(ben: Client, reviewer: Client) -> None:
    first = narrative()
    assert ben.put(first)[0] == 201
    path = f"/api/review/2/{first['id']}"
    for body in (b"", b'{"decision": "burnt"}', b'{"decision": "returned", "note": 7}'):
        assert reviewer.ask("POST", path, body)[0] == 422
    note = b'{"decision": "returned", "note": "<i>no</i> car"}'
    assert reviewer.ask("POST", path, note)[0] == 200
    image = ben.ask("GET", "/api/me")[1]["images"][0]
    assert (image["state"], image["note"]) == ("returned", "<i>no</i> car")
    assert ben.put(narrative(caption="A blue car."))[0] == 201
    assert ben.ask("GET", "/api/me")[1]["images"][0]["state"] == "done"
    assert reviewer.ask("POST", path, note)[0] == 409


def test_many_at_once_never_mix(server: Running) -> None:
    clients = [Client(server, name) for name in ("Ann", "Ben <b>&")] * 4
    sent = [
        [narrative(caption=f"Told by {c.name} {i} {k}.") for k in range(3)]
        for i, c in enumerate(clients)
    ]
    answers: list[int] = []

    def send(client: Client, batch: list[dict[str, Any]]) -> None:
        answers.extend(client.put(each, WEBM + os.urandom(50_000))[0] for each in batch)

    threads = [threading.Thread(target=send, args=pair) for pair in zip(clients, sent, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 24
    for client, batch in zip(clients, sent, strict=True):
        for each in batch:
            kept = client.ask("GET", f"/api/narratives/{each['id']}")[1]
            assert kept["caption"] == each["caption"]


def test_a_slow_client_holds_up_nobody(server: Running, ann: Client) -> None:
    parts = urlsplit(server.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as idle:
        idle.sendall(b"PUT /api/narratives/x HTTP/1.1\r\nHost: ")
        assert ann.ask("GET", "/api/me")[0] == 200


def test_one_folder_one_server(
    server: Running, two_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", str(two_images), "--out", str(server.out)]) == 2
    assert main(["record", "--out", str(server.out), "--forget", "Ann"]) == 2
    assert capsys.readouterr().err.count("under way in another process") == 2


def test_a_kill_loses_nothing_and_a_restart_goes_on(two_images: Path, tmp_path: Path) -> None:
    out, sent = tmp_path / "out", narrative()
    with serving(two_images, out, "--annotators", "Ann") as server:
        port = str(urlsplit(server.address).port)
        assert Client(server, "Ann").put(sent)[0] == 201
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    with serving(two_images, out, "--port", port) as server:
        ann = Client(server, "Ann")
        assert ann.put(sent)[0] == 200
        assert [image["state"] for image in ann.ask("GET", "/api/me")[1]["images"]] == [
            "done",
            "todo",
        ]
        figures = server.stop()
    assert sum(figures.values()) == 1
    aside = msgspec.json.decode(set_aside_path(out).read_bytes())
    assert aside["caption"] == "A red car."
    _forget(out, sent["id"])


def _forget(out: Path, narrative_id: str) -> None:
    """Forgets Ann; nothing of hers is left, nor of her narratives."""
    assert main(["record", "--out", str(out), "--forget", "Ann", "--json"]) == 0
    left = [path for path in out.rglob("*") if path.is_file()]
    assert not any(narrative_id in path.name for path in left)
    assert not any(b"Ann" in path.read_bytes() for path in left)
    assert main(["record", "--out", str(out), "--forget", "Ann"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--out", "OUT"],
        ["IMAGES", "--out", "OUT", "--host", "0.0.0.0"],
        ["IMAGES", "--out", "OUT", "--redundancy", "0"],
        ["IMAGES", "--out", "OUT", "--port", "99999"],
        ["IMAGES", "--out", "OUT", "--max-mb", "0"],
        ["IMAGES", "--out", "OUT", "--max-seconds", "-1"],
        ["OUT", "--out", "OUT"],
        ["--out", "OUT", "--forget", "Ann"],
        ["IMAGES", "--out", "OUT", "--public-url", "http://x.org"],
    ],
)
def test_mistakes_cost_one_line(
    words: list[str], two_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"IMAGES": str(two_images), "OUT": str(tmp_path / "out")}
    assert main(["record", *(places.get(word, word) for word in words)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_voice_that_cannot_be_read_is_kept_and_flagged(ann: Client, reviewer: Client) -> None:
    sent = narrative(caption="Kept all the same.")
    assert ann.put(sent)[0] == 201
    path, end = f"/api/review/1/{sent['id']}", time.monotonic() + 60
    while (told := reviewer.ask("GET", path)[1])["state"] == "waiting":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert told["state"] == "flagged"
    assert told["outcome"]["reason"] == "broken_recording"
    assert str(Path.cwd()) not in told["outcome"]["detail"]
