"""Load on `alps record`: many annotators at once, a kill in the middle, and a count of what is lost or mixed.

Each annotator is a client of their own: it posts a narrative, waits for the acknowledgement, pauses, and posts
the next. A post that fails is sent again with the same id, as the page does. Half way through the server is
killed (SIGKILL) and started again. At the end every acknowledged narrative must be on disk under its own
annotator, with its own caption, and its recording must have its own bytes.

* `p50_ms`, `p95_ms`: latency of posts that succeeded at the first try, start of the upload to acknowledgement.
* `cpu_ms`: processor time of the server a narrative, what measures lengths included, aligning not.
* `rss_mb`: largest resident memory of the server's process; `workers_mb`: of its worker processes together.

    python -m pipelines.bench_record [--annotators 50] [--seconds 300] [--mb 2] [--pause 5] [--recording FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
from PIL import Image

from alp_builder.record.store import Store

_HEAD = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102")
"""The head of a WebM file, for recordings that nobody will listen to."""


@dataclass
class Figures:
    """What the clients saw.

    Attributes:
        latencies: Seconds of posts that succeeded at the first try.
        acknowledged: SHA-256 of the recording and the caption, by annotator's number and id.
        again: Posts that had to be sent again.
        refused: Answers that said no, by status.
        rss: Largest resident memory of the server, in bytes.
        workers: Largest resident memory of its workers together, in bytes.
    """

    latencies: list[float] = field(default_factory=list)
    acknowledged: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)
    again: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    rss: int = 0
    workers: int = 0


class Server:
    """A server that can be killed and started again.

    Args:
        images: Folder of images.
        out: Folder of recordings.
        annotators: How many.
    """

    def __init__(self, images: Path, out: Path, annotators: int) -> None:
        names = ",".join(f"annotator {n + 1}" for n in range(annotators))
        self._command = [
            sys.executable, "-m", "alp_builder.cli.main", "record", str(images), "--out", str(out),
            "--annotators", names, "--redundancy", str(annotators), "--json",
        ]  # fmt: skip
        self.address = ""
        self.used = 0.0
        self.at_start = 0.0
        self.links: dict[str, str] = {}
        self._start("0")

    def _start(self, port: str) -> None:
        command = [*self._command, "--port", port]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603
        assert self.process.stdout is not None
        told = msgspec.json.decode(self.process.stdout.readline())
        self.address, self.links = told["address"], told["links"]
        self.at_start = self.spent()

    def kill_and_start(self) -> None:
        """SIGKILL, and a new start on the same port."""
        self.used += self.spent() - self.at_start
        self.process.kill()
        self.process.wait()
        self._start(self.address.rpartition(":")[2])

    def memory(self) -> tuple[int, int]:
        """Resident bytes of the server and of its workers."""
        try:
            server = psutil.Process(self.process.pid)
            workers = server.children(recursive=True)
            return server.memory_info().rss, sum(w.memory_info().rss for w in workers)
        except psutil.NoSuchProcess:
            return 0, 0

    def spent(self) -> float:
        """Processor seconds of the server and of its first children: the tracker, and what measures lengths."""
        server = psutil.Process(self.process.pid)
        family = [server, *server.children()[:2]]
        return sum(sum(one.cpu_times()[:2]) for one in family)

    def stop(self) -> None:
        """Ends it without ceremony."""
        self.used += self.spent() - self.at_start
        self.process.kill()
        self.process.wait()


def recording(template: bytes, size: int, mark: bytes) -> bytes:
    """A recording of a size that no other equals: the template, then a Void element with random bytes.

    WebM readers pass over Void elements (EBML, RFC 8794), so the sound stays what it was.
    """
    rest = size - len(template) - 9
    # An EBML id of one byte, then a length of eight bytes, whose first is the marker 0x01.
    void = b"\xec" + (0x0100000000000000 | max(rest, 0)).to_bytes(8, "big")
    return template + void + (mark + os.urandom(max(rest - len(mark), 0)))[: max(rest, 0)]


async def annotate(
    number: int, server: Server, key: str, args: argparse.Namespace, figures: Figures, end: float
) -> None:
    """One annotator until the time is over; what was begun is finished."""
    dice = random.Random(number)
    token = server.links[f"annotator {number}"].partition("#")[2]
    template = args.recording.read_bytes() if args.recording else _HEAD
    await asyncio.sleep(dice.uniform(0, args.pause))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        for turn in itertools.count():
            if time.monotonic() >= end:
                return
            ident = str(uuid.uuid4())
            caption = f"Annotator {number} tells story {turn}."
            points = [[0.5, 0.5, 0.02 * i] for i in range(600)]
            sent = {
                "id": ident,
                "image": key,
                "caption": caption,
                "traces": [points],
                "seconds": 30.0,
            }
            sound = recording(template, int(args.mb * 1e6), f"{number}/{turn}/".encode())
            await _post(session, server, msgspec.json.encode(sent), sound, ident, figures)
            digest = hashlib.sha256(sound).hexdigest()
            figures.acknowledged[number, ident] = (digest, caption)
            await asyncio.sleep(args.pause * dice.uniform(0.5, 1.5))


async def _post(
    session: aiohttp.ClientSession,
    server: Server,
    sent: bytes,
    sound: bytes,
    ident: str,
    figures: Figures,
) -> None:
    """Posts a narrative until it is acknowledged."""
    for attempt in itertools.count():
        form = aiohttp.FormData()
        form.add_field("narrative", sent, content_type="application/json", filename="n")
        form.add_field("recording", sound, content_type="audio/webm", filename="r")
        began = time.monotonic()
        try:
            address = f"{server.address}/api/narratives/{ident}"
            async with session.put(address, data=form) as response:
                told = await response.json()
            if response.status in (200, 201) and told["id"] == ident:
                if attempt == 0:
                    figures.latencies.append(time.monotonic() - began)
                return
            figures.refused[response.status] = figures.refused.get(response.status, 0) + 1
        except (aiohttp.ClientError, OSError):
            pass
        figures.again += 1
        await asyncio.sleep(0.5)


async def _watch(server: Server, figures: Figures) -> None:
    while True:
        rss, workers = server.memory()
        figures.rss, figures.workers = max(figures.rss, rss), max(figures.workers, workers)
        await asyncio.sleep(0.5)


async def load(server: Server, key: str, args: argparse.Namespace) -> Figures:
    """Runs all annotators, with the kill in the middle."""
    figures, began = Figures(), time.monotonic()
    watch = asyncio.create_task(_watch(server, figures))
    people = [
        asyncio.create_task(annotate(n + 1, server, key, args, figures, began + args.seconds))
        for n in range(args.annotators)
    ]
    await asyncio.sleep(args.seconds / 2)
    await asyncio.to_thread(server.kill_and_start)
    await asyncio.gather(*people)
    watch.cancel()
    return figures


def check(out: Path, figures: Figures) -> dict[str, int]:
    """What of the acknowledged narratives is lost or mixed up on disk."""
    store, lost, mixed = Store(out), 0, 0
    for (number, ident), (digest, caption) in figures.acknowledged.items():
        entry = store.entries.get((number, ident))
        if entry is None or not (out / entry.recording).exists():
            lost += 1
            continue
        own = hashlib.sha256((out / entry.recording).read_bytes()).hexdigest() == digest
        folder = Path(entry.recording).parent.name
        mixed += not (own and entry.caption == caption and folder == str(number))
    return {"lost": lost, "mixed": mixed}


def bench(args: argparse.Namespace) -> dict[str, Any]:
    """The whole benchmark in a temporary folder, which it removes."""
    with tempfile.TemporaryDirectory(prefix="bench-record-", dir=args.folder) as temporary:
        images, out = Path(temporary) / "images", Path(temporary) / "out"
        images.mkdir()
        Image.new("RGB", (64, 48)).save(images / "one.png")
        server = Server(images, out, args.annotators)
        try:
            from alp_builder.record.images import image_key

            figures = asyncio.run(load(server, image_key("one.png"), args))
        finally:
            server.stop()
        found = check(out, figures)
    times = sorted(figures.latencies) or [0.0]
    return {
        "annotators": args.annotators,
        "seconds": args.seconds,
        "mb": args.mb,
        "acknowledged": len(figures.acknowledged),
        **found,
        "sent_again": figures.again,
        "refused": figures.refused,
        "p50_ms": round(1000 * times[len(times) // 2]),
        "p95_ms": round(1000 * times[int(0.95 * len(times))]),
        "cpu_ms": round(1000 * server.used / max(len(figures.acknowledged), 1), 1),
        "rss_mb": round(figures.rss / 1e6),
        "workers_mb": round(figures.workers / 1e6),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--mb", type=float, default=2)
    parser.add_argument(
        "--pause", type=float, default=5, help="mean seconds between narratives (5)"
    )
    parser.add_argument("--recording", type=Path, help="a real WebM recording; aligned meanwhile")
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    figures = bench(args)
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2).decode()
    if args.json:
        args.json.write_text(text + "\n")
    sys.stdout.write(text + "\n")
    return 1 if figures["lost"] or figures["mixed"] else 0


if __name__ == "__main__":
    sys.exit(main())
