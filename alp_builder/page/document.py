"""What a page holds, as it goes into the file: the contract between Python and the page's scripts.

The scripts read this as JSON; `static/model.js` documents the same fields for them. Coordinates are fractions
of the image's width and height, origin at the top left; times are seconds on the recording's clock. Offsets
into captions count UTF-16 units, as JavaScript does, not code points, as the shards do.
"""

from __future__ import annotations

import msgspec

Box = tuple[float, float, float, float]
"""Normalised xyxy."""


class PageAlp(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One ALP of a narrative.

    Attributes:
        id: Its `alp_id`.
        span: First unit of the phrase in the caption, and one past its last.
        text: `phrase_text`.
        lemma: `head_lemma`.
        plural: `is_plural`.
        group: `is_group`.
        component: `component_index`.
        components: `num_components`.
        window: Start and end, seconds.
        box: The box.
        tight: The reference box round every point of the window.
        calibrated: The calibrated box, where the shards have one.
        score: Quality.
        points: `num_points`.
        dwell: `dwell_time`, seconds.
        steady: `dwell_fraction`.
        hull: `hull_area`.
        gap: `time_gap`, seconds.
        inside: `inside_fraction`.
        part: Its points of the narrative's trace: start, end, start, end ... ends exclusive.
    """

    id: str
    span: tuple[int, int]
    text: str
    lemma: str
    plural: bool = False
    group: bool = False
    component: int = 0
    components: int = 1
    window: tuple[float, float]
    box: Box
    tight: Box
    calibrated: Box | None = None
    score: float
    points: int
    dwell: float
    steady: float
    hull: float
    gap: float
    inside: float
    part: list[int] = []


class PageTrace(msgspec.Struct, kw_only=True):
    """A trace, packed.

    Attributes:
        points: x, y, t of the first point, then differences to the point before; x and y in ten
            thousandths of the image, t in milliseconds.
        kinds: A digit a point: how the pointer came there. 0 dwelling, 1 travelling, 2 a new start (no
            line), 3 unknown (the shards hold no points between).
    """

    points: list[int]
    kinds: str


class PageNarrative(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A narrative, or an image without one.

    Attributes:
        id: `narrative_id`; empty where there is none.
        dataset: `dataset_id`.
        image_id: `image_id`.
        image: Its image, an index.
        split: Its split.
        annotator: Who spoke.
        caption: What they said.
        alps: In the order of the shard.
        trace: The pointer's way.
        words: Start and end in the caption, start and end in time, of each timed word.
    """

    id: str = ""
    dataset: str
    image_id: str
    image: int
    split: str = ""
    annotator: str = ""
    caption: str = ""
    alps: list[PageAlp] = []
    trace: PageTrace | None = None
    words: list[tuple[int, int, float, float]] = []


class PageThing(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A prediction, or a thing of the truth.

    Attributes:
        name: Of its category.
        box: Its box.
        score: Of a prediction, 0 to 1.
        mask: Width and height of a grid over the image, then run lengths row by row: outside, inside,
            outside ...
    """

    name: str
    box: Box
    score: float | None = None
    mask: list[int] | None = None


class PageImage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An image. Its pixels stand elsewhere in the page, by the image's index.

    Attributes:
        width: Pixels of the file.
        height: Pixels of the file.
        problem: Why it cannot be shown, in words; empty where it can.
        link: Where its file is, relative to the page, where images are not embedded.
        predictions: What a model found; `None` where it was not asked.
        more: Predictions that were left out, as they score lowest.
        truth: Things of the truth; `None` where there is none.
    """

    width: int = 4
    height: int = 3
    problem: str = ""
    link: str = ""
    predictions: list[PageThing] | None = None
    more: int = 0
    truth: list[PageThing] | None = None


class PageDocument(msgspec.Struct, kw_only=True):
    """All a page holds but the pixels.

    Attributes:
        title: Its name.
        about: What it shows and what was left out, one sentence each.
        traces: `whole`, `boxes` (only points that boxes were made of) or `none`.
        narratives: What it shows, in order.
        images: Their images.
    """

    title: str
    about: list[str]
    traces: str
    narratives: list[PageNarrative]
    images: list[PageImage]


def utf16_offsets(text: str, offsets: list[int]) -> list[int]:
    r"""Offsets in code points to offsets in UTF-16 units, clipped to the text.

    >>> utf16_offsets("a\U0001f600b", [0, 1, 2, 9])
    [0, 1, 3, 4]
    """
    clipped = [min(max(offset, 0), len(text)) for offset in offsets]
    if text.isascii():
        return clipped
    units, total = [0], 0
    for character in text:
        total += 1 + (character > "\uffff")
        units.append(total)
    return [units[offset] for offset in clipped]
