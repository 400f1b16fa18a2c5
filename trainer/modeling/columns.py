"""The columns of the classifier: which texts a batch is scored against, and what each one may teach.

**Mask batch.** The columns are the base classes' names. Masks are exhaustive for them, so every column
is a full negative wherever it is not positive. With `known_weight` the narratives' commonest phrases that name
no base class are columns too: where a thing's class is known, what other phrases are *not* there is known as
well (a dog with a mask is no rocket), which is the one clean thing to be learned about them. Elsewhere in
the image they teach nothing.

    common phrase, where a thing of a base class is positive    known_weight
    ... that is a synonym of the class (cosine > 0.9)           0
    common phrase, anywhere else                                0

**ALP batch.** The columns are the unique phrases of the global batch (all processes). A narrative names
some of what an image shows, never all, so a column is worth less, or nothing, as a negative:

    own phrase of the image                                     1
    own phrase that is plural, outside its own boxes            0   (more of them may be anywhere)
    class of a group that the image has (true boxes)            0   (likewise)
    phrase that is a synonym of another phrase of the image     0   (same head lemma, or cosine > 0.9)
    phrase of other images only                                 0.125  (Detic's caption loss)
    ... that names a base class                                 0   (narratives are not exhaustive)

Without `base_phrases`, a phrase that names a base class teaches nothing at all, own or foreign: masks teach those
classes, and better. Its box still says what is there: a negative for the other phrases.

The table is the matrix `outside` of shape (B, C). Inside an image's own boxes a second rule, the
ignore ring, applies: see `trainer.modeling.assignment`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from detectron2.structures import Instances
from torch import Tensor

from trainer.engine.distributed import gather_in_order

MASK, BOX, ALP = "mask", "box", "alp"
SOURCES: tuple[str, ...] = (MASK, ALP, BOX)
"""What may supervise a step: masks, ALPs, or true boxes with class names (the oracle)."""

MIN_SIDE = 0.1
"""Least side of a training box, in pixels of the image as the model sees it."""

BatchItem = dict[str, Any]


class Embedder(Protocol):
    """Texts to unit vectors; see `trainer.modeling.text_encoders.embedder`."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def classes(self, names: Sequence[str]) -> Tensor:
        """Unit embeddings `(N, dim)` of class names."""

    def phrases(self, phrases: Sequence[str]) -> Tensor:
        """Unit embeddings `(N, dim)` of free phrases."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one step on one process.

    Attributes:
        texts: What the columns say, C of them.
        embeddings: Unit text embeddings `(C, D)`, float32.
        outside: Weight `(B, C)` of a column as a negative in each image, outside its own boxes.
        of_class: For each image, the column `(K_b,)` of each of its class indices.
        exhaustive: True if every weight is 1 (mask and box batches): no weighting is needed.
        taught: Factor `(C,)` of each column's weights in ALP batches, 0 or 1; None for all ones.
        known: Weights `(K, C)` of the columns where class k of K is positive, of mask batches with
            phrases; the positive column itself has 1. None where `outside` says it all.
    """

    texts: tuple[str, ...]
    embeddings: Tensor
    outside: Tensor
    of_class: tuple[Tensor, ...]
    exhaustive: bool
    taught: Tensor | None = None
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def to(self, device: torch.device) -> Columns:
        """The same on another device."""
        return Columns(
            self.texts,
            self.embeddings.to(device),
            self.outside.to(device),
            tuple(c.to(device) for c in self.of_class),
            self.exhaustive,
            None if self.taught is None else self.taught.to(device),
            None if self.known is None else self.known.to(device),
        )

    def relabel(self, instances: list[Instances]) -> list[Instances]:
        """Instances whose `gt_classes` are columns, without those whose box is no box.

        The given ones stay as they are. A box thinner than `MIN_SIDE`, or not finite, would make
        the logarithms of box regression infinite.
        """
        out = []
        for columns, per_image in zip(self.of_class, instances, strict=True):
            copy = Instances(per_image.image_size, **per_image.get_fields())
            copy.gt_classes = columns[per_image.gt_classes]
            boxes = per_image.gt_boxes
            sound = torch.isfinite(boxes.tensor).all(dim=1) & boxes.nonempty(MIN_SIDE)
            out.append(copy if bool(sound.all()) else copy[sound])
        return out


class ColumnBuilder:
    """Makes the columns of a batch.

    Args:
        embedder: Texts to vectors.
        base_names: Names of the classes that have masks, in the order of their indices.
        box_names: Names of the classes of true-box batches; the base names unless given.
        foreign_weight: Weight of a phrase of other images as a negative.
        synonym_cosine: Two phrases at least this similar are synonyms; above 1 switches the rule off.
        same_head_is_synonym: Whether two phrases with the same head lemma are synonyms.
        plural_everywhere: Whether a plural phrase is a negative outside its own boxes after all.
        base_weight: Weight, as a negative, of another image's phrase that names a base class.
        base_columns: Whether ALP batches get the base names as further columns of that weight.
        base_phrases: Whether ALPs teach phrases that name a base class.
        known_weight: Weight of common phrases as negatives at things of base classes in mask batches; 0
            leaves the phrases out.
        max_phrases: Most phrases there.
        common_phrases: Phrases and their head lemmas, the commonest first.
    """

    def __init__(
        self,
        embedder: Embedder,
        base_names: Sequence[str],
        box_names: Sequence[str] | None = None,
        foreign_weight: float = 0.125,
        synonym_cosine: float = 0.9,
        same_head_is_synonym: bool = True,
        plural_everywhere: bool = False,
        base_weight: float = 0.0,
        base_columns: bool = False,
        base_phrases: bool = True,
        known_weight: float = 0.0,
        max_phrases: int = 128,
        common_phrases: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.embedder = embedder
        self.base_names = tuple(base_names)
        self.box_names = self.base_names if box_names is None else tuple(box_names)
        self.foreign_weight = foreign_weight
        self.synonym_cosine = synonym_cosine
        self.same_head_is_synonym = same_head_is_synonym
        self.plural_everywhere = plural_everywhere
        self.base_weight = base_weight
        self.base_columns = base_columns
        self.base_phrases = base_phrases
        self.known_weight = known_weight
        self._base = {name.casefold() for name in self.base_names}
        # A text may come with two heads, as verb and noun: it is one column all the same.
        free = dict.fromkeys(t for t, h in common_phrases if not self._names_base(t, h))
        self.mask_phrases = tuple(free)[:max_phrases] if known_weight > 0 else ()

    def __call__(self, batch: list[BatchItem]) -> Columns:
        """Columns of a batch, all of whose items have the same source.

        Raises:
            ValueError: If the batch mixes sources or names an unknown one.
        """
        sources = {item["source"] for item in batch}
        if len(sources) != 1 or not sources <= set(SOURCES):
            raise ValueError(f"a batch has one source out of {SOURCES}: found {sorted(sources)}")
        source = sources.pop()
        if source == ALP:
            return self._of_phrases(batch)
        if source == MASK and self.mask_phrases:
            return self._of_known(len(batch))
        return self._of_names(self.box_names if source == BOX else self.base_names, len(batch))

    def _of_names(self, names: tuple[str, ...], images: int) -> Columns:
        everyone = torch.arange(len(names))
        return Columns(
            texts=names,
            embeddings=self.embedder.classes(names),
            outside=torch.ones(images, len(names)),
            of_class=(everyone,) * images,
            exhaustive=True,
        )

    def _of_known(self, images: int) -> Columns:
        """Base names, and common phrases where a thing's class is known."""
        names = self.embedder.classes(self.base_names)
        phrases = self.embedder.phrases(self.mask_phrases)
        beside = self.known_weight * (names @ phrases.T <= self.synonym_cosine).float()
        outside = torch.cat([torch.ones(len(names)), torch.zeros(len(phrases))])
        return Columns(
            texts=self.base_names + self.mask_phrases,
            embeddings=torch.cat([names, phrases]),
            outside=outside.repeat(images, 1),
            of_class=(torch.arange(len(names)),) * images,
            exhaustive=False,
            known=torch.cat([torch.ones(len(names), len(names)), beside], dim=1),
        )

    def _names_base(self, text: str, head: str) -> bool:
        """Whether a phrase names a base class."""
        return not self._base.isdisjoint(_endings(text, head))

    def _of_phrases(self, batch: list[BatchItem]) -> Columns:
        local = [
            (p, h) for i in batch for p, h in zip(i["phrases"], i["phrase_heads"], strict=True)
        ]
        everyone = gather_in_order(local)
        head_of = dict(reversed(everyone))  # the first head of a phrase wins
        texts = tuple(dict.fromkeys(phrase for phrase, _ in everyone))
        candidates = self.base_names if self.base_columns else ()
        extra = tuple(name for name in candidates if name.casefold() not in head_of)
        embeddings = self.embedder.phrases(texts)
        if extra:
            embeddings = torch.cat([embeddings, self.embedder.classes(extra)])
        index = {text: column for column, text in enumerate(texts)}
        of_class = tuple(
            torch.tensor([index[p] for p in item["phrases"]], dtype=torch.long) for item in batch
        )
        heads = [head_of[t] for t in texts] + list(extra)
        named = [self._names_base(t, h) for t, h in zip(texts + extra, heads, strict=True)]
        is_base = torch.tensor(named, dtype=torch.bool)
        synonyms = self._synonyms(heads, embeddings)
        if extra:  # "brown dog" names the class Dog, which has no head lemma to go by
            forms = [_endings(t, head_of[t]) for t in texts]
            named_by = [[name.casefold() in form for name in extra] for form in forms]
            synonyms[: len(texts), len(texts) :] |= torch.tensor(named_by, dtype=torch.bool)
        outside = self._negative_weights(batch, synonyms, is_base, of_class)
        taught = None
        if not self.base_phrases:
            taught = torch.ones(len(heads))
            taught[: len(texts)] -= is_base[: len(texts)].float()
        return Columns(
            texts + extra, embeddings, outside, of_class, exhaustive=False, taught=taught
        )

    def _negative_weights(
        self,
        batch: list[BatchItem],
        synonyms: Tensor,
        is_base: Tensor,
        of_class: tuple[Tensor, ...],
    ) -> Tensor:
        """The table of the module docstring, `(B, C)`."""
        foreign = torch.full((len(is_base),), self.foreign_weight)
        foreign[is_base] = self.base_weight
        outside = foreign.repeat(len(batch), 1)
        for row, item, own in zip(outside, batch, of_class, strict=True):
            row[own] = 1.0
            if not self.plural_everywhere:
                row[own[_plural_classes(item)]] = 0.0
            row[synonyms[own].any(dim=0)] = 0.0
        return outside

    def _synonyms(self, heads: list[str], embeddings: Tensor) -> Tensor:
        """Which columns are synonyms `(C, C)`; no column is its own synonym."""
        synonyms = embeddings @ embeddings.T > self.synonym_cosine
        if self.same_head_is_synonym:
            number = {head: i for i, head in enumerate(dict.fromkeys(heads))}
            ids = torch.tensor([number[head] for head in heads], dtype=torch.long)
            synonyms |= ids[:, None] == ids[None, :]
        return synonyms.fill_diagonal_(False)


def _endings(text: str, head: str) -> set[str]:
    """What a phrase may name: its head, and its last words as they stand and with the head for the last.

    >>> sorted(_endings("red traffic lights", "light"))[:3]
    ['light', 'lights', 'red traffic light']
    """
    words = text.casefold().split()
    forms = (words, [*words[:-1], head])
    return {head} | {" ".join(form[start:]) for form in forms for start in range(len(form))}


def _plural_classes(item: BatchItem) -> Tensor:
    """Class indices of an image's phrases of which there may be more than have a box.

    Some instance of theirs is called plural; or, among true boxes, there is a group (`item["groups"]`).
    """
    instances: Instances = item["instances"]
    plural: Tensor = instances.gt_classes[instances.is_plural.bool()].cpu()
    found: Tensor = torch.unique(torch.cat([plural, item.get("groups", plural[:0])]))
    return found
