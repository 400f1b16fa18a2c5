"""The table of official splits."""

from __future__ import annotations

import re

import pytest

from alp_builder.errors import UsageError
from alp_builder.sources import OFFICIAL_SPLITS, find_split


def test_the_ten_splits_hold_the_published_numbers() -> None:
    counts = {split.name: split.narratives for split in OFFICIAL_SPLITS}
    assert len(counts) == len(OFFICIAL_SPLITS) == 10
    # Published totals of the data sets (Localized Narratives, table 1).
    totals = {"open_images": 675_155, "coco": 142_845, "flickr30k": 32_578, "ade20k": 22_529}
    for prefix, total in totals.items():
        assert sum(n for name, n in counts.items() if name.startswith(prefix)) == total


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("open_images_train", 10, "open_images_train_v6_localized_narratives-00000-of-00010.jsonl"),
        ("open_images_validation", 1, "open_images_validation_localized_narratives.jsonl"),
        ("coco_train", 4, "coco_train_localized_narratives-00000-of-00004.jsonl"),
        ("coco_val", 1, "coco_val_localized_narratives.jsonl"),
        ("flickr30k_test", 1, "flickr30k_test_localized_narratives.jsonl"),
        ("ade20k_validation", 1, "ade20k_validation_localized_narratives.jsonl"),
    ],
)
def test_files_carry_the_official_names(name: str, count: int, first: str) -> None:
    files = find_split(name).files
    assert len(files) == count
    assert files[0] == first


def test_file_names_are_unique_and_plain() -> None:
    files = [name for split in OFFICIAL_SPLITS for name in split.files]
    assert len(set(files)) == len(files) == 22
    assert all(re.fullmatch(r"[a-z0-9_]+(-\d{5}-of-\d{5})?\.jsonl", name) for name in files)
    assert {split.split for split in OFFICIAL_SPLITS} == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("coco-val", "coco_val"),
        ("COCO_train", "coco_train"),
        ("open_images_val", "open_images_validation"),
        ("ade20k_val", "ade20k_validation"),
        ("flicker30k_test", "flickr30k_test"),
    ],
)
def test_a_wrong_name_gets_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean .*{near}"):
        find_split(wrong)


def test_a_strange_name_gets_them_all() -> None:
    with pytest.raises(UsageError, match=r"expected one of open_images_train, .*ade20k_validation"):
        find_split("zzz")
