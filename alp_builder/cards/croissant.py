"""The Croissant description of a data set: JSON-LD that `mlcroissant` validates and loads.

Every shard is a file object with its real SHA-256, so a loader refuses a shard that was changed. Every shard
is also a record set of its own, named after split and number: `mlcroissant` 1.1 reads several files as one
record set only out of archives. Specification: MLCommons Croissant 1.1.
"""

from __future__ import annotations

from typing import Any

from alp_builder.cards.figures import CardFigures
from alp_builder.cards.origins import LICENSE_URLS
from alp_builder.cards.words import card_license, summary, title
from alp_builder.schema import Column
from alp_builder.shards import ShardInfo

PROJECT = "The ALP toolkit"

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The standard context of Croissant 1.1, word for word as the specification asks for it."""

DATA_TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "float": "cr:Float32",
}
"""Croissant's names of the Arrow types that shards hold."""


def croissant(figures: CardFigures, columns: tuple[Column, ...]) -> dict[str, Any]:
    """The JSON-LD document.

    Args:
        figures: The card's figures.
        columns: The columns of the shards.

    Returns:
        A tree for JSON.
    """
    settings = figures.settings
    license_id = card_license(figures)
    tree: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": settings.name,
        "alternateName": title(figures),
        "description": summary(figures),
        "license": LICENSE_URLS.get(license_id, license_id),
        "url": settings.url or "https://google.github.io/localized-narratives/",
        "creator": {"@type": "sc:Organization", "name": PROJECT},
        "version": f"{figures.schema_version}.0.0",
        "inLanguage": "en",
        "keywords": ["localized narratives", "phrase grounding", "weak supervision"],
        "citeAs": (
            "Desai, Misra, Johnson, van der Maaten: Scaling up Instance Segmentation using"
            " Approximately Localized Phrases. BMVC 2022."
        ),
        "distribution": [_file(shard, settings.location) for shard in figures.shards],
        "recordSet": [_record_set(shard, columns) for shard in figures.shards],
    }
    if settings.published:
        tree["datePublished"] = settings.published
    return tree


def record_set_name(shard: ShardInfo) -> str:
    """Name of a shard's record set: its split, and its number where the split has several."""
    number, _, count = shard.path.rpartition("part-")[2].partition(".")[0].partition("-of-")
    return shard.split if int(count) == 1 else f"{shard.split}-{number}"


def _file(shard: ShardInfo, location: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": shard.path,
        "name": shard.path,
        "contentUrl": f"{location.rstrip('/')}/{shard.path}" if location else shard.path,
        "contentSize": f"{shard.size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": shard.sha256,
    }


def _record_set(shard: ShardInfo, columns: tuple[Column, ...]) -> dict[str, Any]:
    name = record_set_name(shard)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{shard.rows} ALPs of the split {shard.split}, one a row.",
        "key": {"@id": f"{name}/alp_id"},
        "field": [_field(name, shard, column) for column in columns],
    }


def _field(record_set: str, shard: ShardInfo, column: Column) -> dict[str, Any]:
    unit = f" Unit: {column.unit}." if column.unit else ""
    kind = str(getattr(column.type, "value_type", column.type))
    tree: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column.name}",
        "name": column.name,
        "description": column.doc + unit,
        "dataType": DATA_TYPES[kind],
        "source": {"fileObject": {"@id": shard.path}, "extract": {"column": column.name}},
    }
    if hasattr(column.type, "value_type"):
        tree |= {"isArray": True, "arrayShape": "-1"}
    return tree
