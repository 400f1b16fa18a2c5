"""What the annotator's page asks for: its list, images, narratives of its own, drafts; and what it sends."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from pathlib import Path

from aiohttp import web

from alp_builder.record.containers import sniff
from alp_builder.record.desk import DESK, Desk, entry_of, image_fields, recording
from alp_builder.record.guard import WHO, answer
from alp_builder.record.people import REVIEWER
from alp_builder.record.pool import WorkerDied
from alp_builder.record.submission import SubmissionError
from alp_builder.record.uploads import Uploads

UPLOADS = web.AppKey("uploads", Uploads)
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def add_routes(app: web.Application) -> None:
    """Adds the addresses of the annotator's page."""
    app.router.add_get("/api/me", me)
    app.router.add_get("/api/images/{key:[0-9a-f]{16}}", image)
    app.router.add_put(f"/api/narratives/{{id:{UUID}}}", take)
    app.router.add_get(f"/api/narratives/{{id:{UUID}}}", show)
    app.router.add_get(f"/api/narratives/{{id:{UUID}}}/recording", listen)
    app.router.add_post("/api/draft", draft)


async def me(request: web.Request) -> web.Response:
    """Who the link belongs to, what they have to do, and the limits."""
    desk, who = request.app[DESK], request[WHO]
    config = desk.config
    told: dict[str, object] = {
        "session": desk.session.session,
        "dataset": desk.session.dataset_id,
        "number": who,
        "name": "reviewer" if who == REVIEWER else desk.name(who),
        "reviewer": who == REVIEWER,
        "draft": desk.draft,
        "limits": {
            "band": config.band,
            "seconds": config.max_seconds,
            "bytes": config.max_recording_bytes,
            "caption": config.max_caption_chars,
            "points": config.max_points,
            "voice_bits": config.voice_bits,
        },
        "images": [] if who == REVIEWER else _images(desk, who),
    }
    return answer(told)


def _images(desk: Desk, who: int) -> list[dict[str, object]]:
    """The annotator's images, in order; also those narrated once and since given to somebody else."""
    current = desk.store.current()
    listed = []
    for key in desk.images.images:
        entry = current.get((key, who))
        if who not in desk.shares.get(key, ()) and entry is None:
            continue
        fields = image_fields(desk, key) | {"state": desk.state(key, who, current)}
        if entry is not None:
            review = desk.store.reviews.get((who, entry.id))
            fields |= {"narrative": entry.id, "note": review.note if review else ""}
        listed.append(fields)
    return listed


async def image(request: web.Request) -> web.StreamResponse:
    """An image's file, as it is."""
    images, key = request.app[DESK].images, request.match_info["key"]
    path = images.path(key)
    if path is None:
        raise SubmissionError("no_image", "the image is gone from the folder", 404)
    headers = {
        "Content-Type": images.images[key].media_type,
        "Cache-Control": "private, no-cache",
    }
    return web.FileResponse(path, headers=headers)


async def take(request: web.Request) -> web.Response:
    """Takes a narrative in; the answer comes when it is durable."""
    uploads = request.app[UPLOADS]
    entry, new = await uploads.take(request, request[WHO], request.match_info["id"])
    return answer({"id": entry.id, "received": entry.received}, 201 if new else 200)


async def show(request: web.Request) -> web.Response:
    """A narrative of one's own, to correct its caption."""
    desk, who = request.app[DESK], request[WHO]
    entry = entry_of(desk, who, request.match_info["id"])
    stored = await asyncio.to_thread(desk.store.narrative, (who, entry.id))
    traces = [[[p.x, p.y, p.t] for p in segment] for segment in stored.traces]
    return answer(
        {
            "id": entry.id,
            "image": entry.image,
            "caption": entry.caption,
            "seconds": entry.seconds,
            "traces": traces,
            "clock": stored.clock,
        }
    )


async def listen(request: web.Request) -> web.StreamResponse:
    """A recording of one's own."""
    desk = request.app[DESK]
    return await recording(desk, entry_of(desk, request[WHO], request.match_info["id"]))


async def draft(request: web.Request) -> web.Response:
    """A rough transcript of a recording that is not kept."""
    desk = request.app[DESK]
    if not desk.draft:
        raise SubmissionError("no_draft", "drafts are off; start `alps record` with --draft", 404)
    data = bytearray()
    async for chunk in request.content.iter_chunked(2**18):
        data += chunk
        if len(data) > desk.config.max_recording_bytes:
            raise SubmissionError("too_large", "the recording is too large", 413)
    suffix = sniff(bytes(data[:4096]))
    if suffix is None:
        raise SubmissionError("no_recording", "this is no recording", 415)
    with tempfile.TemporaryDirectory(prefix="alps-draft-") as folder:
        path = Path(folder) / f"{secrets.token_hex(8)}{suffix}"
        await asyncio.to_thread(path.write_bytes, data)
        try:
            text = await desk.jobs.draft(path, desk.config.max_seconds)
        except WorkerDied as error:
            raise SubmissionError("no_draft", f"no draft: {error}", 503) from error
        except Exception as error:
            raise SubmissionError("no_draft", f"no draft: {error}", 422) from error
    return answer({"text": text})
