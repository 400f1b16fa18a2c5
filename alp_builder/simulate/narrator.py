"""Narratives of any COCO-format data set with masks, in the Localized Narratives schema, with their truth.

Two JSON Lines files come out: the narratives, a record of exactly the published keys in the published
order, and beside them `STEM.truth.jsonl`, which says for each phrase which things it means. A narrative
depends on (seed, image id, narrative number) and the profile only: neither on other images nor on how
many processes worked.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

from alp_builder.errors import BadDataError, UsageError
from alp_builder.simulate.captions import MAX_EACH, Caption, Phrase, Thing, compose
from alp_builder.simulate.coco import (
    CocoImage,
    CocoInstances,
    cell_cloud,
    narrative_image_id,
    read_coco,
    things_of,
)
from alp_builder.simulate.dice import Dice, generator
from alp_builder.simulate.files import whole_file
from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.nouns import plural
from alp_builder.simulate.pointer import LEAVE, ON, WANDER, Regions, Visits, draw_points
from alp_builder.simulate.speech import Seconds, time_words, utterances

BATCH = 48
"""Narratives whose traces are drawn at once."""

CHUNK = 192
"""Images a process narrates at a time."""

BACKDROP_GRID = 24
"""Cells on a side of a backdrop's cell cloud."""


SPLIT_PAUSE = 0.5
"""Seconds between the two places of a scribble that falls apart."""


class Point(msgspec.Struct):
    """A trace point: x, y in image sides from the top left, t in seconds."""

    x: float
    y: float
    t: float


class TimedUtterance(msgspec.Struct):
    """An utterance of the published schema; times in seconds."""

    utterance: str
    start_time: float
    end_time: float


class Narrative(msgspec.Struct):
    """A record of the published schema."""

    dataset_id: str
    image_id: str
    annotator_id: int
    caption: str
    timed_caption: list[TimedUtterance]
    traces: list[list[Point]]
    voice_recording: str


class TruthPhrase(msgspec.Struct):
    """What one phrase means: a record of the truth file.

    Attributes:
        dataset_id: Data set of the narrative.
        image_id: Image of the narrative, as the narrative names it.
        annotator_id: Annotator of the narrative.
        phrase_index: Which phrase of the narrative, in the order of the caption.
        char_start: First character of the phrase in the caption, article included.
        char_end: One past its last character.
        noun_start: First character of its noun.
        noun_end: One past the noun's last character.
        phrase: The phrase as it stands in the caption.
        category_ids: Categories meant, sorted; empty for stuff.
        annotation_ids: Annotations meant, several for a plural; empty for stuff.
        is_thing: Whether it means things; stuff otherwise.
        is_plural: Whether it means several things (or a crowd).
        is_group: Whether it names them as a group.
    """

    dataset_id: str
    image_id: str
    annotator_id: int
    phrase_index: int
    char_start: int
    char_end: int
    noun_start: int
    noun_end: int
    phrase: str
    category_ids: list[int]
    annotation_ids: list[int]
    is_thing: bool
    is_plural: bool
    is_group: bool


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


def truth_path(out_path: Path) -> Path:
    """Where the truth of a narratives file lies: `x.jsonl` has `x.truth.jsonl`."""
    return out_path.with_name(out_path.name.removesuffix(".jsonl") + ".truth.jsonl")


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
        out = stack.enter_context(whole_file(out_path))
        side = stack.enter_context(whole_file(truth))
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


Box = tuple[float, float, float, float]
"""xyxy in image sides."""

Stop = tuple[int, int, float, float, bool, float, float, float, float]
"""Kind, region, start, end and lift of a visit, and the box round all that its phrase means."""

NO_BOX = (0.0, 0.0, 1.0, 1.0)


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
    encoder = msgspec.json.Encoder()
    out, truth = bytearray(), bytearray()
    counts = [0, 0, 0, 0, 0]
    batch: list[_Spoken] = []
    clouds: list[np.ndarray] = []

    def flush() -> None:
        if not batch:
            return
        for record, phrases in _finish(batch, _regions(clouds), job):
            out.extend(encoder.encode(record) + b"\n")
            truth.extend(b"".join(encoder.encode(p) + b"\n" for p in phrases))
            counts[0] += 1
            counts[2] += len(phrases)
            counts[3] += sum(map(len, record.traces))
        batch.clear()
        clouds.clear()

    for image in coco.images:
        annotations = list(things_of(coco, image, job.min_side))
        if not annotations:
            counts[1] += 1
            continue
        things = []
        for a in annotations:
            category = coco.categories[a.category_id]
            x, y, w, h = a.bbox
            box = (x / image.width, y / image.height, w / image.width, h / image.height)
            many = category.plural or plural(category.name)
            crowd = bool(a.iscrowd)
            things.append(Thing(a.id, a.category_id, category.name, many, a.color, box, crowd))
        first = len(clouds)
        clouds += [cell_cloud(a, image) for a in annotations]
        clouds += _backdrops(image)
        for number in range(job.per_image):
            spoken = _speak(image, number, things, first, job)
            counts[4] += len(spoken.caption.words)
            batch.append(spoken)
        if len(batch) >= BATCH:
            flush()
    flush()
    return bytes(out), bytes(truth), counts


def _backdrops(image: CocoImage) -> list[np.ndarray]:
    """Cell clouds of the stuff, from top to bottom; one of the whole image where it is not known."""
    line = (np.arange(BACKDROP_GRID) + 0.5) / BACKDROP_GRID
    x, y = np.meshgrid(line, line)
    whole = np.stack([x.ravel(), y.ravel()], axis=1)
    if len(image.backdrop) != 2:
        return [whole] * max(1, len(image.backdrop))
    return [
        whole * (1, image.horizon),
        whole * (1, 1 - image.horizon) + (0, image.horizon),
    ]


def _regions(clouds: list[np.ndarray]) -> Regions:
    count = np.array([len(cloud) for cloud in clouds])
    cells = np.concatenate(clouds)
    offset = np.cumsum(count) - count
    low = np.minimum.reduceat(cells, offset)
    high = np.maximum.reduceat(cells, offset)
    return Regions((low + high) / 2, (high - low) / 2, cells, offset, count)


def _speak(image: CocoImage, number: int, things: list[Thing], first: int, job: Job) -> _Spoken:
    """Words, their times, and where the pointer should be when."""
    profile = job.profile
    rng = generator("narrative", job.seed, image.id, number)
    dice = Dice(rng)
    caption = compose(things, image.backdrop, dice)
    places = [_places(phrase, len(things)) for phrase in caption.phrases]
    starts, ends = time_words(caption, [len(place) for place in places], profile, rng)
    visits = _itinerary(caption, things, places, first, starts, ends, profile, dice)
    return _Spoken(image, number, things, caption, starts, ends, dice, visits)


def _itinerary(
    caption: Caption,
    things: list[Thing],
    places: list[list[int]],
    first: int,
    starts: Seconds,
    ends: Seconds,
    profile: NoiseProfile,
    dice: Dice,
) -> list[Stop]:
    """Where the pointer should be when, phrase by phrase."""
    stops: list[Stop] = []
    begins = starts.tolist()
    window_ends = [*begins[1:], float(ends[-1]) + profile.pause_mean + profile.dwell_min]
    free = 0.0
    for phrase, place in zip(caption.phrases, places, strict=True):
        begin, finish = begins[phrase.first], window_ends[phrase.last]
        if dice.chance(profile.skip_rate):
            continue
        if begin - free > 1.0:
            if dice.chance(profile.leave_rate):
                stops.append((LEAVE, 0, free + 0.3, begin - 0.4, False, *NO_BOX))
            elif dice.chance(profile.wander_rate):
                stops.append((WANDER, 0, free + 0.3, begin - 0.3, False, *NO_BOX))
        frame = _frame(phrase, things)
        split = len(place) == 1 and dice.chance(profile.split_rate)
        rest = SPLIT_PAUSE if split else 0.0
        visited = place * 2 if split else place
        share = (finish - begin) / len(visited)
        for turn, region in enumerate(visited):
            at = begin + turn * share
            lift = (split and turn > 0) or dice.chance(profile.lift_rate)
            until = at + (max(0.4 * share, share - rest) if split and not turn else share)
            stops.append((ON, first + region, at, until, lift, *frame))
        free = finish
    return stops


def _places(phrase: Phrase, things: int) -> list[int]:
    """Regions of the image a phrase leads the pointer to."""
    if phrase.stuff >= 0:
        return [things + phrase.stuff]
    return phrase.things[:MAX_EACH]


def _frame(phrase: Phrase, things: list[Thing]) -> Box:
    """Box round all that a phrase means."""
    if not phrase.things:
        return NO_BOX
    boxes = [things[i].box for i in phrase.things]
    return (
        min(x for x, _, _, _ in boxes),
        min(y for _, y, _, _ in boxes),
        max(x + w for x, _, w, _ in boxes),
        max(y + h for _, y, _, h in boxes),
    )


def _finish(
    batch: list[_Spoken], regions: Regions, job: Job
) -> Iterator[tuple[Narrative, list[TruthPhrase]]]:
    """Draw the traces of a batch and write its records."""
    rows = [(i, *visit) for i, spoken in enumerate(batch) for visit in spoken.visits]
    table = np.array(rows, dtype=float).reshape(-1, 10)
    whole = table[:, :3].astype(np.int64)
    start, end, lift = table[:, 3:6].T
    visits = Visits(*whole.T, start, end, lift > 0, table[:, 6:])
    points = draw_points(visits, regions, job.profile, [spoken.dice.rng for spoken in batch])
    bounds = np.searchsorted(points.narrative, np.arange(len(batch) + 1)).tolist()
    cuts = np.flatnonzero(points.opens)
    xs, ys, ts = points.xyt.T.tolist()
    made = list(map(Point, xs, ys, ts))
    for index, spoken in enumerate(batch):
        begin, end = bounds[index], bounds[index + 1]
        mine = [*cuts[np.searchsorted(cuts, begin) : np.searchsorted(cuts, end)].tolist(), end]
        traces = [made[a:b] for a, b in zip(mine, mine[1:], strict=False)]
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
    timed = [
        TimedUtterance(" ".join(words[u.first : u.last + 1]), u.start, u.end)
        for u in utterances(caption, spoken.starts, spoken.ends, job.profile, spoken.dice)
    ]
    image_id = narrative_image_id(spoken.image.file_name)
    phrases = []
    for index, phrase in enumerate(caption.phrases):
        start = at[phrase.first]
        end = at[phrase.last] + len(words[phrase.last].rstrip(".,"))
        things = [spoken.things[i] for i in phrase.things]
        phrases.append(
            TruthPhrase(
                dataset_id=job.dataset_id,
                image_id=image_id,
                annotator_id=spoken.number,
                phrase_index=index,
                char_start=start,
                char_end=end,
                noun_start=at[phrase.head_first],
                noun_end=end,
                phrase=text[start:end],
                category_ids=sorted({thing.category_id for thing in things}),
                annotation_ids=[thing.annotation_id for thing in things],
                is_thing=bool(things),
                is_plural=phrase.is_plural,
                is_group=phrase.is_group,
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
