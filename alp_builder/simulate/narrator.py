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
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import atomic_file
from alp_builder.simulate.coco import CocoImage, CocoInstances, read_coco
from alp_builder.simulate.noise import NoiseProfile
from alp_builder.simulate.records import truth_path
from alp_builder.simulate.telling import Job, narrate_chunk

CHUNK = 192
"""Images a process narrates at a time."""


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
