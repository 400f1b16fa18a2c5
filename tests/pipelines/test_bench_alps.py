"""The benchmark runs and says what it promises; its speeds are no test."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from alp_builder.config import BuildConfig
from alp_builder.extraction import locate_boxes
from alp_builder.narratives import NarrativeBatch
from alp_builder.phrases import Phrase
from alp_builder.records import NarrativeRecord, TracePoint, Utterance
from pipelines import bench_alps


def record(image: str = "1") -> NarrativeRecord:
    """A cat is drawn at the left for a second, then a tall tree at the right."""
    cat = [TracePoint(0.1 + 0.1 * (i % 2), 0.4 + 0.01 * i, 0.05 * i) for i in range(20)]
    tree = [TracePoint(0.7 + 0.1 * (i % 2), 0.1 + 0.03 * i, 1.0 + 0.05 * i) for i in range(20)]
    words = [("A", 0.0, 0.2), ("cat,", 0.2, 1.0), ("a", 1.0, 1.2), ("tree", 1.2, 1.95)]
    spoken = [Utterance(*word) for word in words]
    return NarrativeRecord("simulated", image, 1, "A cat, a tree.", spoken, [cat, tree])


PHRASES = [
    Phrase(0, 5, "cat", "cat", is_plural=False, is_group=False),
    Phrase(7, 13, "tree", "tree", is_plural=False, is_group=False),
]


@pytest.fixture
def narratives(tmp_path: Path) -> Path:
    path = tmp_path / "narratives.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(record(str(i))) + b"\n" for i in range(3)))
    return path


def test_figures(narratives: Path, tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    counts = ["--rounds", "1", "--count", "6", "--worker-count", "6", "--memory-counts", "4", "6"]
    assert bench_alps.main([str(narratives), "--json", str(target), *counts]) == 0
    figures = json.loads(target.read_text())
    ratios = {"vs_spacy", "two_workers", "two_spacy", "align_per_s", "vs_interpolators"}
    ratios |= {"narratives_per_s"}
    assert set(figures) == ratios | {"rss_mb"}
    assert all(figures[name] > 0 for name in ratios)
    assert set(figures["rss_mb"]) == {"4", "6"}
    assert all(50 < size < 5000 for size in figures["rss_mb"].values())  # a process with a model


def test_tiled_narratives_have_images_of_their_own(narratives: Path, tmp_path: Path) -> None:
    tiled = bench_alps.tile(narratives, tmp_path / "tiled.jsonl", 7)
    records = [json.loads(line) for line in tiled.read_bytes().splitlines()]
    assert len({entry["image_id"] for entry in records}) == 7
    assert {entry["caption"] for entry in records} == {"A cat, a tree."}


def test_reference_finds_what_we_find() -> None:
    batch = NarrativeBatch.from_records([record()])
    (reference,) = bench_alps.interpolate_words(batch, [PHRASES])
    ours = locate_boxes(batch, [PHRASES], BuildConfig()).boxes
    assert reference.shape == (2, 4)
    assert reference[0] == pytest.approx(
        [0.1, 0.1, 0.7, 0.59], abs=0.02
    )  # with the way to the tree
    assert reference[1] == pytest.approx([0.7, 0.1, 0.8, 0.67], abs=0.02)
    centres = (ours.xyxy[:, :2] + ours.xyxy[:, 2:]) / 2
    inside = (centres >= reference[:, :2]) & (centres <= reference[:, 2:])
    assert inside.all()


def test_reference_leaves_out_phrases_without_words() -> None:
    batch = NarrativeBatch.from_records([record()])
    unspoken = Phrase(13, 14, ".", ".", is_plural=False, is_group=False)
    (boxes,) = bench_alps.interpolate_words(batch, [[unspoken]])
    assert boxes.shape == (0, 4)


def test_the_better_round_counts() -> None:
    calls: list[str] = []
    first, second = bench_alps.alternate(
        3, lambda: calls.append("a"), lambda: calls.append("b"), "turns"
    )
    assert calls == ["a", "b"] * 3
    assert np.isfinite([first, second]).all()
