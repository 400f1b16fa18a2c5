"""spaCy's attribute ruler with a memory: parts of speech at a tenth of the time.

The ruler of an English pipeline turns fine-grained tags into parts of speech and mends exceptions, by some 180
patterns. Matching them over every caption takes as long as parsing does, though captions repeat a few thousand
cases. What the ruler does to a token is a function of

- the attributes of that token which its patterns look at (lower-case form, tag, dependency), and
- for patterns of two tokens ("there is"), which of their elements the tokens beside it match.

So each case is taken to the ruler once and remembered. The result is the ruler's own; pipelines with patterns
of another shape are left to the ruler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from spacy.pipeline import AttributeRuler
    from spacy.tokens import Doc

_MAX_CASES = 200_000  # bounds the memory untrusted captions can take
_SET = ["POS", "MORPH"]  # what noun chunks and lemmas need
_FIXED = ["TAG", "DEP"]  # tokens of which the ruler changes these (white space) are not remembered

Own: TypeAlias = tuple[int, ...]
"""Attributes of a token that patterns look at."""


class RememberingRuler:
    """Sets the parts of speech and morphology of documents as an attribute ruler does.

    Args:
        ruler: The ruler, from a pipeline that does not run it.
    """

    def __init__(self, ruler: AttributeRuler) -> None:
        from spacy.matcher import Matcher

        self._ruler = ruler
        patterns: list[list[dict[str, Any]]] = [p for e in ruler.patterns for p in e["patterns"]]
        self._looked_at = sorted({name for pattern in patterns for t in pattern for name in t})
        self._applies = all(len(p) <= 2 for p in patterns) and not {"OP", "_"} & {*self._looked_at}
        # The elements of patterns of two tokens, as bits.
        elements = [element for pattern in patterns if len(pattern) > 1 for element in pattern]
        self._elements = Matcher(ruler.vocab)
        for bit, element in enumerate(elements):
            self._elements.add(str(bit), [[element]])
        self._bits: dict[Own, int] = {}
        self._effects: dict[tuple[Own, int, int], tuple[int, int]] = {}

    def __call__(self, doc: Doc) -> Doc:
        """Sets the attributes of a document's tokens in place."""
        if not self._applies or not len(doc):
            return self._ruler(doc)
        own = [*map(tuple, doc.to_array(self._looked_at).tolist())]
        try:
            bits = [self._bits[token] for token in own]
            cases = zip(own, [0, *bits[:-1]], [*bits[1:], 0], strict=True)
            effects = [self._effects[case] for case in cases]
        except KeyError:
            return self._learn(doc, own)
        return doc.from_array(_SET, np.array(effects, np.uint64))

    def _learn(self, doc: Doc, own: list[Own]) -> Doc:
        """Takes a document to the ruler and remembers what became of its tokens."""
        bits = [0] * len(doc)
        for number, start, _ in self._elements(doc, allow_missing=True):
            bits[start] |= 1 << int(doc.vocab.strings[number])
        before = doc.to_array(_FIXED)
        doc = self._ruler(doc)
        same = (doc.to_array(_FIXED) == before).all(1).tolist()
        cases = zip(own, [0, *bits[:-1]], [*bits[1:], 0], strict=True)
        if len(self._effects) < _MAX_CASES:
            self._bits.update(zip(own, bits, strict=True))
            effects = map(tuple, doc.to_array(_SET).tolist())
            self._effects.update(
                (case, effect)
                for case, effect, kept in zip(cases, effects, same, strict=True)
                if kept
            )
        return doc
