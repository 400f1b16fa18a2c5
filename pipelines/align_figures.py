"""`make align-figures`: how well forced alignment does, measured on real recordings with published word times.

- `starts`: published less forced starts of words, of each recording and of all: offset, and the rest.
- `onsets`: the clock itself, against the sound: for words after a pause, how much later than the moment the
  power rises over the room's a start lies, forced and published.
- `fit`: whether a caption that does not fit is told from one that does. Every caption on every recording; and
  on its own recording the first half of a caption, its last two thirds, the caption twice, its words shuffled;
  and silence and noise. `separation` is the confidence of the least sure caption that fits against the surest that
  does not.
- `pronunciation`: phone and word error of the grapheme-to-phoneme model on words held out of the dictionary.
- `speed`: seconds of sound to a second of processor time, decoding included.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from alp_builder.config import InputConfig
from alp_builder.errors import AlpError
from alp_builder.files import write_atomic
from alp_builder.records import read_lines
from alp_builder.voice import g2p
from alp_builder.voice.aligner import Aligner, Alignment
from alp_builder.voice.audio import RATE, Samples, decode
from alp_builder.voice.comparison import start_pairs, versus_published
from alp_builder.voice.config import VoiceConfig
from alp_builder.voice.narrations import NarratedLine, Narration
from alp_builder.voice.pronounce import DICTIONARY, dictionary_entries, model_path
from alp_builder.voice.recordings import LocalRecordings
from alp_builder.voice.speech import HOP, levels

HELD_OUT = 20
"""One word in so many is kept from the training of the pronunciation model."""

_TESTED_WORDS = 3_000
_QUIET = 30  # frames of pause before a word whose onset can be seen
_ONSET_DB = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.align_figures", description=__doc__)
    parser.add_argument("narratives", type=Path, help="narratives with published times")
    parser.add_argument("--recordings", type=Path, required=True, help="folder of their recordings")
    parser.add_argument("--only", nargs="*", choices=("starts", "fit", "pronunciation"))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args(arguments)
    parts = args.only or ["starts", "fit", "pronunciation"]
    try:
        figures: dict[str, Any] = {}
        if "starts" in parts or "fit" in parts:
            told = narrations(args.narratives, args.recordings)
            if "starts" in parts:
                figures |= starts(told)
            if "fit" in parts:
                figures["fit"] = fit(told)
        if "pronunciation" in parts:
            figures["pronunciation"] = pronunciation()
    except AlpError as error:
        sys.stderr.write(f"align_figures: {error}\n")
        return error.exit_code
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n"
    if args.json is not None:
        write_atomic(args.json, text)
    sys.stdout.write(text.decode())
    return 0


def narrations(path: Path, recordings: Path) -> list[tuple[Narration, Path]]:
    """The narrations of a file, each once, and where their recordings are."""
    folder, limits = LocalRecordings(recordings), InputConfig()
    found: dict[tuple[str | None, str], tuple[Narration, Path]] = {}
    with path.open("rb") as stream:
        for line in read_lines(stream, 0, path.stat().st_size, 1, limits.max_record_bytes):
            for narration in NarratedLine(line, limits).narrations:
                key = (narration.recording, narration.caption)
                found[key] = (narration, folder.find(narration.recording))
    return list(found.values())


def starts(told: Sequence[tuple[Narration, Path]]) -> dict[str, Any]:
    """Starts against published ones and against the sound, and speed."""
    aligner = Aligner()
    rows, everything, onsets = [], [], []
    sound, began = 0.0, time.process_time()
    for narration, path in told:
        samples, seconds = decode(path)
        alignment = aligner.align(narration.caption, samples)
        sound += seconds
        pairs = start_pairs(narration, alignment.words)
        everything += pairs
        onsets += _onsets(pairs, samples)
        rows.append(
            {
                "recording": path.name,
                "seconds": round(seconds, 1),
                "versus": versus_published(pairs),
            }
        )
    work = time.process_time() - began
    forced, published = np.array(onsets).T
    return {
        "starts": {"all": versus_published(everything), "by_recording": rows},
        "onsets": {
            "words": len(onsets),
            "forced_later_s": _spread(forced), "published_later_s": _spread(published),
        },
        "speed": {"times_real_time": round(sound / work, 1)},
    }  # fmt: skip


def _onsets(pairs: list[tuple[float, float]], samples: Samples) -> list[tuple[float, float]]:
    """Of words after a pause: how much later than the rise of the power they start, forced and published."""
    count = len(samples) // HOP
    level = levels(samples[: count * HOP].reshape(count, HOP))
    loud = level > np.quantile(level, VoiceConfig().room_quantile) + _ONSET_DB
    quiet_before = (
        np.convolve(loud, np.ones(_QUIET), "full")[: len(loud)] - loud
    )  # loud ones before
    rises = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
    found = []
    for forced, published in pairs:
        frame = forced * RATE / HOP
        near = rises[np.abs(rises - frame) < _QUIET / 2]
        near = near[quiet_before[near - 1] == 0]
        if len(near):
            onset = float(near[0]) * HOP / RATE
            found.append((forced - onset, published - onset))
    return found


def _spread(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]).tolist()
    return {"p10": round(low, 3), "median": round(middle, 3), "p90": round(high, 3)}


def fit(told: Sequence[tuple[Narration, Path]]) -> dict[str, Any]:
    """What fits against what does not."""
    aligner = Aligner()
    rng = np.random.default_rng(0)
    sounds = [decode(path)[0] for _, path in told]
    captions = [narration.caption for narration, _ in told]
    own = [aligner.align(*pair) for pair in zip(captions, sounds, strict=True)]
    wrong: dict[str, list[Alignment]] = {"another caption": []}
    for i, sound in enumerate(sounds):
        wrong["another caption"] += [
            aligner.align(caption, sound) for j, caption in enumerate(captions) if i != j
        ]
        words = captions[i].split()
        half, third = len(words) // 2, len(words) // 3
        for name, text in (
            ("first half", words[:half]), ("last two thirds", words[third:]), ("twice", words * 2),
            ("shuffled", [words[k] for k in rng.permutation(len(words))]),
        ):  # fmt: skip
            wrong.setdefault(name, []).append(aligner.align(" ".join(text), sound))
        wrong.setdefault("half the recording", []).append(
            aligner.align(captions[i], sound[: len(sound) // 2])
        )
    noise = rng.normal(0, 500, 20 * RATE).astype(np.int16)
    wrong["silence"] = [aligner.align(captions[0], np.zeros_like(noise))]
    wrong["noise"] = [aligner.align(captions[0], noise)]
    scored = [a for a in wrong["another caption"] if np.isfinite(a.score)]
    return {
        "fits": {
            "flagged": sum(a.problem is not None for a in own), "of": len(own),
            "scores": sorted(round(a.score, 1) for a in own),
            "unclaimed": sorted(round(a.unclaimed, 3) for a in own),
        },
        "does_not_fit": {
            name: {
                "flagged": sum(a.problem is not None for a in alignments), "of": len(alignments),
                "no_path": sum(a.problem is not None and not a.words for a in alignments),
                "best_scores": sorted((round(a.score, 1) for a in alignments if a.words), reverse=True)[:4],
                "least_unclaimed": sorted(round(a.unclaimed, 3) for a in alignments if a.words)[:4],
            }
            for name, alignments in wrong.items()
        },
        "separation": {
            "least_sure_that_fits": round(min(a.confidence for a in own), 3),
            "surest_other_caption": round(max((a.confidence for a in scored), default=0.0), 3),
        },
    }  # fmt: skip


def pronunciation() -> dict[str, Any]:
    """Errors on held-out words: the model is trained on the others."""
    entries = list(dictionary_entries(model_path(DICTIONARY)))
    references: dict[str, list[list[str]]] = {}
    for word, phones in entries:
        if _held_out(word):
            references.setdefault(word, []).append(phones.split())
    began = time.process_time()
    model = g2p.train(entry for entry in entries if not _held_out(entry[0]))
    trained = time.process_time() - began
    words = sorted(references, key=lambda word: zlib.crc32(word[::-1].encode()))[:_TESTED_WORDS]
    total = wrong_phones = wrong_words = 0
    for word in words:
        guess = (model(word) or "").split()
        errors, length = min((_distance(guess, known), len(known)) for known in references[word])
        total, wrong_phones = total + length, wrong_phones + errors
        wrong_words += errors > 0
    return {
        "trained_on": len(entries) - sum(map(len, references.values())), "words": len(words),
        "phone_error_rate": round(wrong_phones / total, 4), "word_error_rate": round(wrong_words / len(words), 4),
        "training_cpu_s": round(trained, 1),
    }  # fmt: skip


def _held_out(word: str) -> bool:
    return zlib.crc32(word.encode()) % HELD_OUT == 0


def _distance(a: list[str], b: list[str]) -> int:
    """Edit distance (Levenshtein, 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


if __name__ == "__main__":
    sys.exit(main())
