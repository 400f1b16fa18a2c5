"""A real HTTP server on this machine that serves one file, and can misbehave on order.

It tells what it was asked and how many bytes of the body it sent, so that a test can assert that a
resumed download asked for the missing bytes alone.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Faults:
    """How one answer goes wrong.

    Attributes:
        status: Answer with this status and no file.
        silent: Hang up without an answer.
        headers: Headers added to the answer, in place of the server's own.
        cut: Close the connection after so many bytes of the body.
        claim: Content-Length that is told, in place of the truth.
        chunked: Send the body in chunks, with no length.
        nameless: Tell neither length nor chunks.
    """

    status: int = 0
    silent: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    claim: int | None = None
    chunked: bool = False
    nameless: bool = False


@dataclass
class FileServer:
    """What is served, how, and what was asked."""

    body: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    faults: list[Faults] = field(default_factory=list)
    pause: float = 0.0
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FileServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        state = self.state
        state.asked.append(dict(self.headers))
        fault = state.faults.pop(0) if state.faults else Faults()
        self.close_connection = True
        if fault.silent:
            return
        if fault.status:
            self._head(fault.status, {"Content-Length": "0", **fault.headers})
            return
        if state.etag and self.headers.get("If-None-Match") == state.etag:
            self._head(304, {})
            return
        start, wanted = 0, self.headers.get("Range")
        if wanted and state.ranges and self.headers.get("If-Range") == state.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(state.body):
            self._head(416, {"Content-Range": f"bytes */{len(state.body)}"})
            return
        body = state.body[start:]
        headers = {"ETag": state.etag} if state.etag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(state.body) - 1}/{len(state.body)}"
        if fault.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not fault.nameless:
            claim = len(body) if fault.claim is None else fault.claim
            headers["Content-Length"] = str(claim)
        self._head(206 if start else 200, headers | fault.headers)
        self._body(body if fault.cut is None else body[: fault.cut], fault)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def _body(self, body: bytes, fault: Faults) -> None:
        sent = 0
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(body), 4096):
                piece = body[at : at + 4096]
                frame = b"%x\r\n%s\r\n" % (len(piece), piece) if fault.chunked else piece
                self.wfile.write(frame)
                sent += len(piece)
                time.sleep(self.state.pause)
            if fault.chunked and fault.cut is None:
                self.wfile.write(b"0\r\n\r\n")
        self.state.sent.append(sent)


@contextlib.contextmanager
def serve(state: FileServer) -> Iterator[FileServer]:
    """Serve on a free port of the loopback address while the context lasts."""
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/narratives.jsonl"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
