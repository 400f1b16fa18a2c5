"""What narrators say of some images, and where they point: records of the two files as bytes.

Images are narrated a chunk at a time: masks become regions at once, captions and visits are made
narrative by narrative, and the pointer moves through a batch of narratives at once. Nothing here
depends on how images are chunked: each narrative draws from its own generator.
"""

from __future__ import annotations

from itertools import chain, islice

import msgspec
import numpy as np

from alp_builder.simulate.captions import Caption, Phrase, Thing, compose
from alp_builder.simulate.coco import (
    CocoAnnotation,
    CocoImage,
    CocoInstances,
    narrative_image_id,
    things_of,
)
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.itinerary import STOP_SIZE, Box, Stop, frame_of, itinerary, places_of
from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.nouns import plural
from alp_builder.simulate.pointer import Visits, draw_points
from alp_builder.simulate.records import NarrativeLine, TimedUtterance, TruthPhrase
from alp_builder.simulate.regions import (
    Regions,
    backdrops_of,
    interleave,
    regions_of,
)
from alp_builder.simulate.speech import Seconds, time_words, utterances
from alp_builder.simulate.trace_json import encode_points, encode_traces

BATCH = 48
"""Narratives whose traces are drawn at once."""

ENCODER = msgspec.json.Encoder()


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


class _Spoken(msgspec.Struct):
    """A narrative before its traces are drawn."""

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

    Raises:
        BadDataError: If a mask is damaged.
    """
    named = [(image, list(things_of(coco, image, job.min_side))) for image in coco.images]
    seen = [(image, there) for image, there in named if there]
    things, regions, first = _look(coco, seen)
    spoken = [
        _speak(image, number, there, at, job)
        for (image, _), there, at in zip(seen, things, first, strict=True)
        for number in range(job.per_image)
    ]
    counts = np.array([len(spoken), len(named) - len(seen), 0, 0, 0])
    pieces = []
    for start in range(0, len(spoken), BATCH):
        *lines, counted = _write(spoken[start : start + BATCH], regions, job)
        pieces.append(lines)
        counts[2:] += counted
    return b"".join(out for out, _ in pieces), b"".join(side for _, side in pieces), counts.tolist()


def _look(
    coco: CocoInstances, seen: list[tuple[CocoImage, list[CocoAnnotation]]]
) -> tuple[list[list[Thing]], Regions, list[int]]:
    """The things of each image as a speaker sees them, all regions, and each image's first."""
    images = [image for image, _ in seen]
    flat = [annotation for _, there in seen for annotation in there]
    numbers = np.array([len(there) for _, there in seen], dtype=np.int64)
    owner = np.repeat(np.arange(len(seen)), numbers)
    their = [images[i] for i in owner.tolist()]
    regions, boxes = regions_of(flat, their)
    boxes[:, 2:] -= boxes[:, :2]
    parts = iter(zip(flat, boxes.tolist(), strict=True))
    things = [
        [_thing(annotation, box, coco) for annotation, box in islice(parts, len(there))]
        for _, there in seen
    ]
    stuff, of_image = backdrops_of(images)
    of_stuff = np.repeat(np.arange(len(seen)), of_image)
    regions = interleave(regions, owner, stuff, of_stuff)
    total = numbers + of_image
    return things, regions, (np.cumsum(total) - total).tolist()


def _thing(annotation: CocoAnnotation, box: list[float], coco: CocoInstances) -> Thing:
    """A thing as a speaker sees it, at a box xywh in image sides."""
    category = coco.categories[annotation.category_id]
    return Thing(
        annotation.id,
        annotation.category_id,
        category.name,
        category.plural or plural(category.name),
        annotation.color,
        (box[0], box[1], box[2], box[3]),
        bool(annotation.iscrowd),
    )


def _speak(image: CocoImage, number: int, things: list[Thing], first: int, job: Job) -> _Spoken:
    """Words, their times, and where the pointer should be when."""
    profile = job.profile
    rng = generator("narrative", job.seed, image.id, number)
    dice = Dice(rng)
    caption = compose(things, image.backdrop, dice)
    places = [places_of(phrase, len(things), profile.most_each) for phrase in caption.phrases]
    starts, ends = time_words(caption, [len(place) for place in places], profile, rng)
    visits = itinerary(caption, things, places, first, starts, ends, profile, dice)
    return _Spoken(image, number, things, caption, starts, ends, dice, visits)


def _write(
    batch: list[_Spoken], regions: Regions, job: Job
) -> tuple[bytes, bytes, tuple[int, int, int]]:
    """Lines of a batch's narratives and of their truth; counts of phrases, points and words."""
    visits = _visits([spoken.visits for spoken in batch])
    points = draw_points(visits, regions, job.profile, [spoken.dice.rng for spoken in batch])
    text = encode_points(points.xyt)
    cuts = np.flatnonzero(points.opens)
    bounds = np.searchsorted(points.narrative, np.arange(len(batch) + 1))
    cut_bounds = np.searchsorted(cuts, bounds).tolist()
    cut_list, ends = cuts.tolist(), bounds[1:].tolist()
    records: list[NarrativeLine] = []
    meanings: list[TruthPhrase] = []
    for index, spoken in enumerate(batch):
        edges = [*cut_list[cut_bounds[index] : cut_bounds[index + 1]], ends[index]]
        record, phrases = _record(spoken, encode_traces(text, edges), job)
        records.append(record)
        meanings += phrases
    words = sum(len(spoken.caption.words) for spoken in batch)
    counted = (len(meanings), len(points.narrative), words)
    return ENCODER.encode_lines(records), ENCODER.encode_lines(meanings), counted


def _visits(stops: list[list[Stop]]) -> Visits:
    """The stops of a batch as arrays."""
    numbers = [len(their) for their in stops]
    flat = chain.from_iterable(chain.from_iterable(stops))
    table = np.fromiter(flat, dtype=np.float64, count=sum(numbers) * STOP_SIZE)
    table = table.reshape(-1, STOP_SIZE)
    narrative = np.repeat(np.arange(len(stops)), numbers)
    kind, region = table[:, :2].astype(np.int64).T
    start, end, lift = table[:, 2:5].T
    return Visits(narrative, kind, region, start, end, lift > 0, table[:, 5:])


def _meant(phrase: Phrase, spoken: _Spoken) -> Box | None:
    """Box round all that a phrase means, where it is known."""
    if phrase.things:
        x0, y0, x1, y1 = frame_of(phrase, spoken.things)
        return round(x0, 6), round(y0, 6), round(x1, 6), round(y1, 6)
    if len(spoken.image.backdrop) != 2:
        return None
    line = spoken.image.horizon
    return (0.0, line, 1.0, 1.0) if phrase.stuff else (0.0, 0.0, 1.0, line)


def _record(spoken: _Spoken, traces: bytes, job: Job) -> tuple[NarrativeLine, list[TruthPhrase]]:
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
                _meant(phrase, spoken),
            )
        )
    record = NarrativeLine(
        dataset_id=job.dataset_id,
        image_id=image_id,
        annotator_id=spoken.number,
        caption=text,
        timed_caption=timed,
        traces=msgspec.Raw(traces),
        voice_recording="",
    )
    return record, phrases
