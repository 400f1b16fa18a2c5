"""Which narratives of a data set a page shows: all, those with an ALP that fits, or a sample of them.

A condition is `COLUMN OP VALUE`, such as `score>=0.5`, `head_lemma=dog`, `is_plural=true` or `caption~horse`
(`~`: contains, whatever the case). Several must hold for one and the same ALP. Ids are read first and rows only
of the narratives chosen, so that a page of a few comes out of millions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alp_builder.errors import BadDataError, UsageError
from alp_builder.page.config import PageConfig
from alp_builder.reader import AlpDataset
from alp_builder.schema import GROUPS, arrow_schema

_CONDITION = re.compile(r"\s*(\w+)\s*(==|=|!=|>=|<=|>|<|~)\s*(.*?)\s*", re.DOTALL)
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Chosen:
    """The narratives of a page.

    Attributes:
        rows: Their ALPs, all columns but the tag of the version, in the order of the shards.
        matched: Narratives that fulfil the conditions.
        total: Narratives of the data set (of its split).
    """

    rows: pa.Table
    matched: int
    total: int


def parse_condition(text: str) -> pc.Expression:
    """A condition as a filter for the reader.

    Raises:
        UsageError: If it is none, or names no column that can be compared so.
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        raise UsageError(f"--where {text!r}: expected COLUMN OP VALUE, such as score>=0.5")
    name, operator, value = found.groups()
    types = {field.name: field.type for field in arrow_schema(GROUPS)} | {"split": pa.string()}
    if name not in types or pa.types.is_list(types[name]):
        raise UsageError(
            f"--where {text!r}: no column {name!r} to compare; `alps stats` lists them"
        )
    field = pc.field(name)
    if operator == "~":
        if types[name] != pa.string():
            raise UsageError(f"--where {text!r}: '~' looks into text, {name} is {types[name]}")
        return pc.match_substring(field, value, ignore_case=True)
    wanted = _value(text, value, types[name])
    comparisons = {
        "=": field == wanted, "==": field == wanted, "!=": field != wanted,
        ">=": field >= wanted, "<=": field <= wanted, ">": field > wanted, "<": field < wanted,
    }  # fmt: skip
    return comparisons[operator]


def _value(text: str, value: str, kind: pa.DataType) -> pa.Scalar:
    try:
        if pa.types.is_boolean(kind):
            return pa.scalar(_BOOLEANS[value.lower()], kind)
        if pa.types.is_integer(kind):
            return pa.scalar(int(value), kind)
        if pa.types.is_floating(kind):
            return pa.scalar(float(value), kind)
        return pa.scalar(value, kind)
    except (KeyError, ValueError, OverflowError, pa.ArrowException) as error:
        raise UsageError(f"--where {text!r}: {value!r} is no value of type {kind}") from error


def choose(
    dataset: AlpDataset,
    where: list[str],
    split: str | None,
    config: PageConfig,
    image_ids: set[str] | None = None,
) -> Chosen:
    """Reads the ALPs of the narratives a page shows.

    Args:
        dataset: The data set.
        where: Conditions, see the module.
        split: Which split; all if `None`.
        config: Size and seed of the sample.
        image_ids: Only narratives of these images; of any if `None`.

    Returns:
        The chosen narratives.

    Raises:
        UsageError: If a condition or the split is none, or all of too many narratives are asked for.
        BadDataError: If columns are not of the schema.
    """
    conditions = [parse_condition(text) for text in where]
    if image_ids is not None:
        conditions.append(pc.field("image_id").isin(pa.array(sorted(image_ids), pa.string())))
    every = _ids(dataset, None, split)
    matched = every
    if conditions:
        condition = conditions[0]
        for other in conditions[1:]:
            condition = condition & other
        matched = _ids(dataset, condition, split)
    kept = matched
    if config.sample and len(matched) > config.sample:
        order = np.random.default_rng(config.seed).permutation(len(matched))[: config.sample]
        kept = matched.take(pa.array(np.sort(order)))
    if len(kept) > config.max_narratives:
        raise UsageError(
            f"{len(kept):,} narratives are too many for a page; at most {config.max_narratives:,}:"
            " take fewer with --sample or --where"
        )
    columns = [f.name for f in arrow_schema(tuple(_groups(dataset)))] + ["split"]
    rows = dataset.table(columns, pc.field("narrative_id").isin(kept), split)
    return Chosen(_typed(rows, dataset), len(matched), len(every))


def _ids(dataset: AlpDataset, condition: pc.Expression | None, split: str | None) -> pa.Array:
    """Ids of the narratives with an ALP that fits, in the order of the shards."""
    column = dataset.table(["narrative_id"], condition, split)["narrative_id"]
    try:
        return pc.unique(column.cast(pa.string()))
    except pa.ArrowException as error:
        raise BadDataError(f"{dataset.name}: narrative_id is no text ({error})") from error


def _groups(dataset: AlpDataset) -> list[str]:
    """Column groups of a data set, as far as this program knows them."""
    return ["core", *(g for g in GROUPS[1:] if g in dataset.manifest.groups)]


def _typed(rows: pa.Table, dataset: AlpDataset) -> pa.Table:
    """The rows with the types of the schema, which their files only claim to have."""
    schema = arrow_schema(tuple(_groups(dataset))).append(pa.field("split", pa.string()))
    try:
        plain = rows.replace_schema_metadata(None)
        arrays = [plain[field.name].cast(field.type) for field in schema]
    except pa.ArrowException as error:
        raise BadDataError(f"{dataset.name}: a column is not of the schema ({error})") from error
    if any(array.null_count for array in arrays):
        raise BadDataError(f"{dataset.name}: a column has values missing; run `alps validate`")
    return pa.Table.from_arrays(arrays, names=schema.names)
