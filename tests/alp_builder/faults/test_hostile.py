"""Lines that no recorder wrote: mutations of good records, and records of absurd size."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alp_builder.config import BuildConfig
from alp_builder.extraction import AlpExtractor, Extraction
from alp_builder.narratives import NarrativeBatch, ReadResult, read_narratives
from alp_builder.phrases import Phrase
from alp_builder.validation import row_problems
from tests.alp_builder.simulated import Record, simulated_record, simulated_records, to_line
from tests.conftest import SHARED
from tests.faults.judge import Judge
from tests.faults.mutate import mutated_bytes, mutated_json
from tests.faults.subject import REPORTS

_CONFIG = BuildConfig()
ROUND = 2000
"""Records of a round, in one file."""


def _sources(folder: Path) -> list[Record]:
    """Real records with their traces cut short, so that many fit, and simulated ones."""
    records = simulated_records(6)
    if folder.is_dir():
        for line in (folder / "vidln" / "ovis_in_ln_format.jsonl").read_bytes().splitlines():
            record = json.loads(line)
            records.append(record | {"traces": [trace[:20] for trace in record["traces"][:3]]})
        partial = folder / "ln_record_partial" / "coco_val_381639_89.partial.json"
        records.append(json.loads(partial.read_text()))
    return records


def _mutations(count: int, seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    records = _sources(SHARED / "data")
    lines = [to_line(record) for record in records]
    for _ in range(count):
        if rng.random() < 0.5:
            yield mutated_json(rng.choice(records), rng)
        else:
            yield mutated_bytes(rng.choice(lines), rng)


def _read(path: Path) -> ReadResult:
    return read_narratives(path, 0, path.stat().st_size, 1, _CONFIG.input)


class _Remembered:
    """Finds phrases, of a caption that was seen before from memory: most mutations leave the caption alone."""

    def __init__(self, extractor: AlpExtractor) -> None:
        self.extractor = extractor
        self.known: dict[str, list[Phrase]] = {}

    def extract(self, batch: NarrativeBatch) -> Extraction:
        new = list(dict.fromkeys(c for c in batch.captions if c not in self.known))
        self.known |= zip(new, self.extractor.phrases.extract(new), strict=True)
        return self.extractor.locate(batch, [self.known[c] for c in batch.captions])


def _check_account(data: bytes, read: ReadResult) -> None:
    """Every line with text is a narrative or set aside, once, with its number, place and reason."""
    lines = data.split(b"\n")
    filled = {number for number, line in enumerate(lines, 1) if line.strip()}
    rejected = [entry.line for entry in read.rejected]
    assert read.counts["lines"] == len(filled)
    assert set(rejected) <= filled
    assert len(set(rejected)) == len(rejected)
    narratives = sum(number for name, number in read.counts.items() if name != "lines")
    assert narratives == len(filled) - len(rejected)
    for entry in read.rejected:
        line = lines[entry.line - 1]
        assert data[entry.byte_offset : entry.byte_offset + len(line)] == line
        assert entry.detail


def _check_rows(found: Extraction) -> None:
    """What was let through gives rows that keep all that the schema promises."""
    rows, counts = found.rows, found.counts
    assert counts["alps"] == rows.num_rows > 0
    texts = rows.select(["caption", "char_start", "char_end", "phrase"]).to_pylist()
    assert all(r["caption"][r["char_start"] : r["char_end"]] == r["phrase"] for r in texts)
    unsorted = {"rows are not sorted by data set, image, narrative, phrase and component",
                "an alp_id stands there twice"}  # fmt: skip
    assert set(row_problems(rows)) <= unsorted


@pytest.mark.parametrize("rounds", [1, pytest.param(100, marks=pytest.mark.faults)])
def test_mutated_records_are_accounted_for_one_by_one(
    rounds: int, tmp_path: Path, alp_extractor: AlpExtractor
) -> None:
    file, judge = tmp_path / "mutated.jsonl", Judge("rounds of 2,000 records", tmp_path / "kept")
    phrases = _Remembered(alp_extractor)
    reasons: Counter[str] = Counter()
    for seed in range(rounds):
        data = b"\n".join(_mutations(ROUND, seed)) + b"\n"
        file.write_bytes(data)
        read = judge(lambda: _read(file), data, f"{seed}.jsonl")
        _check_account(data, read)
        reasons.update(entry.reason for entry in read.rejected)
        found = judge(lambda read=read: phrases.extract(read.batch), data, f"{seed}.jsonl")
        _check_rows(found)
        reasons["usable"] += len(read.batch)
        reasons["alps"] += found.rows.num_rows
    expected = {"not_json", "wrong_type", "missing_field", "not_utf8", "unsorted_times"}
    assert expected <= set(reasons)
    told = ", ".join(f"{number:,} {what}" for what, number in sorted(reasons.items()))
    REPORTS.append(
        f"mutated records: {rounds * ROUND:,} tried: {told}; slowest round {judge.slowest:.1f} s"
    )


def _words(texts: list[str], seconds: float) -> list[Record]:
    step = seconds / max(len(texts), 1)
    return [
        {"utterance": text, "start_time": k * step, "end_time": (k + 1) * step}
        for k, text in enumerate(texts)
    ]


def _points(count: int, seconds: float) -> list[dict[str, float]]:
    step = seconds / count
    return [{"x": k % 97 / 97, "y": k % 89 / 89, "t": k * step} for k in range(count)]


def _record(caption: str, words: list[Record], traces: list[Any]) -> Record:
    return simulated_record(0) | {"caption": caption, "timed_caption": words, "traces": traces}


def _absurd() -> dict[str, Record]:
    caption = "a red dog and the white car"
    plain = _words(caption.split(), 200)
    dogs = ("dog. " * 2000).split()
    distinct = [f"{k:x}" for k in range(3500)]
    return {
        "200,000 segments of one point": _record(
            caption, plain, [[point] for point in _points(200_000, 200)]
        ),
        "20,000 characters of the same words": _record(
            "the dog " * 2500, _words(("the dog " * 2500).split(), 200), [_points(2000, 200)]
        ),
        "distinct words that nobody spoke": _record(
            " ".join(distinct), _words([f"z{k}" for k in range(3500)], 200), [_points(2000, 200)]
        ),
        "every window holds every point": _record(
            " ".join(dogs),
            [{"utterance": dog, "start_time": 0, "end_time": 100} for dog in dogs],
            [_points(20_000, 100)],
        ),
        "one timed word of very many": _record(
            "x " * 9000,
            [{"utterance": "y " * 9999, "start_time": 0, "end_time": 9}],
            [_points(9, 9)],
        ),
        "brackets": _record("(" * 20_000, plain, [_points(9, 9)]),
        "brackets in words": _record(" ".join(["(" * 499] * 40), plain, [_points(9, 9)]),
        "all at one time": _record(
            caption, _words(caption.split(), 0), [[{"x": 0.5, "y": 0.5, "t": 0.0}] * 50_000]
        ),
    }


@pytest.mark.parametrize("name", list(_absurd()))
def test_records_of_absurd_size_cost_seconds(
    name: str, tmp_path: Path, alp_extractor: AlpExtractor
) -> None:
    file = tmp_path / "absurd.jsonl"
    file.write_bytes(to_line(_absurd()[name]) + b"\n" + to_line(simulated_record(1)))
    start = time.process_time()
    read = _read(file)
    rows = alp_extractor.extract(read.batch).rows
    assert time.process_time() - start < 12
    assert read.counts["usable"] == 2 - len(read.rejected) >= 1
    assert rows.num_rows >= 1
    assert not [p for p in row_problems(rows) if "sorted" not in p]


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"traces":[', b'{"dataset_id":'])
def test_deep_nesting_is_set_aside(opening: bytes, tmp_path: Path) -> None:
    file = tmp_path / "deep.jsonl"
    file.write_bytes(opening * 100_000 + b"\n" + to_line(simulated_record(0)))
    read = _read(file)
    assert [entry.line for entry in read.rejected] == [1]
    assert read.counts["usable"] == 1
