"""The remembering ruler does what spaCy's own does, also where memory serves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alp_builder.config import PhraseConfig
from alp_builder.phrases import load_pipeline
from alp_builder.ruler import RememberingRuler

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

CAPTIONS = [
    "",
    "  ",
    "There is a man and there are two dogs.",
    "there is  a dog, a man's hat\nand it ain't red",
    "Let's say y'all gonna see C'mon signs; I've gotta go. İstanbul 🐶 naïve café",
    "In this image I can see a woman wearing spectacles and a t-shirt on the left side.",
]


@pytest.fixture(scope="module")
def nlp() -> Language:
    pipeline = load_pipeline(PhraseConfig().spacy_model)
    pipeline.disable_pipe("lemmatizer")
    pipeline.disable_pipe("attribute_ruler")
    return pipeline


def attributes(docs: list[Doc]) -> list[list[tuple[str, ...]]]:
    return [[(t.pos_, t.tag_, t.dep_, str(t.morph)) for t in doc] for doc in docs]


def assert_same(nlp: Language, captions: list[str]) -> None:
    stock = nlp.get_pipe("attribute_ruler")
    expected = attributes([stock(doc) for doc in nlp.pipe(captions)])
    ruler = RememberingRuler(stock)
    for _ in range(2):  # the second time from memory
        assert attributes([ruler(doc) for doc in nlp.pipe(captions)]) == expected


def test_exceptions_and_white_space(nlp: Language) -> None:
    assert_same(nlp, CAPTIONS)


def test_words_in_any_order(nlp: Language) -> None:
    dice = random.Random(0)
    words = " ".join(CAPTIONS).split()
    assert_same(nlp, [" ".join(dice.choices(words, k=20)) for _ in range(200)])


def test_real_captions(nlp: Language, shared_data: Path) -> None:
    lines = (shared_data / "captions" / "ln_style_captions.jsonl").read_text().splitlines()
    assert_same(nlp, [json.loads(line)["caption"] for line in lines])


def test_patterns_of_another_shape_are_left_to_the_ruler(nlp: Language) -> None:
    from spacy.pipeline import AttributeRuler

    stock = AttributeRuler(nlp.vocab)
    stock.add([[{"LOWER": "a"}, {"LOWER": "b"}, {"LOWER": "c"}]], {"POS": "X"}, index=2)
    ruler = RememberingRuler(stock)
    docs = [ruler(nlp.make_doc(text)) for text in ("a b c", "b b c", "a b c")]
    assert [doc[2].pos_ for doc in docs] == ["X", "", "X"]
