"""Lines that no recorder wrote: mutations of good records, and records of absurd size."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alp_builder.config import BuildConfig
from alp_builder.extraction import AlpExtractor
from alp_builder.narratives import ReadResult, read_narratives
from alp_builder.validation import row_problems
from tests.alp_builder.simulated import Record, simulated_record, simulated_records, to_line
from tests.conftest import SHARED

_ODD: list[Any] = [
    None, True, -1, 0, 2**63, -(2**70), 1e308, -0.0, "", "x" * 3000, "\x00", "\ud800", "\u202e",
    [], {}, [[]], [{}], [None], [[{"x": 1}]], {"x": {}}, "1.5", float("nan"), float("-inf"),
]  # fmt: skip
_CONFIG = BuildConfig()


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    keys = (
        list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    )
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _mutated_tree(record: Record, rng: random.Random) -> bytes:
    """A record with one to three values replaced, removed, doubled or swapped."""
    tree = json.loads(json.dumps(record))
    for _ in range(rng.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            break
        node, key = rng.choice(places)
        action = rng.randrange(4)
        if action == 0:
            node[key] = rng.choice(_ODD)
        elif action == 1:
            del node[key]
        elif action == 2 and isinstance(node, list):
            node.insert(rng.randrange(len(node) + 1), node[key])
        else:
            other, name = rng.choice(places)
            try:
                node[key], other[name] = other[name], node[key]
            except (KeyError, IndexError):
                continue
    try:
        return json.dumps(tree, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
    except (ValueError, RecursionError):  # a swap made a circle
        return b"{}"


def _mutated_bytes(line: bytes, rng: random.Random) -> bytes:
    """A line with some of its bytes flipped, cut out, doubled or replaced."""
    data = bytearray(line)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        action = rng.randrange(5)
        if action == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif action == 1:
            del data[place : place + rng.randint(1, 200)]
        elif action == 2:
            data[place:place] = data[place : place + rng.randint(1, 200)]
        elif action == 3:
            data[place:place] = rng.choice(
                [b"\0", b"\xff", b"{", b"]" * 50, b"\r", b"\n", b'"', b"-"]
            )
        else:
            del data[place:]
        if not data:
            break
    return bytes(data)


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
            yield _mutated_tree(rng.choice(records), rng)
        else:
            yield _mutated_bytes(rng.choice(lines), rng)


def _read(path: Path) -> ReadResult:
    return read_narratives(path, 0, path.stat().st_size, 1, _CONFIG.input)


@pytest.mark.parametrize("rounds", [1, pytest.param(50, marks=pytest.mark.faults)])
def test_mutated_records_are_accounted_for_one_by_one(
    rounds: int, tmp_path: Path, alp_extractor: AlpExtractor
) -> None:
    file = tmp_path / "mutated.jsonl"
    reasons: set[str] = set()
    for seed in range(rounds):
        data = b"\n".join(_mutations(2000, seed)) + b"\n"
        file.write_bytes(data)
        start = time.monotonic()
        read = _read(file)
        assert time.monotonic() - start < 60
        lines = data.split(b"\n")
        filled = {number for number, line in enumerate(lines, 1) if line.strip()}
        rejected = [entry.line for entry in read.rejected]
        assert read.counts["lines"] == len(filled)
        assert set(rejected) <= filled
        assert len(set(rejected)) == len(rejected)
        narratives = sum(number for name, number in read.counts.items() if name != "lines")
        assert narratives == len(filled) - len(rejected)
        reasons |= {entry.reason for entry in read.rejected}
        for entry in read.rejected:
            line = lines[entry.line - 1]
            assert data[entry.byte_offset : entry.byte_offset + len(line)] == line
    expected = {"not_json", "wrong_type", "missing_field", "not_utf8", "unsorted_times"}
    assert expected <= reasons
    # What was let through gives rows that keep all that the schema promises.
    file.write_bytes(b"\n".join(_mutations(300, 10**6)))
    found = alp_extractor.extract(_read(file).batch)
    rows, counts = found.rows, found.counts
    assert counts["alps"] == rows.num_rows > 0
    texts = rows.select(["caption", "char_start", "char_end", "phrase"]).to_pylist()
    assert all(r["caption"][r["char_start"] : r["char_end"]] == r["phrase"] for r in texts)
    unsorted = {"rows are not sorted by data set, image, narrative, phrase and component",
                "an alp_id stands there twice"}  # fmt: skip
    assert set(row_problems(rows)) <= unsorted


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
