"""A selection as a data set of its own: shards, manifest and accounts, which `alps validate` accepts.

Phrases that the selection leaves out are counted as `dropped.not_selected`, so that every phrase of the inputs
still has its fate. The quarantine is that of the original.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import msgspec

from alp_builder.config import ShardConfig
from alp_builder.errors import BadDataError, UsageError
from alp_builder.export.selection import Selection
from alp_builder.extraction import DROPPED
from alp_builder.files import write_atomic
from alp_builder.manifest import write_manifest
from alp_builder.reader import AlpDataset
from alp_builder.schema import SCHEMA_VERSION
from alp_builder.shards import ShardInfo, write_shard

NOT_SELECTED = DROPPED + "not_selected"


def write_subset(dataset: AlpDataset, out: Path, selection: Selection) -> Counter[str]:
    """Writes the folder's files, the manifest last.

    Args:
        dataset: A finished data set.
        out: The folder, which exists.
        selection: What is kept.

    Returns:
        Counts: `alps`, `images`.

    Raises:
        UsageError: If the selection names a box: shards keep all of them.
        BadDataError: If a shard, the quarantine file or the manifest's configuration is damaged.
    """
    if selection.box != "raw":
        raise UsageError("--box: shards keep every box there is; leave it out")
    manifest = dataset.manifest
    try:
        config = msgspec.convert(manifest.config.get("shards", {}), ShardConfig)
    except msgspec.ValidationError as error:
        raise BadDataError(
            f"{dataset.name}: its configuration is none of ours ({error})"
        ) from error
    counts: Counter[str] = Counter(alps=0, images=0)
    infos: list[ShardInfo] = []
    phrases = 0
    for shard, table in selection.shards(dataset):
        infos.append(write_shard(table, out / shard.path, shard.path, shard.split, config))
        phrases += table.group_by(["narrative_id", "phrase_index"]).aggregate([]).num_rows
        images = table.group_by(["dataset_id", "image_id"]).aggregate([]).num_rows
        counts.update(alps=table.num_rows, images=images)
    write_atomic(out / manifest.quarantine.path, dataset.quarantine())
    chosen = msgspec.to_builtins(selection)
    fingerprint = hashlib.sha256(
        manifest.fingerprint.encode() + msgspec.json.encode(chosen, order="sorted")
    ).hexdigest()
    write_manifest(
        out,
        msgspec.structs.replace(
            manifest,
            schema_version=SCHEMA_VERSION,
            fingerprint=fingerprint,
            config={**manifest.config, "selection": chosen},
            shards=infos,
            counts=_accounts(manifest.counts, counts["alps"], phrases),
        ),
    )
    return counts


def _accounts(before: dict[str, int], alps: int, phrases: int) -> dict[str, int]:
    """The counts of a build, after a selection."""
    left_out = before.get("phrases_with_alps", 0) - phrases
    return before | {
        "alps": alps,
        "alps_written": alps,
        "duplicate_alps": 0,
        "phrases_with_alps": phrases,
        NOT_SELECTED: before.get(NOT_SELECTED, 0) + left_out,
    }
