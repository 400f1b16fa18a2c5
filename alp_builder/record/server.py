"""Opens a folder for recording and serves it until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from alp_builder.errors import UsageError
from alp_builder.files import exclusive
from alp_builder.record import narrate, pages, review
from alp_builder.record.config import RecordConfig
from alp_builder.record.desk import DESK, Desk
from alp_builder.record.guard import check_exposure, guard, own_origins
from alp_builder.record.images import find_images
from alp_builder.record.jobs import Jobs
from alp_builder.record.layout import PRIVATE
from alp_builder.record.people import Session, Tokens, open_session
from alp_builder.record.publish import publish
from alp_builder.record.sharing import share_out
from alp_builder.record.store import Store, read_shares, write_shares
from alp_builder.record.uploads import Uploads

DEFAULT_PORT = 8765

_PATIENCE = 5.0  # seconds that answers under way may still take when the server stops
_BACKLOG = 256
_LOOK_AGAIN = 0.5  # seconds between two looks at what is left


@dataclass(frozen=True)
class RecordRequest:
    """What to record, where, and who may.

    Attributes:
        images: Folder of images.
        out: Folder of recordings.
        annotators: Names; new ones are added to those the folder knows.
        redundancy: Annotators an image gets.
        dataset_id: Of the narratives; default made of the images' folder.
        host: Address to listen on.
        port: Port; 0 for any that is free.
        public_url: Address of a TLS front.
        behind_tls: Whether such a front is there, which is what other addresses than loopback need.
        draft: Offer drafts of captions.
        only_accepted: Publish only what the reviewer has accepted.
        until_done: Stop when every image has been narrated.
        config: Limits.
    """

    images: Path
    out: Path
    annotators: list[str] = field(default_factory=list)
    redundancy: int = 1
    dataset_id: str | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    public_url: str | None = None
    behind_tls: bool = False
    draft: bool = False
    only_accepted: bool = False
    until_done: bool = False
    config: RecordConfig = field(default_factory=RecordConfig)


@contextlib.contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Holds a folder of recordings for this process alone."""
    with exclusive(out / PRIVATE / "lock", f"recording into {out}"):
        yield


def open_desk(request: RecordRequest) -> tuple[Desk, list[str]]:
    """Reads or makes the folder; the caller holds it with `only_one`.

    Returns:
        The desk, and notes for whoever started it.
    """
    images = find_images(request.images)
    default = "recorded_" + "".join(
        c if c.isascii() and c.isalnum() else "_" for c in request.images.resolve().name
    )
    session = open_session(request.out, request.annotators, request.dataset_id, default[:100])
    store = Store(request.out)
    notes = [f"left out: {n} image files, as {why}" for why, n in sorted(images.left_out.items())]
    if leftovers := store.clear_leftovers():
        notes.append(
            f"removed {len(leftovers)} unfinished files of a stop or kill; nobody was told that they were saved"
        )
    numbers = [annotator.number for annotator in session.annotators]
    begun = {(entry.image, entry.annotator) for entry in store.entries.values()}
    shares = share_out(
        list(images.images), numbers, request.redundancy, read_shares(request.out), begun
    )
    write_shares(request.out, shares)
    if request.redundancy > len(numbers):
        notes.append(
            f"--redundancy {request.redundancy}: there are {len(numbers)} annotators, each gets every image"
        )
    jobs = Jobs(store, session.dataset_id, request.config, request.only_accepted)
    if jobs.missing:
        notes.append(f"narratives are kept without word times: {jobs.missing}")
        if request.draft:
            raise UsageError(f"--draft: {jobs.missing}")
    return Desk(session, images, shares, store, jobs, request.config, request.draft), notes


def make_app(desk: Desk, host: str, port: int, public_url: str | None) -> web.Application:
    """The web application of a desk."""
    origins = own_origins(host, port, public_url)
    app = web.Application(middlewares=[guard(origins, Tokens(desk.session))])
    app[DESK] = desk
    app[narrate.UPLOADS] = Uploads(desk.store, desk.images, desk.jobs, desk.config)
    pages.add_routes(app)
    narrate.add_routes(app)
    review.add_routes(app)
    return app


def links(session: Session, base: str) -> list[tuple[str, str]]:
    """Name and link of every annotator, and the reviewer's."""
    told = [(a.name, f"{base}/#{a.token}") for a in session.annotators]
    return [*told, ("review", f"{base}/review#{session.review_token}")]


Announce = Callable[[Desk, list[str], str], None]
"""Told the desk, the notes and the address (without a slash at its end) once all are served."""


async def serve(request: RecordRequest, announce: Announce) -> Counter[str]:
    """Serves until a signal says stop, or all is done.

    Returns:
        What the narratives' file came to, see `publish`.

    Raises:
        UsageError: If the folder is in use, the address is taken, or it may not be listened on.
    """
    check_exposure(request.host, request.public_url, request.behind_tls)
    with only_one(request.out):
        desk, notes = open_desk(request)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        listener = _listen(request.host, request.port)
        port = listener.getsockname()[1]
        app = make_app(desk, request.host, port, request.public_url)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_PATIENCE)
        await runner.setup()
        await desk.jobs.warm_up()
        desk.jobs.start()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        host = f"[{request.host}]" if ":" in request.host else request.host
        announce(desk, notes, (request.public_url or f"http://{host}:{port}").rstrip("/"))
        watch = asyncio.create_task(_stop_when_done(desk, stop)) if request.until_done else None
        try:
            await stop.wait()
        finally:
            if watch is not None:
                watch.cancel()
            await runner.cleanup()
            await desk.jobs.stop()
        return publish(desk.store, desk.session.dataset_id, request.only_accepted)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"{host} port {port}: cannot listen there ({reason}); give another --port or --host"
        ) from error


async def _stop_when_done(desk: Desk, stop: asyncio.Event) -> None:
    while desk.left():
        await asyncio.sleep(_LOOK_AGAIN)
    stop.set()
