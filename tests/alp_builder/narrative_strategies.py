"""Hypothesis strategies of narratives: traces with rests, jumps and edges; captions with odd utterances."""

from __future__ import annotations

from hypothesis import strategies as st

from alp_builder.records import NarrativeRecord, TracePoint, Utterance

WORDS = [
    "a",
    "the",
    "dog",
    "Dog,",
    "two",
    "cats",
    "red",
    "bus.",
    "naïve",
    "İstanbul",
    "t-shirt",
    "—",
    "x2",
]

coordinates = st.floats(-0.1, 1.1, allow_nan=False).map(lambda value: round(value, 4))


@st.composite
def traces(draw: st.DrawFn, longest: int = 40) -> list[list[TracePoint]]:
    """Trace segments in order of time, in milliseconds as in published files."""
    moment = draw(st.integers(0, 500))
    segments = []
    for _ in range(draw(st.integers(0, 4))):
        points = []
        for _ in range(draw(st.integers(1, longest // 4))):
            points.append(TracePoint(draw(coordinates), draw(coordinates), moment / 1000))
            moment += draw(st.sampled_from([0, 8, 16, 17, 33, 120, 390, 400, 401, 900]))
        segments.append(points)
        moment += draw(st.integers(0, 700))
    return segments


@st.composite
def timed_words(draw: st.DrawFn) -> tuple[str, list[Utterance]]:
    """A caption and its utterances: grouped, of zero length, with pauses."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
    utterances, position, moment = [], 0, draw(st.integers(0, 800))
    while position < len(words):
        size = draw(st.integers(1, 3))
        length = draw(st.sampled_from([0, 0, 80, 300, 700]))
        text = " ".join(words[position : position + size])
        utterances.append(Utterance(text, moment / 1000, (moment + length) / 1000))
        moment += length + draw(st.sampled_from([0, 0, 50, 600]))
        position += size
    return " ".join(words), utterances


@st.composite
def narratives(draw: st.DrawFn) -> NarrativeRecord:
    """A whole narrative; its image and annotator come from small sets so that images repeat."""
    caption, utterances = draw(timed_words())
    return NarrativeRecord(
        dataset_id="simulated",
        image_id=draw(st.sampled_from(["a", "b", "c/d"])),
        annotator_id=draw(st.integers(0, 3)),
        caption=caption,
        timed_caption=utterances,
        traces=draw(traces()),
    )
