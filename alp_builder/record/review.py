"""What the reviewer's page asks for: all current narratives, each with its words and ALPs; and its decisions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from alp_builder.record.desk import DESK, Desk, entry_of, image_fields, recording
from alp_builder.record.guard import answer
from alp_builder.record.layout import Entry, Review
from alp_builder.record.narrate import UUID
from alp_builder.record.submission import SubmissionError, clean_caption

_MAX_BODY = 64 * 2**10


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the reviewer sends."""

    decision: Literal["accepted", "returned"]
    note: Annotated[str, Meta(max_length=1_000)] = ""


def add_routes(app: web.Application) -> None:
    """Adds the addresses of the reviewer's page."""
    one = f"/api/review/{{annotator:[0-9]{{1,9}}}}/{{id:{UUID}}}"
    app.router.add_get("/api/review", overview)
    app.router.add_get(one, show)
    app.router.add_get(f"{one}/recording", listen)
    app.router.add_post(one, decide)


async def overview(request: web.Request) -> web.Response:
    """All current narratives in the order they came, without traces."""
    desk = request.app[DESK]
    entries = sorted(desk.store.current().values(), key=lambda entry: entry.sequence)
    return answer(
        {
            "session": desk.session.session,
            "dataset": desk.session.dataset_id,
            "missing": desk.jobs.missing or "",
            "expected": sum(map(len, desk.shares.values())),
            "narratives": [_summary(desk, entry) for entry in entries],
        }
    )


def _summary(desk: Desk, entry: Entry) -> dict[str, object]:
    ids = (entry.annotator, entry.id)
    review = desk.store.reviews.get(ids)
    return {
        "id": entry.id,
        "annotator": entry.annotator,
        "name": desk.name(entry.annotator),
        "image": image_fields(desk, entry.image) | {"id": entry.image_id},
        "caption": entry.caption,
        "seconds": entry.seconds,
        "received": entry.received,
        "state": desk.store.states[ids],
        "decision": review.decision if review else "",
        "note": review.note if review else "",
    }


async def show(request: web.Request) -> web.Response:
    """One narrative with all that was made of it."""
    desk, entry = _find(request)
    ids = (entry.annotator, entry.id)
    stored = await asyncio.to_thread(desk.store.narrative, ids)
    outcome = await asyncio.to_thread(desk.store.outcome, ids)
    traces = [[[p.x, p.y, p.t] for p in segment] for segment in stored.traces]
    details = _summary(desk, entry) | {
        "traces": traces,
        "clock": stored.clock,
        "outcome": outcome,
    }
    return answer(details)


async def listen(request: web.Request) -> web.StreamResponse:
    """The recording of a narrative."""
    return await recording(*_find(request))


async def decide(request: web.Request) -> web.Response:
    """Accepts or returns a narrative; the answer comes when the decision is durable."""
    desk, entry = _find(request)
    body = bytearray()
    async for chunk in request.content.iter_chunked(2**14):
        body += chunk
        if len(body) > _MAX_BODY:
            raise SubmissionError("too_large", "the note is too long", 413)
    try:
        sent = msgspec.json.decode(bytes(body), type=Decision)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SubmissionError("malformed", f"the decision cannot be read ({error})") from error
    if desk.store.current()[entry.image, entry.annotator].id != entry.id:
        raise SubmissionError("superseded", "its annotator has narrated the image again", 409)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    review = Review(decision=sent.decision, note=clean_caption(sent.note), at=at)
    try:
        await asyncio.to_thread(desk.store.set_review, (entry.annotator, entry.id), review)
    except OSError as error:
        detail = f"the server cannot write ({error.strerror or error}); nothing was saved"
        raise SubmissionError("disk", detail, 507) from error
    desk.jobs.changed()
    return answer(_summary(desk, entry))


def _find(request: web.Request) -> tuple[Desk, Entry]:
    desk, info = request.app[DESK], request.match_info
    return desk, entry_of(desk, int(info["annotator"]), info["id"])
