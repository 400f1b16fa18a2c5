"""Narratives to rows: every phrase accounted for, every row true to its caption."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from alp_builder.config import BoxConfig, BuildConfig
from alp_builder.extraction import DROPPED, AlpExtractor
from alp_builder.narratives import NarrativeBatch
from alp_builder.phrases import Phrase
from alp_builder.records import NarrativeRecord, TracePoint, Utterance
from alp_builder.schema import arrow_schema
from alp_builder.validation import row_problems


class FixedPhrases:
    """Stands in for spaCy: the phrases of each caption are given."""

    def __init__(self, phrases: list[list[Phrase]]) -> None:
        self.phrases = phrases

    def extract(self, captions: list[str]) -> list[list[Phrase]]:
        assert len(captions) == len(self.phrases)
        return self.phrases


def thing(start: int, end: int, text: str, plural: bool = False, dropped: str = "") -> Phrase:
    return Phrase(start, end, text, text, plural, False, dropped)


def points(x: float, y: float, start: float, count: int = 12) -> list[TracePoint]:
    return [TracePoint(x + 0.001 * i, y, round(start + 0.02 * i, 3)) for i in range(count)]


#           0123456789012345678901234567890
CAPTION = "In the image a dog and two cats"
RECORD = NarrativeRecord(
    dataset_id="simulated",
    image_id="img/1",
    annotator_id=5,
    caption=CAPTION,
    timed_caption=[
        Utterance("In the image", 0.0, 0.9),
        Utterance("a dog", 1.0, 1.6),
        Utterance("and", 2.0, 2.2),
        Utterance("two cats", 2.2, 3.2),
    ],
    traces=[points(0.3, 0.4, 1.0), points(0.2, 0.8, 2.3), points(0.8, 0.8, 2.7, count=20)],
)
PHRASES = [
    thing(0, 12, "image", dropped="narration_frame"),
    thing(13, 18, "dog"),
    thing(23, 31, "cats", plural=True),
]


def extract(
    record: NarrativeRecord, phrases: list[Phrase], config: BuildConfig | None = None
) -> tuple[pa.Table, dict[str, int]]:
    extractor = AlpExtractor(config or BuildConfig(), FixedPhrases([phrases]))  # type: ignore[arg-type]
    found = extractor.extract(NarrativeBatch.from_records([record]))
    assert (found.narrative == 0).all()
    assert len(found.narrative) == found.rows.num_rows
    return found.rows, {name: number for name, number in found.counts.items() if number}


def test_rows_follow_the_schema() -> None:
    table, counts = extract(RECORD, PHRASES)
    assert table.schema.equals(arrow_schema(), check_metadata=True)
    rows = table.to_pylist()
    assert [(r["phrase_index"], r["component_index"]) for r in rows] == [(1, 0), (2, 0), (2, 1)]
    assert [r["phrase"] for r in rows] == ["a dog", "two cats", "two cats"]
    assert all(CAPTION[r["char_start"] : r["char_end"]] == r["phrase"] for r in rows)
    assert rows[0]["alp_id"] == f"{rows[0]['narrative_id']}-001-0"
    assert rows[0]["image_id"] == "img/1"
    assert rows[0]["annotator_id"] == 5
    assert (rows[0]["t_start"], rows[0]["t_end"]) == (1.0, 2.0)
    expected = {"phrases": 3, "phrases_with_alps": 2, "alps": 3, DROPPED + "narration_frame": 1}
    assert counts == expected
    assert rows[1]["x0"] > 0.7 > 0.3 > rows[2]["x1"]  # the place dwelt on longer comes first


def test_traces_are_the_points_of_the_box() -> None:
    config = BuildConfig(with_traces=True, boxes=BoxConfig(percentile=0, margin=0, min_side=0))
    table, _ = extract(RECORD, PHRASES, config)
    assert table.schema.equals(arrow_schema(("core", "traces")), check_metadata=True)
    for row in table.to_pylist():
        assert (
            len(row["trace_x"]) == len(row["trace_y"]) == len(row["trace_t"]) == row["num_points"]
        )
        assert row["x0"] == pytest.approx(min(row["trace_x"]), abs=1e-6)
        assert row["x1"] == pytest.approx(max(row["trace_x"]), abs=1e-6)
        assert row["trace_t"] == sorted(row["trace_t"])
        assert row["t_start"] <= row["trace_t"][0] <= row["trace_t"][-1] <= row["t_end"]


def test_a_pointer_at_rest_gives_a_box_with_an_area_whatever_the_choices() -> None:
    rest = [[TracePoint(1.0, 0.3, step / 10) for step in range(90)]]
    still = NarrativeRecord("d", "i", 1, CAPTION, RECORD.timed_caption, rest)
    config = BuildConfig(boxes=BoxConfig(percentile=0, margin=0, min_side=0))
    table, _ = extract(still, PHRASES, config)
    assert table.num_rows
    assert list(row_problems(table)) == []


def with_words(*words: Utterance) -> NarrativeRecord:
    return NarrativeRecord("d", "i", 1, CAPTION, list(words), RECORD.traces)


LOST = [
    ("no_timed_words", with_words(Utterance("elephants", 0, 9)), BuildConfig()),
    ("no_points", with_words(Utterance("a dog", 7, 9)), BuildConfig()),
    (
        "times_out_of_order",
        with_words(Utterance("In", 5, 6), Utterance("a dog", 1, 2), Utterance("two", 2, 3)),
        BuildConfig(),
    ),
    (
        "few_points",
        with_words(Utterance("a dog", 1, 2)),
        BuildConfig(boxes=BoxConfig(min_points=99)),
    ),
    ("low_score", with_words(Utterance("a dog", 1, 2)), BuildConfig(boxes=BoxConfig(min_score=1))),
]


@pytest.mark.parametrize(("reason", "record", "config"), LOST, ids=[lost[0] for lost in LOST])
def test_a_lost_phrase_is_counted(
    reason: str, record: NarrativeRecord, config: BuildConfig
) -> None:
    table, counts = extract(record, [PHRASES[1]], config)
    assert table.num_rows == 0
    assert table.schema.equals(arrow_schema())
    assert counts == {"phrases": 1, DROPPED + reason: 1}


def test_a_trace_outside_the_image_is_no_box() -> None:
    outside = NarrativeRecord(
        "d", "i", 1, "a dog", [Utterance("a dog", 1.0, 2.0)], [points(1.2, 0.5, 1.0)]
    )
    _, counts = extract(outside, [thing(0, 5, "dog")])
    assert counts == {"phrases": 1, DROPPED + "outside_image": 1}


def test_no_narratives_give_no_rows() -> None:
    extractor = AlpExtractor(BuildConfig(), FixedPhrases([]))  # type: ignore[arg-type]
    found = extractor.extract(NarrativeBatch.from_records([]))
    assert found.rows.num_rows == 0
    assert found.counts["alps"] == 0


def test_the_score_falls_with_every_flaw() -> None:
    """Fewer points, travel, other places and points outside the image each lower the score."""
    clean = NarrativeRecord(
        "d", "i", 1, "dog", [Utterance("dog", 0.0, 2.0)], [points(0.5, 0.5, 0.0, count=80)]
    )

    def score(traces: list[list[TracePoint]]) -> float:
        record = NarrativeRecord("d", "i", 1, "dog", clean.timed_caption, traces)
        table, _ = extract(record, [thing(0, 3, "dog")])
        return float(table["score"][0].as_py())

    best = score(clean.traces or [])
    assert best > 0.9
    few = [p for i, p in enumerate((clean.traces or [[]])[0]) if i % 10 == 0]
    assert score([few]) < best
    assert score([points(0.5, 0.5, 0.0, count=40), points(0.1, 0.1, 1.2, count=30)]) < best
    half_outside = [TracePoint(0.96 + 0.001 * i, 0.5, 0.02 * i) for i in range(80)]
    assert score([half_outside]) < best
    jump = [TracePoint(0.1 + 0.02 * i, 0.5, 0.4 + 0.01 * i) for i in range(40)]
    assert score([[*points(0.1, 0.5, 0.0), *jump, *points(0.9, 0.5, 0.9, count=40)]]) < best
    assert np.isfinite(best)
