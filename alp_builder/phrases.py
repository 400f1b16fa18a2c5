"""Noun phrases out of captions: what was named, ready to be pointed at.

spaCy finds noun chunks (`noun_chunks` mends some); the rules here decide what of them is a thing. For each phrase:

- its **characters**: `caption[char_start:char_end]` is the phrase as spoken, determiner and all;
- its **text** for a text classifier: lower case, without determiners, possessives, counts and the word
  "color" after a colour ("the two red color buses" -> "red buses");
- its **head lemma** and whether it is **plural** or was named as a **group**.

Two chunks around "of" are one phrase. "A group of cows" means cows, several of them; "a slice of pizza"
means pizza; "a cup of coffee" means the cup and keeps its text. Pronouns and existential "there" are no
phrases at all. Phrases that only frame the narration ("this image", "the left side") are found but marked
with the reason why they go, so that they can be counted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alp_builder import lexicon
from alp_builder.config import PhraseConfig
from alp_builder.errors import UsageError
from alp_builder.grouping import groups
from alp_builder.noun_chunks import NounChunk, noun_chunks
from alp_builder.ruler import RememberingRuler

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

REQUIRED_PIPES = ("tok2vec", "tagger", "attribute_ruler", "parser", "lemmatizer")
"""Components noun chunks and lemmas need; without attribute_ruler spaCy silently finds no chunk."""

_FRAMEWORKS = ("torch", "tensorflow", "cupy", "mxnet")
_PLACE_WORDS = (
    lexicon.PLACE_MODIFIERS | lexicon.PICTURE_NOUNS | lexicon.COLORS | lexicon.COLOR_WORDS
)
_OUTER_NOUNS = lexicon.GROUP_NOUNS | lexicon.PART_NOUNS | lexicon.CONTAINER_NOUNS


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase of a caption.

    Attributes:
        char_start: Offset of its first character in the caption.
        char_end: One past its last character.
        text: For a text classifier, see the module.
        head_lemma: Lemma of the noun that is pointed at, lower case.
        is_plural: It means several things.
        is_group: It was named as a group of them.
        dropped: Why it is no thing to point at (`narration_frame`, `abstract`), or empty.
    """

    char_start: int
    char_end: int
    text: str
    head_lemma: str
    is_plural: bool
    is_group: bool
    dropped: str = ""


class PhraseExtractor:
    """Finds the noun phrases of captions with one loaded spaCy pipeline.

    Args:
        config: Model and rules.

    Raises:
        UsageError: If the model is not installed or lacks a component that noun chunks need.
    """

    def __init__(self, config: PhraseConfig) -> None:
        self.config = config
        self.nlp = load_pipeline(config.spacy_model)
        self._lemmatizer = self.nlp.get_pipe("lemmatizer")
        self._ruler = RememberingRuler(self.nlp.get_pipe("attribute_ruler"))
        # Only heads need a lemma: running the component over every token would cost 10 % more time.
        self.nlp.disable_pipe("lemmatizer")
        self.nlp.disable_pipe("attribute_ruler")
        self._lemmas: dict[tuple[str, str], str] = {}

    def extract(self, captions: Iterable[str]) -> Iterator[list[Phrase]]:
        """Yields the phrases of each caption, in the order of the text, none overlapping.

        Args:
            captions: Any number of captions.
        """
        chars, most = self.config.spacy_batch_chars, self.config.spacy_batch_size
        for batch in groups(captions, len, chars, most):
            for doc in self.nlp.pipe(batch, batch_size=len(batch)):
                yield self._phrases(self._ruler(doc))

    def _phrases(self, doc: Doc) -> list[Phrase]:
        chunks = noun_chunks(doc, mend=self.config.mend_chunks)
        phrases: list[Phrase] = []
        position = 0
        while position < len(chunks):
            end = position + 1
            while end < len(chunks) and self._joins(doc, chunks[end - 1], chunks[end]):
                end += 1
            joined = chunks[position:end]
            phrases.append(self._single(*joined) if len(joined) == 1 else self._joined(joined))
            position = end
        return phrases

    def _joins(self, doc: Doc, chunk: NounChunk, following: NounChunk) -> bool:
        """Whether two chunks around "of" name one thing."""
        if not self.config.resolve_partitives or following.start != chunk.end + 1:
            return False
        if doc[chunk.end].lower_ != "of" or self._is_frame(following):
            return False
        lemma = self._lemma(chunk.root)
        return lemma in _OUTER_NOUNS

    def _joined(self, chunks: list[NounChunk]) -> Phrase:
        """The phrase of chunks with "of" between each two.

        Meant is the first container ("a couple of glasses of water": the glasses), or else the last chunk
        ("a couple of slices of pizza"); what stands before only says how many or how much.
        """
        lemmas = [self._lemma(chunk.root) for chunk in chunks]
        containers = [i for i, lemma in enumerate(lemmas[:-1]) if lemma in lexicon.CONTAINER_NOUNS]
        meant = containers[0] if containers else len(chunks) - 1
        is_group = any(lemma in lexicon.GROUP_NOUNS for lemma in lemmas[:meant])
        several = any(chunk.root.tag_ == "NNS" for chunk in chunks[:meant])
        return Phrase(
            char_start=chunks[0].start_char,
            char_end=chunks[-1].end_char,
            text=" of ".join(self._text(chunk) for chunk in chunks[meant:]),
            head_lemma=lemmas[meant],
            is_plural=is_group or several or self._is_plural(chunks[meant]),
            is_group=is_group,
        )

    def _single(self, chunk: NounChunk) -> Phrase:
        dropped = ""
        if self.config.drop_narration_frame:
            if self._is_frame(chunk):
                dropped = "narration_frame"
            elif chunk.root.lower_ in lexicon.ABSTRACT_NOUNS:
                dropped = "abstract"
        return Phrase(
            char_start=chunk.start_char,
            char_end=chunk.end_char,
            text=self._text(chunk),
            head_lemma=self._lemma(chunk.root),
            is_plural=self._is_plural(chunk),
            is_group=self._lemma(chunk.root) in lexicon.GROUP_NOUNS,
            dropped=dropped,
        )

    def _is_frame(self, chunk: NounChunk) -> bool:
        """Whether a chunk names the picture or a place in it rather than a thing."""
        head = chunk.root.lower_
        if head in lexicon.PLACE_NOUNS:
            allowed = _PLACE_WORDS
        elif head in lexicon.PICTURE_NOUNS:
            allowed = lexicon.PICTURE_MODIFIERS
            if head == "frame" and chunk.doc[max(chunk.start - 1, 0)].lower_ not in {"in", "of"}:
                return False  # a frame hangs on the wall unless something happens in it
            # "A picture on the wall" is a thing; "it is a picture of" and "this is a picture" are not.
            if chunk.doc[chunk.start].lower_ in {"a", "an", "one", "another"} and not _opens(chunk):
                return False
        else:
            return False
        return all(
            token.i == chunk.root.i
            or token.lower_ in allowed
            or token.pos_ in {"DET", "PRON", "PUNCT"}
            for token in chunk
        )

    def _is_plural(self, chunk: NounChunk) -> bool:
        root = chunk.root
        if root.lower_ in lexicon.PLURAL_ONLY:
            return any(token.lower_ in lexicon.PLURAL_QUANTIFIERS for token in chunk)
        if root.tag_ in {"NNS", "NNPS"} or root.lower_ in lexicon.COLLECTIVE_SINGULAR:
            return True
        before = {token.lower_ for token in chunk if token.i < root.i}
        if before & lexicon.PLURAL_QUANTIFIERS:
            return True
        return root.lower_ in lexicon.SAME_IN_PLURAL and not before & lexicon.ONE_OF_THEM

    def _text(self, chunk: NounChunk) -> str:
        """The chunk for a text classifier: lower case, no determiner, count or empty "color"."""
        tokens = list(chunk)
        while len(tokens) > 1 and _is_pointer(tokens[0]):
            tokens = tokens[1:]
        parts: list[str] = []
        previous = ""
        for token in tokens:
            word = token.lower_
            empty = word in lexicon.COLOR_WORDS and previous in lexicon.COLORS
            if not (self.config.drop_color_word and empty and token.i != chunk.root.i):
                parts.append(word + (" " if token.whitespace_ else ""))
            previous = word
        return " ".join("".join(parts).split()) or chunk.root.lower_

    def _lemma(self, token: Token) -> str:
        key = (token.lower_, token.tag_)
        lemma = self._lemmas.get(key)
        if lemma is None:
            found = self._lemmatizer.lemmatize(token)
            lemma = found[0].lower() if found else token.lower_
            if len(self._lemmas) < 200_000:  # bounded: captions are untrusted
                self._lemmas[key] = lemma
        return lemma


_NO_MEMORY = re.compile(
    "failed to map segment|annot allocate memory|ould not reserve memory"
    # "error return without", or "... returned a result with": which of the two depends on where memory ended.
    "|^SystemError: .*(without|with an) exception set"
)
"""How compiled libraries report that they found no memory: the loader, the system, blis, Cython."""


def load_pipeline(model: str) -> Language:
    """Loads a spaCy pipeline without named entities, which nothing here uses.

    Raises:
        UsageError: If it is not installed, no pipeline, or lacks a component.
        MemoryError: If there is no memory for it, however spaCy's libraries put that.
    """
    try:
        with _hidden(*(() if model.endswith("_trf") else _FRAMEWORKS)):
            import spacy  # slow to import; only work that reads captions pays for it

            nlp = spacy.load(model, exclude=["ner"])
    except MemoryError:
        raise
    except Exception as error:  # spacy.load() runs what has the name: it may raise anything
        if _NO_MEMORY.search(f"{type(error).__name__}: {error}"):
            raise MemoryError(str(error)) from error
        hint = "install it with pip, or set phrases.spacy_model to an installed English pipeline"
        if isinstance(error, OSError):
            raise UsageError(f"spaCy model {model!r} is not installed; {hint}") from error
        raise UsageError(f"spaCy model {model!r} cannot be loaded ({error}); {hint}") from error
    missing = [name for name in REQUIRED_PIPES if name not in nlp.pipe_names]
    if missing:
        raise UsageError(
            f"spaCy model {model!r} lacks {', '.join(missing)}: no noun chunks without"
        )
    return nlp


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Lets modules that are not imported yet look as if they were not installed, while the block runs.

    spaCy's backend imports every framework it finds, torch at a cost of 600 MB and seconds in each worker,
    and uses none of them for a pipeline like ours.
    """
    hidden = [name for name in modules if name not in sys.modules]
    absent: Any = dict.fromkeys(hidden)  # None is what an import refuses
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def _opens(chunk: NounChunk) -> bool:
    """Whether a chunk stands at the start of its sentence or right after "is", or is followed by "of"."""
    doc, start, end = chunk.doc, chunk.start, chunk.end
    before = doc[start - 1].lower_ if start else ""
    if start > 1 and doc[start - 2].lower_ == "there":
        return False  # "there is a picture": something in this one
    if doc[start].is_sent_start or before in {"is", "'s", "in", "from", "on", "at"}:
        return True
    return bool(end < len(doc) and doc[end].lower_ == "of")


def _is_pointer(token: Token) -> bool:
    """Whether a leading token counts, owns or points, and says nothing of how the thing looks."""
    return bool(
        token.tag_ in {"DT", "PRP$", "CD", "WDT", "PDT", "POS", "EX", "WP$"}
        or token.lower_ in lexicon.QUANTIFIERS
        or token.pos_ == "PUNCT"
    )
