"""Narratives of any COCO-format data set with masks, and the truth about each of their phrases.

Two JSON Lines files come out: the narratives, a record of exactly the published keys in the
published order, and beside them `STEM.truth.jsonl`, which says for each phrase which things it
means. A narrative depends on (seed, image id, narrative number) and the profile only: neither on
other images nor on how many processes worked.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import atomic_file
from alp_builder.simulate.captions import Caption, Thing, compose
from alp_builder.simulate.coco import (
    CocoAnnotation,
    CocoImage,
    CocoInstances,
    cell_clouds,
    narrative_image_id,
    read_coco,
    things_of,
)
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.itinerary import NO_BOX, Box, Stop, itinerary, places_of
from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.nouns import plural
from alp_builder.simulate.pointer import Regions, Visits, draw_points
from alp_builder.simulate.records import (
    Narrative,
    Point,
    TimedUtterance,
    TruthPhrase,
    truth_path,
)
from alp_builder.simulate.speech import Seconds, time_words, utterances

BATCH = 48
"""Narratives whose traces are drawn at once."""

CHUNK = 192
"""Images a process narrates at a time."""

BACKDROP_GRID = 12
"""Cells on a side of a backdrop's cell cloud."""


ENCODER = msgspec.json.Encoder()

Cloud = NDArray[np.float64]
"""Places that can be pointed at, `(n, 2)`, in image sides."""


class NarratorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the narrator made."""

    simulated: bool
    narratives: int
    images: int
    images_without_things: int
    phrases: int
    points: int
    words: int
    narratives_path: str
    truth_path: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything besides the images that decides what is said.

    Attributes:
        dataset_id: As the records shall name the data set.
        profile: Noise of the narrator.
        seed: Seed of the narratives.
        per_image: Narratives of an image.
        min_side: Least longer side of a thing's box to be spoken of, in image sides.
    """

    dataset_id: str
    profile: NoiseProfile
    seed: int
    per_image: int
    min_side: float


def simulate_narratives(
    coco_json: Path,
    profile: NoiseProfile,
    out_path: Path,
    *,
    seed: int = 0,
    per_image: int = 1,
    dataset_id: str | None = None,
    limit: int | None = None,
    min_side: float = 0.03,
    workers: int = 1,
    progress: bool = True,
) -> NarratorSummary:
    """Narrate the images of a COCO instance file.

    Args:
        coco_json: COCO instance file with polygons or RLE.
        profile: Noise of the narrator.
        out_path: Narratives file to write; the truth file goes beside it.
        seed: Seed; the same seed gives the same bytes for any number of workers.
        per_image: Narratives of each image.
        dataset_id: How records name the data set; by default `info.dataset_id` of the file, else
            "simulated_" and the file's stem.
        limit: Narrate only the first so many images.
        min_side: Least longer side of a thing's box to be spoken of, in image sides.
        workers: Processes.
        progress: Whether to show a progress bar.

    Returns:
        Counts and paths.

    Raises:
        UsageError: If the file is missing or an argument is out of range.
        BadDataError: If the file is no COCO instance file or has no image with things.
    """
    if per_image < 1 or workers < 1 or (limit is not None and limit < 1):
        raise UsageError("per_image, workers and limit must be at least 1")
    coco = read_coco(coco_json)
    name = dataset_id or str(coco.info.get("dataset_id") or f"simulated_{coco_json.stem}")
    job = Job(dataset_id=name, profile=profile, seed=seed, per_image=per_image, min_side=min_side)
    images = coco.images[:limit]
    chunks = [_part(coco, images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
    counts = np.zeros(5, dtype=np.int64)
    truth = truth_path(out_path)
    with ExitStack() as stack:
        out = stack.enter_context(atomic_file(out_path))
        side = stack.enter_context(atomic_file(truth))
        bar = stack.enter_context(
            tqdm(total=len(images), unit="image", desc="simulated narratives", disable=not progress)
        )
        work = partial(narrate_chunk, job=job)
        if workers == 1:
            results: Iterator[tuple[bytes, bytes, list[int]]] = map(work, chunks)
        else:
            results = stack.enter_context(ProcessPoolExecutor(workers)).map(work, chunks)
        for chunk, (lines, truth_lines, counted) in zip(chunks, results, strict=True):
            out.write(lines)
            side.write(truth_lines)
            counts += counted
            bar.update(len(chunk.images))
        if not counts[0]:
            raise BadDataError(f"{coco_json}: no image has a thing to speak of; expected masks")
    return NarratorSummary(
        simulated=True,
        narratives=int(counts[0]),
        images=len(images),
        images_without_things=int(counts[1]),
        phrases=int(counts[2]),
        points=int(counts[3]),
        words=int(counts[4]),
        narratives_path=str(out_path),
        truth_path=str(truth),
    )


def _part(coco: CocoInstances, images: list[CocoImage]) -> CocoInstances:
    """The part of a file that some of its images need."""
    part = {image.id: coco.by_image.get(image.id, []) for image in images}
    return CocoInstances(images, part, coco.categories, {})


class _Spoken(msgspec.Struct):
    """A narrative before its traces are drawn; regions are counted in the batch."""

    image: CocoImage
    number: int
    things: list[Thing]
    caption: Caption
    starts: Seconds
    ends: Seconds
    dice: Dice
    visits: list[Stop]


def narrate_chunk(coco: CocoInstances, job: Job) -> tuple[bytes, bytes, list[int]]:
    """Narrate some images.

    Args:
        coco: Images with their annotations.
        job: What decides what is said.

    Returns:
        Lines of the narratives, lines of the truth, and counts of narratives, images without
        things, phrases, points and words.
    """
    batch = _Batch([], [], [], job)
    pieces: list[tuple[bytes, bytes]] = []
    counts = [0, 0, 0, 0, 0]
    named = [(image, list(things_of(coco, image, job.min_side))) for image in coco.images]
    seen = [(annotation, image) for image, there in named for annotation in there]
    clouds = iter(cell_clouds([annotation for annotation, _ in seen], [image for _, image in seen]))
    for image, there in named:
        if not there:
            counts[1] += 1
            continue
        things = [_thing(annotation, coco, image) for annotation in there]
        first = len(batch.clouds)
        for thing in things:
            x, y, w, h = thing.box
            batch.add(next(clouds), (x, y, x + w, y + h))
        for cloud, box in _backdrops(image):
            batch.add(cloud, box)
        for number in range(job.per_image):
            batch.spoken.append(_speak(image, number, things, first, job))
        if len(batch.spoken) >= BATCH:
            pieces.append(batch.flush(counts))
    if batch.spoken:
        pieces.append(batch.flush(counts))
    return b"".join(out for out, _ in pieces), b"".join(side for _, side in pieces), counts


@dataclass(slots=True)
class _Batch:
    """Narratives whose traces are drawn together, and the regions they point at."""

    spoken: list[_Spoken]
    clouds: list[Cloud]
    boxes: list[Box]
    job: Job

    def add(self, cloud: Cloud, box: Box) -> None:
        """Add a region."""
        self.clouds.append(cloud)
        self.boxes.append(box)

    def flush(self, counts: list[int]) -> tuple[bytes, bytes]:
        """Lines of the narratives and of the truth; the batch is empty then."""
        records: list[Narrative] = []
        meanings: list[TruthPhrase] = []
        for record, phrases in _finish(self.spoken, _regions(self.clouds, self.boxes), self.job):
            records.append(record)
            meanings += phrases
            counts[3] += sum(map(len, record.traces))
            counts[4] += record.caption.count(" ") + 1
        counts[0] += len(records)
        counts[2] += len(meanings)
        for used in (self.spoken, self.clouds, self.boxes):
            used.clear()
        return ENCODER.encode_lines(records), ENCODER.encode_lines(meanings)


def _thing(annotation: CocoAnnotation, coco: CocoInstances, image: CocoImage) -> Thing:
    """A thing as a speaker sees it; its box is clipped to the image."""
    category = coco.categories[annotation.category_id]
    x, y, w, h = annotation.bbox
    x0, y0 = max(x / image.width, 0.0), max(y / image.height, 0.0)
    x1, y1 = min((x + w) / image.width, 1.0), min((y + h) / image.height, 1.0)
    return Thing(
        annotation.id,
        annotation.category_id,
        category.name,
        category.plural or plural(category.name),
        annotation.color,
        (x0, y0, x1 - x0, y1 - y0),
        bool(annotation.iscrowd),
    )


@cache
def _whole() -> Cloud:
    """Cell cloud of a whole image."""
    line = (np.arange(BACKDROP_GRID) + 0.5) / BACKDROP_GRID
    x, y = np.meshgrid(line, line)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _backdrops(image: CocoImage) -> list[tuple[Cloud, Box]]:
    """Places and boxes of the stuff, from top to bottom; one of all where it is not known."""
    if len(image.backdrop) != 2:
        return [(_whole(), NO_BOX)] * max(1, len(image.backdrop))
    line = image.horizon
    return [
        (_whole() * (1, line), (0.0, 0.0, 1.0, line)),
        (_whole() * (1, 1 - line) + (0, line), (0.0, line, 1.0, 1.0)),
    ]


def _regions(clouds: list[Cloud], boxes: list[Box]) -> Regions:
    count = np.array([len(cloud) for cloud in clouds])
    box = np.array(boxes)
    half = (box[:, 2:] - box[:, :2]) / 2
    return Regions(box[:, :2] + half, half, np.concatenate(clouds), np.cumsum(count) - count, count)


def _speak(image: CocoImage, number: int, things: list[Thing], first: int, job: Job) -> _Spoken:
    """Words, their times, and where the pointer should be when."""
    profile = job.profile
    rng = generator("narrative", job.seed, image.id, number)
    dice = Dice(rng)
    caption = compose(things, image.backdrop, dice)
    places = [places_of(phrase, len(things)) for phrase in caption.phrases]
    starts, ends = time_words(caption, [len(place) for place in places], profile, rng)
    visits = itinerary(caption, things, places, first, starts, ends, profile, dice)
    return _Spoken(image, number, things, caption, starts, ends, dice, visits)


def _finish(
    batch: list[_Spoken], regions: Regions, job: Job
) -> Iterator[tuple[Narrative, list[TruthPhrase]]]:
    """Draw the traces of a batch and write its records."""
    rows = [(i, *visit) for i, spoken in enumerate(batch) for visit in spoken.visits]
    table = np.array(rows, dtype=float).reshape(-1, 10)
    whole = table[:, :3].astype(np.int64)
    start, end, lift = table[:, 3:6].T
    narrative, kind, region = whole.T
    visits = Visits(narrative, kind, region, start, end, lift > 0, table[:, 6:])
    points = draw_points(visits, regions, job.profile, [spoken.dice.rng for spoken in batch])
    bounds = np.searchsorted(points.narrative, np.arange(len(batch) + 1)).tolist()
    cuts = np.flatnonzero(points.opens)
    xs, ys, ts = points.xyt.tolist()
    made = list(map(Point, xs, ys, ts))
    for index, spoken in enumerate(batch):
        begin, end = bounds[index], bounds[index + 1]
        mine = [*cuts[np.searchsorted(cuts, begin) : np.searchsorted(cuts, end)].tolist(), end]
        traces = [made[a:b] for a, b in pairwise(mine)]
        yield _record(spoken, traces, job)


def _record(
    spoken: _Spoken, traces: list[list[Point]], job: Job
) -> tuple[Narrative, list[TruthPhrase]]:
    """The published record and its truth."""
    caption, words = spoken.caption, spoken.caption.words
    text = " ".join(words)
    at, position = [], 0
    for word in words:
        at.append(position)
        position += len(word) + 1
    said = utterances(caption, spoken.starts, spoken.ends, job.profile, spoken.dice)
    timed = [TimedUtterance(*utterance) for utterance in said]
    image_id = narrative_image_id(spoken.image.file_name)
    phrases = []
    for index, phrase in enumerate(caption.phrases):
        start = at[phrase.first]
        end = at[phrase.last] + len(words[phrase.last].rstrip(".,"))
        things = [spoken.things[i] for i in phrase.things]
        phrases.append(
            TruthPhrase(
                job.dataset_id,
                image_id,
                spoken.number,
                index,
                start,
                end,
                at[phrase.head_first],
                end,
                text[start:end],
                sorted({thing.category_id for thing in things}),
                [thing.annotation_id for thing in things],
                bool(things),
                phrase.is_plural,
                phrase.is_group,
            )
        )
    record = Narrative(
        dataset_id=job.dataset_id,
        image_id=image_id,
        annotator_id=spoken.number,
        caption=text,
        timed_caption=timed,
        traces=traces,
        voice_recording="",
    )
    return record, phrases
