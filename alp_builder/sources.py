"""The official splits of Localized Narratives, by name: their files and how many narratives they hold.

Source: the data set's page and Pont-Tuset et al., "Connecting Vision and Language with Localized
Narratives" (ECCV 2020), table 1. The counts are the published ones; a build reports its own. The files
are JSON Lines under CC BY 4.0, the large splits in numbered shards.
"""

from __future__ import annotations

import difflib

import msgspec

from alp_builder.errors import UsageError

BASE_URL = "https://storage.googleapis.com/localized-narratives/annotations/"
"""Folder of the official files; a mirror keeps their names."""


class OfficialSplit(msgspec.Struct, frozen=True, kw_only=True):
    """One official split.

    Attributes:
        name: What `alps fetch` calls it, such as "coco_val".
        dataset: Whose images were narrated, such as "COCO".
        split: Role of the split: "train", "val" or "test".
        narratives: Published number of narratives.
        files: Names of its files under `BASE_URL`, in order.
    """

    name: str
    dataset: str
    split: str
    narratives: int
    files: tuple[str, ...]


def _split(
    name: str, dataset: str, split: str, narratives: int, *, stem: str = "", shards: int = 1
) -> OfficialSplit:
    stem = f"{stem or name}_localized_narratives"
    files = tuple(f"{stem}-{i:05d}-of-{shards:05d}.jsonl" for i in range(shards))
    return OfficialSplit(
        name=name,
        dataset=dataset,
        split=split,
        narratives=narratives,
        files=files if shards > 1 else (f"{stem}.jsonl",),
    )


OFFICIAL_SPLITS: tuple[OfficialSplit, ...] = (
    _split(
        "open_images_train", "Open Images", "train", 507_444, stem="open_images_train_v6", shards=10
    ),
    _split("open_images_validation", "Open Images", "val", 41_691),
    _split("open_images_test", "Open Images", "test", 126_020),
    _split("coco_train", "COCO", "train", 134_272, shards=4),
    _split("coco_val", "COCO", "val", 8_573),
    _split("flickr30k_train", "Flickr30k", "train", 30_546),
    _split("flickr30k_val", "Flickr30k", "val", 1_009),
    _split("flickr30k_test", "Flickr30k", "test", 1_023),
    _split("ade20k_train", "ADE20k", "train", 20_476),
    _split("ade20k_validation", "ADE20k", "val", 2_053),
)
"""All official splits, in the order of the data set's page."""


def find_split(name: str) -> OfficialSplit:
    """The official split of a name.

    Raises:
        UsageError: If there is none; the message gives the nearest names.
    """
    splits = {split.name: split for split in OFFICIAL_SPLITS}
    if name in splits:
        return splits[name]
    near = difflib.get_close_matches(name.lower().replace("-", "_"), splits, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(splits)}"
    raise UsageError(f"no official split is called {name!r}: {hint}")
