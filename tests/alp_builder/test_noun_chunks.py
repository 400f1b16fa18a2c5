"""Mended noun chunks: what the parser loses or splits in spoken lists, and what must stay as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from spacy.language import Language

from alp_builder.config import PhraseConfig
from alp_builder.noun_chunks import noun_chunks
from alp_builder.phrases import PhraseExtractor

LOST = [
    ("There are few ladders which are in yellow color and a striped mug.", "striped mug"),
    ("There is a chair which is in green color and a bird.", "bird"),
    ("We can see a snowman, few chairs and a star which is in yellow color.", "chairs"),
    ("I can see a person standing, the road, few vehicles and the sky.", "vehicles"),
]

SPLIT = [
    ("On the left side we can see a grey striped sock.", "a grey striped sock"),
    ("We can see a striped sock, few purple checked kites and a vase.", "few purple checked kites"),
    ("There is even a black dotted mug, dotted vases and a green boat.", "dotted vases"),
    ("There are two flowers. These are checked bags.", "checked bags"),
    ("In this image I can see a group of grey checked kites.", "a group of grey checked kites"),
]

SAME = [
    "This image is taken indoors.",
    "The man is wearing a red shirt and holding a bat.",
    "A boy kicked balls.",
    "She painted walls.",
    "There is a sewing machine which is black and cream in color.",
    "In this image there is a woman in a blue dress, and a dog on the grass.",
]
"""Captions in which there is nothing to mend."""


@pytest.fixture(scope="module")
def extractor(phrase_extractor: PhraseExtractor) -> PhraseExtractor:
    return phrase_extractor


@pytest.fixture(scope="module")
def plain() -> PhraseExtractor:
    """spaCy's chunks as they are."""
    return PhraseExtractor(PhraseConfig(mend_chunks=False))


@pytest.fixture(scope="module")
def nlp(extractor: PhraseExtractor) -> Language:
    """The pipeline with every component that sets parts of speech."""
    whole = PhraseExtractor(PhraseConfig()).nlp
    whole.enable_pipe("attribute_ruler")
    return whole


def kept(extractor: PhraseExtractor, caption: str) -> dict[str, str]:
    (found,) = extractor.extract([caption])
    return {p.text: caption[p.char_start : p.char_end] for p in found if not p.dropped}


@pytest.mark.parametrize(("caption", "text"), LOST)
def test_a_noun_in_no_chunk_is_a_phrase(
    extractor: PhraseExtractor, plain: PhraseExtractor, caption: str, text: str
) -> None:
    assert text in kept(extractor, caption)
    assert text not in kept(plain, caption)


@pytest.mark.parametrize(("caption", "phrase"), SPLIT)
def test_what_was_split_is_one_phrase(
    extractor: PhraseExtractor, caption: str, phrase: str
) -> None:
    assert phrase in kept(extractor, caption).values()


@pytest.mark.parametrize("caption", SAME)
def test_nothing_else_changes(nlp: Language, caption: str) -> None:
    doc = nlp(caption)
    plain = noun_chunks(doc, mend=False)
    assert [(c.start, c.end, c.root) for c in noun_chunks(doc, mend=True)] == [
        (c.start, c.end, c.root) for c in plain
    ]
    assert [(c.start_char, c.end_char) for c in plain] == [
        (c.start_char, c.end_char) for c in doc.noun_chunks if c.root.pos_ in {"NOUN", "PROPN"}
    ]


def test_real_captions_gain_phrases_and_lose_none(nlp: Language, shared_data: Path) -> None:
    lines = (shared_data / "captions" / "ln_style_captions.jsonl").read_text().splitlines()
    before = after = 0
    for doc in nlp.pipe(json.loads(line)["caption"] for line in lines):
        plain, mended = noun_chunks(doc, mend=False), noun_chunks(doc, mend=True)
        before, after = before + len(plain), after + len(mended)
        end = 0
        for chunk in mended:
            assert end <= chunk.start < chunk.end
            assert chunk.start <= chunk.root.i < chunk.end
            end = chunk.end
        for chunk in plain:
            inside = [c for c in mended if c.start <= chunk.start and chunk.end <= c.end]
            assert len(inside) == 1
    assert before < after < 1.05 * before


INVARIABLE = [
    ("We can see some fish in the water.", True),
    ("There are black fish.", True),
    ("We can see a fish in the water.", False),
    ("The sheep is on the grass.", False),
    ("There are two sheep.", True),
]


@pytest.mark.parametrize(("caption", "plural"), INVARIABLE)
def test_nouns_that_are_their_own_plural(
    extractor: PhraseExtractor, caption: str, plural: bool
) -> None:
    (found,) = extractor.extract([caption])
    assert [p.is_plural for p in found if p.head_lemma in {"fish", "sheep"}] == [plural]
