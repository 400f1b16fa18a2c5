"""`make bench-alps`: speed and memory of the builder, as ratios against named references in the same run.

Machines are noisy, so ours and the reference take turns in many short rounds, and each figure is the best of
its rounds. What runs in one process is timed by its CPU time, which other programs of the machine hardly touch:

- `vs_spacy`: narratives/s of a whole build in one process (hashing, reading, phrases, boxes, shards,
  manifest) over captions/s of bare `nlp.pipe` with the components a build needs (tok2vec, tagger, parser,
  attribute_ruler), as spaCy runs them, on the same captions in batches of the same size. Loading the model
  counts on neither side.
- `two_workers`: narratives/s of a whole build with two workers over those with one. The start of the
  processes and loading the model count on both sides, two seconds a worker, so this one takes as many
  narratives as a small published split.
- `two_spacy`: what two processes of bare spaCy, loaded already, give over one: what the machine has to give.
- `align_per_s`: narratives/s of alignment, windows, points and boxes alone, phrases given, on one core, in
  batches as builds make them (`shards.chunk_bytes`). A batch has just been read when a build aligns it; so each
  side runs twice in its turn, and the second run counts.
- `vs_interpolators`: `align_per_s` over that of a plain reference in the manner of the published per-word
  scripts: an interpolator a word, 16 samples, smallest and largest; a phrase's box is the union of its words'.
- `rss_mb`: peak memory of the process of a one-worker build, by number of narratives.

The narratives are simulated, of real size: about 45 words and 600 trace points.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from tqdm import tqdm

from alp_builder.arrays import Floats
from alp_builder.build import build
from alp_builder.chunks import ChunkTask, build_chunk
from alp_builder.config import BuildConfig
from alp_builder.copies import localise
from alp_builder.extraction import AlpExtractor, locate_boxes
from alp_builder.files import write_atomic
from alp_builder.inputs import NarrativeSource, scan
from alp_builder.narratives import GRID, NarrativeBatch, read_narratives
from alp_builder.phrases import Phrase, load_pipeline

if TYPE_CHECKING:
    from spacy.language import Language

SAMPLES_PER_WORD = 16


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark and prints its figures.

    Args:
        arguments: Of the command line; default those of this process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("narratives", type=Path, help="simulated narratives to measure on")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each comparison (10)")
    parser.add_argument("--count", type=int, default=600, help="narratives of a round (600)")
    parser.add_argument(
        "--worker-count", type=int, default=24_000, help="narratives to compare workers on (24000)"
    )
    parser.add_argument("--memory-counts", type=int, nargs="*", default=[1000, 50_000])
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-alps-") as name:
        figures = _measure(args, Path(name))
    for key, value in figures.items():
        sys.stdout.write(f"{key:<18}{value if isinstance(value, dict) else f'{value:,.3f}'}\n")
    if args.json:
        write_atomic(args.json, msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    return 0


def _measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """All figures; `folder` is for files and goes afterwards."""
    config = BuildConfig()
    file = tile(args.narratives, folder / "narratives.jsonl", args.count)
    extractor = AlpExtractor(config)
    bare = load_pipeline(config.phrases.spacy_model)
    bare.disable_pipe("lemmatizer")  # ours looks lemmas up for heads alone
    batches = _batches(file, folder, config)
    captions = [caption for batch in batches for caption in batch.captions]
    ours, spacy = alternate(
        args.rounds,
        lambda: build_loaded(file, folder / "out", config, extractor),
        lambda: _bare_spacy(captions, bare, config.phrases.spacy_batch_size),
        "against spaCy",
    )
    phrases = [list(extractor.phrases.extract(batch.captions)) for batch in batches]
    work = list(zip(batches, phrases, strict=True))
    arrays, interpolators = alternate(
        args.rounds,
        lambda: [locate_boxes(batch, found, config) for batch, found in work],
        lambda: [interpolate_words(batch, found) for batch, found in work],
        "against interpolators",
        warm=True,
    )
    many = tile(args.narratives, folder / "many.jsonl", args.worker_count)
    one, two = alternate(
        max(1, args.rounds // 5),
        lambda: _build_with(many, folder / "out", config, 1),
        lambda: _build_with(many, folder / "out", config, 2),
        "two workers",
        clock=time.perf_counter,
    )
    two_spacy = _two_spacy(captions, config)
    memory = {}
    for count in tqdm(args.memory_counts, desc="memory"):
        many = tile(args.narratives, folder / "many.jsonl", count)
        memory[str(count)] = round(_peak_memory(many, folder / "out"), 1)
    return {
        "vs_spacy": spacy / ours,
        "narratives_per_s": len(captions) / ours,
        "two_workers": one / two,
        "two_spacy": two_spacy,
        "align_per_s": len(captions) / arrays,
        "vs_interpolators": interpolators / arrays,
        "rss_mb": memory,
    }


def _batches(file: Path, folder: Path, config: BuildConfig) -> list[NarrativeBatch]:
    """The narratives of a file in the batches a build makes of them."""
    source = NarrativeSource(location=str(file), split="train")
    path = localise(source, folder / "copy.jsonl", config.input.max_inflation)
    _, chunks = scan(path, source, 0, 0, config.shards.chunk_bytes, lambda _: None)
    return [
        read_narratives(path, chunk.start, chunk.end, chunk.first_line, config.input).batch
        for chunk in chunks
    ]


def alternate(
    rounds: int,
    first: Callable[[], object],
    second: Callable[[], object],
    name: str,
    *,
    warm: bool = False,
    clock: Callable[[], float] = time.process_time,
) -> tuple[float, float]:
    """Runs two functions in turns and returns the best time of each, in seconds.

    Args:
        rounds: Turns of each.
        first: One.
        second: The other.
        name: Of the progress bar.
        warm: Run each one more time before its time is taken.
        clock: CPU time of this process, or `time.perf_counter` where others do the work.
    """
    best = [float("inf"), float("inf")]
    for _ in tqdm(range(rounds), desc=name):
        for index, function in enumerate((first, second)):
            if warm:
                function()
            start = clock()
            function()
            best[index] = min(best[index], clock() - start)
    return best[0], best[1]


def tile(source: Path, target: Path, count: int) -> Path:
    """Writes `count` narratives, those of `source` over and over with an image id of their own each."""
    lines = source.read_bytes().splitlines()
    key = b'"image_id": "'
    if key not in lines[0]:
        key = b'"image_id":"'
    with target.open("wb") as stream:
        for index in range(count):
            line = lines[index % len(lines)]
            stream.write(line.replace(key, key + b"copy%d-" % (index // len(lines)), 1) + b"\n")
    return target


def build_loaded(file: Path, out: Path, config: BuildConfig, extractor: AlpExtractor) -> None:
    """A whole build in this process with a model that is loaded already."""

    def run(
        tasks: list[ChunkTask], config: BuildConfig, workers: int
    ) -> Iterator[tuple[ChunkTask, int]]:
        assert workers == 1
        for task in tasks:
            yield task, build_chunk(task, extractor, config)

    shutil.rmtree(out, ignore_errors=True)
    source = NarrativeSource(location=str(file), split="train")
    build([source], out, config, progress=False, executor=run)


def _build_with(file: Path, out: Path, config: BuildConfig, workers: int) -> None:
    shutil.rmtree(out, ignore_errors=True)
    source = NarrativeSource(location=str(file), split="train")
    build([source], out, config, workers=workers, progress=False)


def _bare_spacy(captions: list[str], nlp: Language, batch_size: int) -> None:
    for _ in nlp.pipe(captions, batch_size=batch_size):
        pass


def _two_spacy(captions: list[str], config: BuildConfig) -> float:
    """Captions/s of two processes of bare spaCy over those of one, loading the model not counted."""
    context = multiprocessing.get_context("spawn")
    shares = [captions[0::2], captions[1::2]]
    start = (config.phrases.spacy_model, config.phrases.spacy_batch_size)
    with context.Pool(1, _load_bare, start) as single, context.Pool(2, _load_bare, start) as pair:
        for pool in (single, pair):  # load and warm up
            pool.map(_parse_bare, [captions] * 4, chunksize=1)
        one, two = alternate(
            3,
            lambda: single.map(_parse_bare, [captions]),
            lambda: pair.map(_parse_bare, shares, chunksize=1),
            "two of spaCy",
            clock=time.perf_counter,
        )
    return one / two


_bare: tuple[Language, int] | None = None


def _load_bare(model: str, batch_size: int) -> None:
    global _bare  # noqa: PLW0603  the one way to hand a pool's tasks something costly to load
    nlp = load_pipeline(model)
    nlp.disable_pipe("lemmatizer")
    _bare = nlp, batch_size


def _parse_bare(captions: list[str]) -> None:
    assert _bare is not None
    _bare_spacy(captions, *_bare)


def interpolate_words(batch: NarrativeBatch, phrases: list[list[Phrase]]) -> list[Floats]:
    """The plain reference: loops over narratives, words and phrases, each word with an interpolator.

    A word lasts until the next one starts.

    Args:
        batch: N narratives.
        phrases: The phrases of each of them.

    Returns:
        For each narrative the boxes of its phrases that name things and have words, float64 (F, 4).
    """
    found = []
    for index, named in enumerate(phrases):
        words = slice(*batch.utterance_offsets[index : index + 2].tolist())
        points = slice(*batch.point_offsets[index : index + 2].tolist())
        t, xy = batch.t[points], (batch.x[points] / GRID, batch.y[points] / GRID)
        spans = _find_words(batch.captions[index], batch.utterances(index))
        start, end = batch.utterance_start[words], batch.utterance_end[words]
        boxes = []
        for word, begin in enumerate(start):
            until = max(end[word], start[word + 1]) if word + 1 < len(start) else end[word]
            times = np.linspace(begin, until, SAMPLES_PER_WORD)
            samples = [np.interp(times, t, values) for values in xy]
            boxes.append([v.min() for v in samples] + [v.max() for v in samples])
        unions = []
        for phrase in named:
            mine = [
                box
                for box, (first, last) in zip(boxes, spans, strict=True)
                if first < phrase.char_end and last > phrase.char_start
            ]
            if mine and not phrase.dropped:
                corners = np.array(mine)
                unions.append(np.concatenate([corners[:, :2].min(0), corners[:, 2:].max(0)]))
        found.append(np.array(unions).reshape(-1, 4))
    return found


def _find_words(caption: str, utterances: list[str]) -> list[tuple[int, int]]:
    """First and last character of each utterance in its caption, by search from where the last one ended."""
    position, spans = 0, []
    lowered = caption.lower()
    for text in utterances:
        at = lowered.find(text.lower(), position)
        spans.append((at, at + len(text)) if at >= 0 else (-1, -1))
        position = max(position, spans[-1][1])
    return spans


def _peak_memory(file: Path, out: Path) -> float:
    """Peak resident memory of a one-worker build in a process of its own, in MB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_build_and_weigh, (file, out)))


def _build_and_weigh(file: Path, out: Path) -> float:
    _build_with(file, out, BuildConfig(), 1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
