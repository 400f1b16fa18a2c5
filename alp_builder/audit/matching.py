"""Which instances each phrase means, and which ALP speaks of it.

With the narrator's truth a **noun** is a phrase of the truth that means things: the instances are those it
says, and it is found if a phrase that covers its characters gave an ALP (of several, the shortest). Without
truth a noun is a phrase that gave an ALP and names a category its image has (`names`); the instances are all
of that category in the image, and what was spoken of but not found cannot be known.

**Phrase-to-category precision**: of the phrases that gave an ALP and name a category, the share for which the
truth means that category, or, without truth, whose image holds an instance of it.

Legend: R rows of ALPs, M nouns, I instances of the COCO file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from alp_builder.arrays import Ints
from alp_builder.audit.coco import CocoTruth
from alp_builder.audit.names import CategoryNames
from alp_builder.simulate.records import TruthPhrase

Narrative = tuple[str, str, int]
"""Data set, image and annotator."""

_Noun = tuple[int, Ints, Narrative]
"""Number of its phrase (-1 for none), instances it means, its narrative."""


@dataclass(frozen=True)
class Matches:
    """M nouns.

    Attributes:
        row: int64 (M,), row of the noun's main ALP, -1 where it has none.
        rows: For each noun the rows of all its ALPs.
        instances: For each noun the instances it means, at least one.
        narrative: int64 (M,), a number for the narrative that says it.
        category: int64 (M,), category of the instances (of the first, where a phrase means several).
        named: Phrases with an ALP that name a category.
        correct: How many of them name the right one.
        phrases: Phrases with an ALP on images of the COCO file.
        knows_missed: Whether nouns that gave no ALP are among the M.
    """

    row: Ints
    rows: list[Ints]
    instances: list[Ints]
    narrative: Ints
    category: Ints
    named: int
    correct: int
    phrases: int
    knows_missed: bool


@dataclass
class _Phrases:
    """Phrases of one table by narrative: spans, and the rows of each, the main one first."""

    spans: dict[Narrative, list[tuple[int, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    rows: list[list[int]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    lemma: list[str] = field(default_factory=list)
    narrative: list[Narrative] = field(default_factory=list)

    def number_of(self, truth: TruthPhrase) -> int:
        """The shortest phrase that covers the noun of a phrase of the truth; -1 where there is none."""
        spans = self.spans.get((truth.dataset_id, truth.image_id, truth.annotator_id), [])
        covering = [
            (end - start, number)
            for start, end, number in spans
            if start <= truth.noun_start and end >= truth.noun_end
        ]
        return min(covering)[1] if covering else -1


MATCH_COLUMNS = (
    "dataset_id", "image_id", "annotator_id", "phrase_index", "component_index", "char_start",
    "char_end", "phrase_text", "head_lemma",
)  # fmt: skip
"""The columns of ALPs that matching reads."""


def match(
    table: pa.Table,
    coco: CocoTruth,
    names: CategoryNames,
    truth: Sequence[TruthPhrase] | None = None,
) -> Matches:
    """Matches ALPs with the instances their phrases mean.

    Args:
        table: R rows of the ALP schema, of any images.
        coco: Truth of I instances.
        names: Names of its categories.
        truth: What the phrases mean, where it is known.

    Returns:
        The nouns.
    """
    phrases = _phrases(table, coco)
    named = [
        names.find(text, lemma) for text, lemma in zip(phrases.text, phrases.lemma, strict=True)
    ]
    if truth is None:
        return _by_name(phrases, named, coco)
    return _by_truth(phrases, named, coco, truth)


def main_rows(table: pa.Table, coco: CocoTruth, truth: Sequence[TruthPhrase]) -> Ints:
    """Row of the main ALP of each phrase of the truth.

    Args:
        table: R rows of the ALP schema, of any images.
        coco: Truth that knows the images.
        truth: T phrases.

    Returns:
        int64 (T,), -1 where a phrase gave no ALP or is of another image.
    """
    phrases = _phrases(table, coco)
    numbers = [phrases.number_of(phrase) for phrase in truth]
    return np.array([phrases.rows[n][0] if n >= 0 else -1 for n in numbers], np.int64)


def _phrases(table: pa.Table, coco: CocoTruth) -> _Phrases:
    """The phrases of a table's rows that are of the file's images."""
    found = _Phrases()
    numbers: dict[tuple[Narrative, int], int] = {}
    columns = [table[name].to_pylist() for name in MATCH_COLUMNS]
    for row, values in enumerate(zip(*columns, strict=True)):
        dataset, image, annotator, phrase, component, start, end, text, lemma = values
        if image not in coco.of_image:
            continue
        narrative = (dataset, image, annotator)
        number = numbers.setdefault((narrative, phrase), len(numbers))
        if number == len(found.rows):
            found.spans[narrative].append((start, end, number))
            found.rows.append([])
            found.text.append(text)
            found.lemma.append(lemma)
            found.narrative.append(narrative)
        if component == 0:
            found.rows[number].insert(0, row)
        else:
            found.rows[number].append(row)
    return found


def _by_truth(
    phrases: _Phrases,
    named: list[int | None],
    coco: CocoTruth,
    truth: Sequence[TruthPhrase],
) -> Matches:
    """Nouns are the truth's phrases that mean things."""
    nouns: list[_Noun] = []
    meant: dict[int, set[int]] = {}
    for phrase in truth:
        if phrase.image_id not in coco.of_image:
            continue
        narrative = (phrase.dataset_id, phrase.image_id, phrase.annotator_id)
        number = phrases.number_of(phrase)
        if number >= 0:
            meant.setdefault(number, set()).update(phrase.category_ids)
        things = coco.find(phrase.annotation_ids)
        if phrase.is_thing and len(things):
            nouns.append((number, things, narrative))
    pairs = [(meant.get(number, set()), name) for number, name in enumerate(named)]
    correct = sum(name in right for right, name in pairs if name is not None)
    return _matches(phrases, named, correct, nouns, coco, True)


def _by_name(phrases: _Phrases, named: list[int | None], coco: CocoTruth) -> Matches:
    """Nouns are the phrases that name a category their image has."""
    nouns: list[_Noun] = []
    for number, name in enumerate(named):
        if name is None:
            continue
        narrative = phrases.narrative[number]
        things = coco.of_image[narrative[1]]
        things = things[coco.category[things] == name]
        if len(things):
            nouns.append((number, things, narrative))
    return _matches(phrases, named, len(nouns), nouns, coco, False)


def _matches(
    phrases: _Phrases,
    named: list[int | None],
    correct: int,
    nouns: list[_Noun],
    coco: CocoTruth,
    knows_missed: bool,
) -> Matches:
    none = np.zeros(0, np.int64)
    rows = [np.array(phrases.rows[n], np.int64) if n >= 0 else none for n, _, _ in nouns]
    numbers: dict[Narrative, int] = {}
    narrative = [numbers.setdefault(key, len(numbers)) for _, _, key in nouns]
    return Matches(
        row=np.array([found[0] if len(found) else -1 for found in rows], np.int64),
        rows=rows,
        instances=[things for _, things, _ in nouns],
        narrative=np.array(narrative, np.int64),
        category=np.array([coco.category[things[0]] for _, things, _ in nouns], np.int64),
        named=sum(name is not None for name in named),
        correct=correct,
        phrases=len(phrases.rows),
        knows_missed=knows_missed,
    )
