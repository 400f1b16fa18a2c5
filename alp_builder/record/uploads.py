"""Takes a narrative in: two parts of a form, `narrative` (JSON) and `recording`, bounded while they arrive.

The recording goes to a temporary file as it comes, hashed on the way, and is refused as soon as it is too large
or does not begin as a recording does. Whatever happens before the answer, either the whole narrative is on
disk or nothing of it.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aiohttp import BodyPartReader, web

from alp_builder.record.config import RecordConfig
from alp_builder.record.containers import HEAD, MEDIA_TYPES, sniff
from alp_builder.record.images import ImageList
from alp_builder.record.jobs import Jobs
from alp_builder.record.layout import Entry, recording_name
from alp_builder.record.store import Store
from alp_builder.record.submission import Submission, SubmissionError, read_submission

_BLOCK = 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass
class _Arriving:
    """A recording on its way to a temporary file."""

    path: Path
    stream: BinaryIO
    hasher: hashlib._Hash
    size: int = 0
    head: bytes = b""

    def write(self, block: bytes) -> None:
        self.stream.write(block)
        self.hasher.update(block)

    def flush(self) -> None:
        self.stream.flush()
        os.fsync(self.stream.fileno())


class Uploads:
    """Takes narratives in.

    Args:
        store: Where they go.
        images: What may be narrated.
        jobs: Aligns them afterwards.
        config: Limits.
    """

    def __init__(self, store: Store, images: ImageList, jobs: Jobs, config: RecordConfig) -> None:
        self._store, self._images, self._jobs, self._config = store, images, jobs, config

    async def take(
        self, request: web.Request, annotator: int, narrative: str
    ) -> tuple[Entry, bool]:
        """Takes a narrative in.

        Args:
            request: The upload.
            annotator: Number of who sends it.
            narrative: Its id, from the address; matched against its pattern.

        Returns:
            Its entry, durable, and whether it is new.

        Raises:
            SubmissionError: If it is refused; then nothing of it was kept, and the detail says so.
        """
        try:
            async with asyncio.timeout(self._config.upload_seconds):
                return await self._take(request, annotator, narrative)
        except TimeoutError as error:
            raise SubmissionError(
                "slow", "the upload took too long; nothing was saved", 408
            ) from error
        except OSError as error:
            if error.errno in _FULL:
                detail = "the server's disk is full; nothing was saved"
            else:
                detail = f"the server cannot write ({error.strerror or error}); nothing was saved"
            raise SubmissionError("disk", detail, 507) from error

    async def _take(
        self, request: web.Request, annotator: int, narrative: str
    ) -> tuple[Entry, bool]:
        free = shutil.disk_usage(self._store.out).free
        if free < self._config.min_free_bytes:
            raise SubmissionError("disk", "the server's disk is full; nothing was saved", 507)
        if not request.content_type.startswith("multipart/form-data"):
            raise SubmissionError("malformed", "expected a form of two parts", 415)
        try:
            form = await request.multipart()
            text = await _small_part(form, self._config.max_narrative_bytes)
            sent = read_submission(text, self._config)
            if sent.id != narrative:
                raise SubmissionError("malformed", "the narrative's id is not that of its address")
            image = self._images.images.get(sent.image)
            if image is None:
                raise SubmissionError("no_image", "there is no such image here (any more)", 404)
            async with self._arriving(annotator, narrative) as arriving:
                part = await _part(form, "recording")
                suffix = await self._receive(part, arriving)
                await self._check_length(arriving.path)
                about = _entry(annotator, sent, text, arriving, suffix)
                entry, new = await asyncio.to_thread(
                    self._store.commit, annotator, sent, image.image_id, arriving.path, about
                )
        except (ValueError, AssertionError) as error:  # what aiohttp raises for broken forms
            raise SubmissionError(
                "malformed", "the upload is broken; nothing was saved", 400
            ) from error
        if new:
            self._jobs.add((annotator, narrative))
        return entry, new

    @asynccontextmanager
    async def _arriving(self, annotator: int, narrative: str) -> AsyncIterator[_Arriving]:
        """A temporary file for a recording; gone afterwards unless it was moved."""
        path = self._store.temporary(annotator, narrative, secrets.token_hex(8))
        try:
            with path.open("xb") as stream:
                yield _Arriving(path, stream, hashlib.sha256())
        finally:
            path.unlink(missing_ok=True)

    async def _receive(self, part: BodyPartReader, arriving: _Arriving) -> str:
        """Writes a recording to disk as it comes; returns the ending for its name."""
        waiting = bytearray()
        while chunk := await part.read_chunk(2**18):
            arriving.size += len(chunk)
            if len(arriving.head) < HEAD:
                arriving.head += chunk[: HEAD - len(arriving.head)]
            if arriving.size > self._config.max_recording_bytes:
                limit = self._config.max_recording_bytes / 1e6
                raise SubmissionError("too_large", f"the recording is over {limit:.0f} MB", 413)
            waiting += chunk
            if len(waiting) >= _BLOCK:
                await asyncio.to_thread(arriving.write, bytes(waiting))
                waiting.clear()
        suffix = sniff(arriving.head)
        if suffix is None:
            detail = "the recording is neither WebM nor Ogg nor MP4; nothing was saved"
            raise SubmissionError("no_recording", detail, 415)
        await asyncio.to_thread(arriving.write, bytes(waiting))
        await asyncio.to_thread(arriving.flush)
        return suffix

    async def _check_length(self, path: Path) -> None:
        seconds = await self._jobs.length(path)
        if seconds is not None and seconds > self._config.max_seconds + self._config.clock_slack:
            detail = f"the recording is longer than {self._config.max_seconds:.0f} s"
            raise SubmissionError("long_recording", detail, 413)


def _entry(
    annotator: int, sent: Submission, text: bytes, arriving: _Arriving, suffix: str
) -> Entry:
    digest = hashlib.sha256(hashlib.sha256(text).digest() + arriving.hasher.digest())
    return Entry(
        id=sent.id,
        annotator=annotator,
        image=sent.image,
        image_id="",
        caption=sent.caption,
        seconds=sent.seconds,
        recording=recording_name(annotator, sent.id, suffix),
        media_type=MEDIA_TYPES[suffix],
        size=arriving.size,
        digest=digest.hexdigest(),
        sequence=0,
        received="",
    )


async def _part(form: object, name: str) -> BodyPartReader:
    """The next part of a form, which must have this name."""
    part = await form.next()  # type: ignore[attr-defined]
    if not isinstance(part, BodyPartReader) or part.name != name:
        raise SubmissionError("malformed", f"expected a part {name!r}; nothing was saved", 400)
    return part


async def _small_part(form: object, limit: int) -> bytes:
    part, data = await _part(form, "narrative"), bytearray()
    while chunk := await part.read_chunk(2**16):
        data += chunk
        if len(data) > limit:
            raise SubmissionError("too_large", "the narrative is too large; nothing was saved", 413)
    return bytes(data)
