"""spaCy's noun chunks of a caption, mended where the parser loses one or splits it.

Narratives are spoken lists, and the parser is made for written sentences. It loses a noun at the end of a
list ("... which is in yellow color and a striped mug": "mug" hangs on "is", so no chunk is made), and takes a
colour for a noun or a participle for a verb ("a grey | striped sock", "grey | checked | kites"). Three rules
put that right, in this order, and none of them takes a chunk away:

1. A **stray noun**, one in no chunk, becomes a chunk together with the modifiers right before it. A colour is
   no such noun ("black and cream in color").
2. A **participle** in no chunk that stands right before a chunk belongs to it, ", dotted | vases", unless a
   subject or an auxiliary before it makes it a verb ("is taken | indoors").
3. A chunk that ends in a **colour** and is followed at once by another is the front of that one.

Invariants: chunks stand in the order of the text and do not overlap; every chunk of spaCy's lies inside one of
them; a chunk's root is its last token or spaCy's own root.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alp_builder import lexicon

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_NOUNS = frozenset({"NOUN", "PROPN"})
_MODIFIERS = frozenset({"DET", "ADJ", "NUM", "NOUN", "PROPN"})
_PARTICIPLES = frozenset({"VBN", "VBD"})
_OF_VERBS = frozenset({"NOUN", "PROPN", "PRON", "ADV", "AUX"})
"""What stands before a participle that is a verb,"""
_PRESENTING = frozenset({"these", "those", "there"})
"""unless it presents something: "these are checked bags"."""
_COLORS = lexicon.COLORS | lexicon.COLOR_WORDS


@dataclass(slots=True)
class NounChunk:
    """A stretch of tokens round a noun.

    Attributes:
        doc: The caption.
        start: Its first token.
        end: One past its last token.
        root: The noun.
    """

    doc: Doc
    start: int
    end: int
    root: Token

    def __iter__(self) -> Iterator[Token]:
        return iter(self.doc[self.start : self.end])

    @property
    def start_char(self) -> int:
        """Offset of its first character in the caption."""
        return int(self.doc[self.start].idx)

    @property
    def end_char(self) -> int:
        """One past its last character."""
        last = self.doc[self.end - 1]
        return int(last.idx) + len(last)


def noun_chunks(doc: Doc, *, mend: bool) -> list[NounChunk]:
    """The noun chunks of a parsed caption, pronouns and existential "there" left out.

    Args:
        doc: A caption with parts of speech and dependencies.
        mend: Whether to mend spaCy's chunks, see the module.
    """
    chunks = [NounChunk(doc, chunk.start, chunk.end, chunk.root) for chunk in doc.noun_chunks]
    if mend:
        chunks = _join_colors(_take_participles(_with_stray_nouns(chunks, doc), doc))
    return [chunk for chunk in chunks if chunk.root.pos_ in _NOUNS]


def _with_stray_nouns(chunks: list[NounChunk], doc: Doc) -> list[NounChunk]:
    """The chunks and one for each noun in none of them, by place."""
    taken = [False] * len(doc)
    for chunk in chunks:
        taken[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
    added = []
    for token, is_taken in zip(doc, taken, strict=True):
        at = token.i
        if is_taken or token.pos_ not in _NOUNS or token.lower_ in _COLORS:
            continue
        if at + 1 < len(doc) and not taken[at + 1] and doc[at + 1].pos_ in _NOUNS:
            continue  # the next one is the noun, this one is before it
        start = at
        while start and not taken[start - 1] and _modifies(doc[start - 1]):
            start -= 1
        added.append(NounChunk(doc, start, at + 1, token))
    return sorted([*chunks, *added], key=lambda chunk: chunk.start) if added else chunks


def _modifies(token: Token) -> bool:
    """Whether a token in front of a noun belongs to it."""
    return token.pos_ in _MODIFIERS or token.tag_ in _PARTICIPLES


def _take_participles(chunks: list[NounChunk], doc: Doc) -> list[NounChunk]:
    """Moves the start of chunks over participles of theirs."""
    free = 0
    for chunk in chunks:
        start = chunk.start
        if start > free and doc[start - 1].tag_ in _PARTICIPLES and chunk.root.pos_ in _NOUNS:
            while start > free and _modifies(doc[start - 1]):
                start -= 1
            if not _makes_verb(doc, start - 1):
                chunk.start = start
        free = chunk.end
    return chunks


def _makes_verb(doc: Doc, at: int) -> bool:
    """Whether the token there, which may be none, makes a verb of the participle after it."""
    if at < 0 or doc[at].pos_ not in _OF_VERBS:
        return False
    return not (doc[at].pos_ == "AUX" and at > 0 and doc[at - 1].lower_ in _PRESENTING)


def _join_colors(chunks: list[NounChunk]) -> list[NounChunk]:
    """Joins a chunk that ends in a colour with the one that follows at once."""
    joined: list[NounChunk] = []
    for chunk in chunks:
        if joined and _is_front(joined[-1], chunk):
            chunk.start = joined.pop().start
        joined.append(chunk)
    return joined


def _is_front(before: NounChunk, chunk: NounChunk) -> bool:
    """Whether a chunk is the front of another."""
    if before.root.i != before.end - 1 or before.root.lower_ not in lexicon.COLORS:
        return False
    between = range(before.end, chunk.start)
    return chunk.root.pos_ in _NOUNS and all(chunk.doc[i].tag_ in _PARTICIPLES for i in between)
