"""What all handlers share: the folder, its people, images and narratives, and who has what to do."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from alp_builder.record.config import RecordConfig
from alp_builder.record.images import ImageList
from alp_builder.record.jobs import Jobs
from alp_builder.record.layout import Entry
from alp_builder.record.people import Session
from alp_builder.record.sharing import Shares
from alp_builder.record.store import Store
from alp_builder.record.submission import SubmissionError


@dataclass(frozen=True)
class Desk:
    """A folder that is being recorded into.

    Attributes:
        session: Its people.
        images: What is narrated.
        shares: Who narrates what.
        store: The narratives.
        jobs: What happens to them.
        config: Limits.
        draft: Whether drafts of captions may be asked for.
    """

    session: Session
    images: ImageList
    shares: Shares
    store: Store
    jobs: Jobs
    config: RecordConfig
    draft: bool = False

    def name(self, number: int) -> str:
        """What an annotator is called."""
        names = (a.name for a in self.session.annotators if a.number == number)
        return next(names, f"annotator {number}")

    def state(self, image: str, annotator: int, current: dict[tuple[str, int], Entry]) -> str:
        """`todo`, `done`, or `returned` by the reviewer."""
        entry = current.get((image, annotator))
        if entry is None:
            return "todo"
        review = self.store.reviews.get((annotator, entry.id))
        return "returned" if review is not None and review.decision == "returned" else "done"

    def left(self) -> int:
        """Narratives that are still to be recorded or aligned."""
        current = self.store.current()
        missing = sum(
            self.state(image, who, current) != "done"
            for image, group in self.shares.items()
            for who in group
        )
        if self.jobs.missing is not None:
            return missing
        return missing + sum(
            self.store.states[entry.annotator, entry.id] == "waiting" for entry in current.values()
        )


DESK = web.AppKey("desk", Desk)


def entry_of(desk: Desk, annotator: int, narrative: str) -> Entry:
    """An entry by the ids of an address.

    Raises:
        SubmissionError: If there is none.
    """
    entry = desk.store.entries.get((annotator, narrative))
    if entry is None:
        raise SubmissionError("no_narrative", "there is no such narrative", 404)
    return entry


async def recording(desk: Desk, entry: Entry) -> web.StreamResponse:
    """A recording as an answer."""
    path = desk.store.out / entry.recording
    if not path.is_file():
        raise SubmissionError("no_recording", "the recording is gone", 404)
    headers = {"Content-Type": entry.media_type, "Content-Disposition": "attachment"}
    return web.FileResponse(path, headers=headers)


def image_fields(desk: Desk, key: str) -> dict[str, object]:
    """What a page knows of an image."""
    image = desk.images.images.get(key)
    if image is None:
        return {"key": key, "id": "", "width": 4, "height": 3}
    return {"key": key, "id": image.image_id, "width": image.width, "height": image.height}
