"""`make bench-alps`: speed and memory of the builder, as ratios against named references in the same run.

Machines are noisy, so a figure is the best of several rounds in which ours and the reference take turns:

- `vs_spacy`: narratives/s of a whole build in one process (reading, phrases, boxes, shards) over captions/s of
  bare `nlp.pipe` with the same components and batch size on the same captions. Loading the model counts on
  neither side.
- `two_workers`: narratives/s with two workers over those with one, model loading included on both sides.
- `align_per_s`: narratives/s of alignment, windows, points and boxes alone, phrases given, on one core.
- `vs_interpolators`: that over a plain reference in the manner of the published per-word scripts: one
  interpolator a phrase, 16 samples, smallest and largest.
- `rss_mb`: peak memory of a one-worker build of 1,000 and of 50,000 narratives, in a process of its own.

The narratives are simulated, of real size: about 44 words and 600 trace points.
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

import msgspec
import numpy as np
from tqdm import tqdm

from alp_builder.build import build
from alp_builder.chunks import ChunkTask, build_chunk
from alp_builder.config import BuildConfig
from alp_builder.extraction import AlpExtractor, locate_boxes
from alp_builder.files import write_atomic
from alp_builder.inputs import NarrativeSource
from alp_builder.narratives import MICROSECONDS, NarrativeBatch, read_narratives
from alp_builder.phrases import Phrase

SAMPLES_PER_PHRASE = 16


def main() -> int:
    """Runs the benchmark and prints its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("narratives", type=Path, help="simulated narratives to measure on")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison (5)")
    parser.add_argument("--count", type=int, default=2000, help="narratives of a round (2000)")
    parser.add_argument("--memory-counts", type=int, nargs="*", default=[1000, 50_000])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-alps-") as name:
        figures = _measure(args, Path(name))
    for key, value in figures.items():
        sys.stdout.write(f"{key:<18}{value if isinstance(value, dict) else f'{value:,.3f}'}\n")
    if args.json:
        write_atomic(args.json, msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    return 0


def _measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    file = tile(args.narratives, folder / "narratives.jsonl", args.count)
    config = BuildConfig()
    extractor = AlpExtractor(config)
    batch = read_narratives(file, 0, file.stat().st_size, 1, config.input).batch
    ours, spacy = alternate(
        args.rounds,
        lambda: _build(file, folder / "out", config, extractor),
        lambda: _bare_spacy(batch.captions, extractor),
        "against spaCy",
    )
    phrases = list(extractor.phrases.extract(batch.captions))
    arrays, interpolators = alternate(
        args.rounds,
        lambda: locate_boxes(batch, phrases, config),
        lambda: interpolate_phrases(batch, phrases),
        "against interpolators",
    )
    one, two = alternate(
        max(1, args.rounds // 2),
        lambda: _build_with(file, folder / "out", config, 1),
        lambda: _build_with(file, folder / "out", config, 2),
        "two workers",
    )
    memory = {}
    for count in args.memory_counts:
        many = tile(args.narratives, folder / "many.jsonl", count)
        memory[str(count)] = round(_peak_memory(many, folder / "out"), 1)
    return {
        "vs_spacy": spacy / ours,
        "narratives_per_s": args.count / ours,
        "two_workers": one / two,
        "align_per_s": args.count / arrays,
        "vs_interpolators": interpolators / arrays,
        "rss_mb": memory,
    }


def alternate(
    rounds: int, first: Callable[[], object], second: Callable[[], object], name: str
) -> tuple[float, float]:
    """Runs two functions in turns and returns the best time of each, in seconds."""
    best = [float("inf"), float("inf")]
    for _ in tqdm(range(rounds), desc=name):
        for index, function in enumerate((first, second)):
            start = time.perf_counter()
            function()
            best[index] = min(best[index], time.perf_counter() - start)
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


def _build(file: Path, out: Path, config: BuildConfig, extractor: AlpExtractor) -> None:
    """A whole build in this process with a model that is loaded already."""

    def run(tasks: list[ChunkTask], used: BuildConfig, _: int) -> Iterator[tuple[ChunkTask, int]]:
        for task in tasks:
            yield task, build_chunk(task, extractor, used)

    shutil.rmtree(out, ignore_errors=True)
    source = NarrativeSource(location=str(file), split="train")
    build([source], out, config, progress=False, executor=run)


def _build_with(file: Path, out: Path, config: BuildConfig, workers: int) -> None:
    shutil.rmtree(out, ignore_errors=True)
    source = NarrativeSource(location=str(file), split="train")
    build([source], out, config, workers=workers, progress=False)


def _bare_spacy(captions: list[str], extractor: AlpExtractor) -> None:
    nlp, size = extractor.phrases.nlp, extractor.config.phrases.spacy_batch_size
    for _ in nlp.pipe(captions, batch_size=size):
        pass


def interpolate_phrases(
    batch: NarrativeBatch, phrases: list[list[Phrase]]
) -> list[tuple[float, ...]]:
    """Boxes of phrases the plain way: find the words, interpolate the trace, smallest and largest."""
    boxes = []
    for index, found in enumerate(phrases):
        words = slice(*batch.utterance_offsets[index : index + 2].tolist())
        points = slice(*batch.point_offsets[index : index + 2].tolist())
        texts = batch.utterances[words]
        start, end = batch.utterance_start[words], batch.utterance_end[words]
        t, x, y = batch.t[points], batch.x[points], batch.y[points]
        position, spans = 0, []
        for text in texts:
            at = batch.captions[index].lower().find(text.lower(), position)
            spans.append((at, at + len(text)))
            position = max(position, at + len(text))
        for phrase in found:
            if phrase.dropped:
                continue
            mine = [
                i for i, (a, b) in enumerate(spans) if a < phrase.char_end and b > phrase.char_start
            ]
            if not mine:
                continue
            last = (
                max(end[mine[-1]], start[mine[-1] + 1])
                if mine[-1] + 1 < len(start)
                else end[mine[-1]]
            )
            times = np.linspace(start[mine[0]], last, SAMPLES_PER_PHRASE)
            xs, ys = np.interp(times, t, x), np.interp(times, t, y)
            boxes.append((xs.min(), ys.min(), xs.max(), ys.max(), last / MICROSECONDS))
    return boxes


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
