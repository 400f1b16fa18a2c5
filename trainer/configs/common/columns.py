"""Columns of the text classifier, shared by both models; see `trainer.modeling.columns`."""

from detectron2.config import LazyCall as L

from trainer.modeling.columns import ColumnBuilder

# The embedder and the names come with the data, when the model is built.
columns = L(ColumnBuilder)(
    embedder=None,
    base_names=None,
    box_names=None,
    foreign_weight=0.125,
    synonym_cosine=0.9,
    same_head_is_synonym=True,
    plural_everywhere=False,
    base_weight=0.0,
    base_columns=False,
    base_phrases=True,
    known_weight=0.0,
    max_phrases=128,
)
