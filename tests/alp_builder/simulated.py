"""Simulated narratives for tests: seeded, of the Localized Narratives schema, never mistaken for real ones."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_COLORS = ("red", "white", "brown", "big", "old")
_THINGS = ("dog", "car", "trees", "chair", "girl", "buildings", "boat", "cup", "horses", "table")
_FRAMES = ("In this image we can see {}.", "There is {} on the left side.", "Here we see {}.")


def simulated_record(number: int, seed: int = 0) -> Record:
    """One narrative of about a dozen words; a scribble over a place of its own for each word."""
    rng = random.Random(f"{seed}/{number}")
    phrases = [f"a {rng.choice(_COLORS)} {rng.choice(_THINGS)}" for _ in range(rng.randint(2, 4))]
    caption = rng.choice(_FRAMES).format(" and ".join(phrases))
    words, trace, time = [], [], round(rng.uniform(0, 1), 3)
    for word in caption.split():
        length = round(rng.uniform(0.15, 0.6), 3)
        words.append({"utterance": word, "start_time": time, "end_time": round(time + length, 3)})
        cx, cy = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)
        for step in range(6):
            x, y = cx + rng.uniform(-0.04, 0.04), cy + rng.uniform(-0.04, 0.04)
            point = {"x": round(x, 5), "y": round(y, 5), "t": round(time + step * length / 6, 4)}
            trace.append(point)
        time = round(time + length, 3)
    half = len(trace) // 2
    return {
        "dataset_id": "simulated",
        "image_id": f"image_{number // 2:04d}",
        "annotator_id": number % 5,
        "caption": caption,
        "timed_caption": words,
        "traces": [trace[:half], trace[half:]],
        "voice_recording": "none: simulated",
    }


def simulated_records(count: int, seed: int = 0) -> list[Record]:
    """Narratives 0 to `count - 1` of a seed; two narratives to an image."""
    return [simulated_record(number, seed) for number in range(count)]


def to_line(record: Record) -> bytes:
    """A record as one line of JSON without its line end."""
    return json.dumps(record, ensure_ascii=False).encode()


def write_narratives(path: Path, records: list[Record]) -> Path:
    """Writes records as a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(to_line(record) + b"\n" for record in records))
    return path
