"""From phrases to boxes: the array path against the plain oracle, and properties of the result."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_builder.boxes import octagon_area
from alp_builder.config import BoxConfig, BuildConfig, TraceConfig, WindowConfig
from alp_builder.extraction import Located, locate_boxes
from alp_builder.narratives import GRID, NarrativeBatch
from alp_builder.phrases import Phrase
from alp_builder.records import NarrativeRecord, TracePoint, Utterance

from . import oracle
from .narrative_strategies import narratives

CONFIG = BuildConfig()


def utterance_phrases(
    record: NarrativeRecord, plural: bool = False
) -> list[tuple[Phrase, list[int]]]:
    """A phrase for each utterance with letters, and the utterances that share its place."""
    phrases, position = [], 0
    for index, word in enumerate(record.timed_caption or []):
        letters = [i for i, c in enumerate(word.utterance) if c.isalnum()]
        if letters:
            start, end = position + letters[0], position + letters[-1] + 1
            phrases.append((Phrase(start, end, "thing", "thing", plural, False), [index]))
        position += len(word.utterance) + 1
    return phrases


def locate(
    records: list[NarrativeRecord], config: BuildConfig = CONFIG, plural: bool = False
) -> Located:
    phrases = [[phrase for phrase, _ in utterance_phrases(record, plural)] for record in records]
    return locate_boxes(NarrativeBatch.from_records(records), phrases, config)


@settings(max_examples=150, deadline=None)
@given(st.lists(narratives(), min_size=1, max_size=3), st.sampled_from(["next_word", "utterance"]))
def test_boxes_equal_the_oracle(records: list[NarrativeRecord], end: str) -> None:
    config = BuildConfig(window=WindowConfig(end=end, lag=-0.1))
    located = locate(records, config)
    row = 0
    for number, record in enumerate(records):
        for phrase, words in utterance_phrases(record):
            start, stop = oracle.window_of(record, words, end, -0.1)
            assert located.table.narrative[row] == number
            assert located.table.phrases[row] == phrase
            assert (located.windows.start[row], located.windows.end[row]) == (start, stop)
            points = oracle.window_points(record, start, stop, config.trace)
            mine = slice(*located.points.offsets[row : row + 2])
            np.testing.assert_array_equal(located.points.x[mine] / GRID, [p[0] for p in points])
            np.testing.assert_array_equal(located.points.t[mine], [p[2] for p in points])
            boxes = np.flatnonzero(located.boxes.window == row)
            if points:
                places = oracle.places_of(points, config.trace.merge_distance, config.trace)
                best = oracle.main_place(places)
                assert len(boxes) == 1
                box = int(boxes[0])
                assert located.boxes.num_components[box] == len(places)
                assert located.boxes.num_points[box] == len(best.points)
                assert located.boxes.dwell_time[box] == pytest.approx(best.dwell)
                expected = oracle.box_of(best, config.boxes)
                np.testing.assert_allclose(located.boxes.xyxy[box], expected, atol=1e-6)
            else:
                assert len(boxes) == 0
            row += 1
    assert row == len(located.table.phrases)


@settings(deadline=None)
@given(st.lists(narratives(), min_size=1, max_size=4))
def test_boxes_lie_inside_the_image(records: list[NarrativeRecord]) -> None:
    boxes = locate(records, plural=True).boxes
    assert (boxes.xyxy >= 0).all()
    assert (boxes.xyxy <= 1).all()
    assert (boxes.xyxy[:, :2] < boxes.xyxy[:, 2:]).all()
    assert ((boxes.hull_area >= 0) & (boxes.hull_area <= 1)).all()
    assert ((boxes.dwell_fraction >= 0) & (boxes.dwell_fraction <= 1)).all()
    assert ((boxes.inside_fraction >= 0) & (boxes.inside_fraction <= 1)).all()


@settings(deadline=None)
@given(st.lists(narratives(), min_size=2, max_size=5), st.randoms())
def test_a_narratives_boxes_do_not_depend_on_its_neighbours(
    records: list[NarrativeRecord], random: object
) -> None:
    together = locate(records, plural=True)
    order = list(range(len(records)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for arrangement in ([[i] for i in order], [order]):
        for numbers in arrangement:
            apart = locate([records[i] for i in numbers], plural=True)
            for place, number in enumerate(numbers):
                a = apart.table.narrative[apart.boxes.window] == place
                b = together.table.narrative[together.boxes.window] == number
                for name in ("xyxy", "tight", "hull_area", "dwell_time", "dwell_fraction", "share"):
                    mine, theirs = getattr(apart.boxes, name)[a], getattr(together.boxes, name)[b]
                    np.testing.assert_array_equal(mine, theirs, err_msg=name)
                np.testing.assert_array_equal(apart.score[a], together.score[b])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_octagon_area_bounds_the_convex_hull(points: list[tuple[float, float]]) -> None:
    x, y = np.array(points).T
    along = np.stack([x, y, x + y, x - y])
    area = octagon_area(along.min(1, keepdims=True), along.max(1, keepdims=True))[0]
    assert area >= oracle.hull_area(points) - 1e-9
    assert area <= (x.max() - x.min()) * (y.max() - y.min()) + 1e-12


def test_octagon_area_of_known_shapes() -> None:
    square = [(0, 0), (1, 0), (1, 1), (0, 1)]
    diamond = [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)]
    x, y = np.array([square, diamond], float).transpose(2, 0, 1)
    along = np.stack([x, y, x + y, x - y])
    np.testing.assert_allclose(octagon_area(along.min(2), along.max(2)), [1.0, 0.5])


def scribble(x: float, y: float, start: float, stop: float, width: float = 0.1) -> list[TracePoint]:
    """A pointer going back and forth over a place, 60 points a second."""
    times = np.arange(start, stop, 1 / 60)
    half = width / 2
    return [
        TracePoint(x + half * math.sin(30 * t), y + half * math.cos(23 * t), round(t, 3))
        for t in times.tolist()
    ]


def travel(
    a: tuple[float, float], b: tuple[float, float], start: float, stop: float
) -> list[TracePoint]:
    times = np.arange(start, stop, 1 / 60)
    shares = (times - start) / (stop - start)
    return [
        TracePoint(a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1]), round(float(t), 3))
        for s, t in zip(shares.tolist(), times.tolist(), strict=True)
    ]


def one_word(points: list[list[TracePoint]], stop: float) -> NarrativeRecord:
    return NarrativeRecord("simulated", "i", 1, "dog", [Utterance("dog", 0.0, stop)], points)


def test_travel_does_not_stretch_the_box() -> None:
    path = travel((0.05, 0.05), (0.8, 0.8), 0.0, 0.4) + scribble(0.8, 0.8, 0.4, 2.0)
    boxes = locate([one_word([path], 2.0)]).boxes
    tight = locate([one_word([path], 2.0)], BuildConfig(boxes=BoxConfig(rule="tight"))).boxes
    assert boxes.xyxy[0, 0] > 0.6
    assert tight.xyxy[0, 0] == pytest.approx(0.05)
    np.testing.assert_allclose(boxes.tight[0], tight.xyxy[0], atol=1e-7)


def two_places() -> NarrativeRecord:
    path = (
        scribble(0.2, 0.3, 0.0, 1.5)
        + travel((0.2, 0.3), (0.8, 0.7), 1.5, 1.8)
        + scribble(0.8, 0.7, 1.8, 2.5)
    )
    return one_word([path], 2.5)


def test_a_singular_phrase_takes_the_place_it_dwells_on_longest() -> None:
    boxes = locate([two_places()]).boxes
    assert len(boxes.rank) == 1
    assert boxes.xyxy[0, 2] < 0.5
    assert boxes.num_components[0] == 2
    assert 0.5 < boxes.share[0] < 0.9


def test_a_plural_phrase_may_give_a_box_for_each_place() -> None:
    boxes = locate([two_places()], plural=True).boxes
    assert boxes.rank.tolist() == [0, 1]
    assert boxes.xyxy[0, 2] < 0.5 < boxes.xyxy[1, 0]
    assert boxes.share.sum() == pytest.approx(1)
    single = BuildConfig(boxes=BoxConfig(plural_components=1))
    assert len(locate([two_places()], single, plural=True).boxes.rank) == 1


def test_places_that_nearly_touch_are_one() -> None:
    near = BuildConfig(trace=TraceConfig(merge_distance=0.9))
    assert locate([two_places()], near).boxes.num_components[0] == 1


def test_a_place_outside_the_image_never_wins() -> None:
    path = [scribble(1.3, 0.5, 0.0, 2.0), scribble(0.4, 0.5, 2.1, 2.4)]
    boxes = locate([one_word(path, 2.4)]).boxes
    assert boxes.inside_fraction[0] == 1
    assert boxes.xyxy[0, 2] < 0.6


def test_a_resting_pointer_is_evidence() -> None:
    """Between two events of one segment the pointer rests: a word spoken meanwhile points there."""
    rest = [TracePoint(0.5, 0.5, 0.0), TracePoint(0.5, 0.51, 3.0)]
    record = NarrativeRecord("simulated", "i", 1, "dog", [Utterance("dog", 1.0, 2.0)], [rest])
    boxes = locate([record]).boxes
    assert boxes.num_points[0] == 2
    assert boxes.dwell_time[0] == pytest.approx(1.0)
    np.testing.assert_allclose(boxes.xyxy[0], [0.44, 0.4434, 0.56, 0.5666], atol=1e-3)
    jumped = [TracePoint(0.1, 0.1, 0.0), TracePoint(0.9, 0.9, 3.0)]
    record = NarrativeRecord("simulated", "i", 1, "dog", [Utterance("dog", 1.0, 2.0)], [jumped])
    assert len(locate([record]).boxes.rank) == 0


def test_leaving_the_image_between_two_points_is_no_rest() -> None:
    record = NarrativeRecord(
        "simulated", "i", 1, "dog", [Utterance("dog", 1.0, 2.0)],
        [[TracePoint(0.5, 0.5, 0.0)], [TracePoint(0.5, 0.51, 3.0)]],
    )  # fmt: skip
    assert len(locate([record]).boxes.rank) == 0
