"""A server in its own process, a client of its interface, and a Chromium whose microphone plays a file."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest
from PIL import Image

from alp_builder.record.images import image_key
from tests.alp_builder.page.conftest import browser_program

WEBM = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102")
"""The head of a WebM file: enough to be taken for a recording, not enough to be one."""


@dataclass
class Running:
    """A server that runs."""

    process: subprocess.Popen[str]
    out: Path
    address: str
    links: dict[str, str]

    def token(self, name: str) -> str:
        return self.links[name].partition("#")[2]

    def stop(self) -> dict[str, int]:
        """Stops it as Ctrl+C does; returns its figures."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        figures: dict[str, int] = msgspec.json.decode(output)
        return figures

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)


def start(images: Path, out: Path, *words: str) -> Running:
    """Starts `alps record` and reads where it is."""
    command = [
        sys.executable,
        "-m",
        "alp_builder.cli.main",
        "record",
        str(images),
        "--out",
        str(out),
    ]
    process = subprocess.Popen(
        [*command, "--json", *(words if "--port" in words else ("--port", "0", *words))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the server did not start (exit code {process.wait(timeout=30)})"
    told = msgspec.json.decode(line)
    return Running(process, out, told["address"], told["links"])


@contextmanager
def serving(images: Path, out: Path, *words: str) -> Iterator[Running]:
    """A server for as long as a block runs."""
    server = start(images, out, *words)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


@dataclass
class Client:
    """One annotator's side of the interface."""

    server: Running
    name: str
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        """A request; headers given as `host_name=...`. Returns the status and what came back."""
        parts = urlsplit(self.server.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        given = {"Authorization": f"Bearer {self.server.token(self.name)}"} | self.headers
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        is_json = response.getheader("Content-Type", "").startswith("application/json")
        return response.status, msgspec.json.decode(data) if is_json else data

    def put(self, sent: dict[str, Any], sound: bytes = WEBM, **headers: str) -> tuple[int, Any]:
        """Sends a narrative."""
        body, kind = form(msgspec.json.encode(sent), sound)
        path = f"/api/narratives/{sent['id']}"
        return self.ask("PUT", path, body, **({"Content_Type": kind} | headers))


def form(narrative: bytes, sound: bytes) -> tuple[bytes, str]:
    """A form of two parts, and its content type."""
    edge = uuid.uuid4().hex
    body = b""
    for name, kind, data in (
        ("narrative", "application/json", narrative),
        ("recording", "audio/webm", sound),
    ):
        head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        body += head.encode() + f"Content-Type: {kind}\r\n\r\n".encode() + data + b"\r\n"
    return body + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def narrative(image: str = "one.png", **fields: Any) -> dict[str, Any]:
    """A submission about an image."""
    points = [[0.1 + 0.01 * i, 0.5, 0.1 * i] for i in range(20)]
    sent = {
        "id": str(uuid.uuid4()),
        "image": image_key(image),
        "caption": "A red car.",
        "traces": [points[:10], points[10:]],
        "seconds": 2.5,
    }
    return sent | fields


def write_images(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), (40 * number % 256, 90, 160)).save(path)
    return folder


@pytest.fixture(scope="session")
def two_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two images, one.png and sub/two.jpg. Never written to."""
    return write_images(tmp_path_factory.mktemp("images"), "one.png", "sub/two.jpg")


OpenVoice = Callable[..., Any]


@contextmanager
def narrating_browser(sound: Path | None = None) -> Iterator[Any]:
    """A Chromium that gives its microphone to whoever asks; it plays a WAV file once, or beeps."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = browser_program()
    if program is None:
        pytest.skip("no Chromium on this machine")
    flags = ["--disable-background-networking", "--disable-component-update", "--disable-gpu"]
    flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    if sound is not None:
        flags.append(f"--use-file-for-fake-audio-capture={sound}%noloop")
    if os.geteuid() == 0:  # Chromium's sandbox does not run for root
        flags.append("--no-sandbox")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=flags)
        yield running
        running.close()


def onsets(samples: np.ndarray, rate: int, quiet: float = 0.2) -> np.ndarray:
    """When clicks start, in seconds."""
    loud = np.abs(samples.astype(np.float64))
    index = np.flatnonzero(loud > 0.25 * loud.max())
    starts = index[np.r_[True, np.diff(index) > quiet * rate]]
    return starts / rate
