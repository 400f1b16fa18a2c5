from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from alp_builder.errors import BadDataError, UsageError
from tests.trainer.data.conftest import ROWS, alp, write_shards
from trainer.data.alps import AlpDataset, AlpFilter
from trainer.data.images import ImageFinder


def contents(alps: AlpDataset) -> dict[str, list[tuple[Any, ...]]]:
    """Every image's ALPs as plain values."""
    return {
        record.image_id: [
            (phrase, head, tuple(np.round(box, 5)), bool(plural), round(float(score), 5))
            for phrase, head, box, plural, score in zip(
                record.phrases,
                record.heads,
                record.boxes,
                record.plural,
                record.scores,
                strict=True,
            )
        ]
        for record in (alps[i] for i in range(len(alps)))
    }


def test_rows_come_back_grouped_by_image(alps: AlpDataset, world: Path) -> None:
    assert (len(alps), alps.num_alps) == (3, 6)
    expected: dict[str, list[tuple[Any, ...]]] = {"1": [], "2": [], "3": []}
    for row in ROWS:
        box = tuple(row[side] for side in ("x0", "y0", "x1", "y1"))
        plural, score = row.get("is_plural", False), row.get("score", 0.5)
        value = row["phrase_text"], row["head_lemma"], box, plural, score
        expected[row["image_id"]].append(value)
    assert contents(alps) == expected
    assert alps[2].file_name == str(world / "train" / "000000003.jpg")
    assert str(alps.report) == "3 images, all found"


def test_the_commonest_phrases_come_first(finder: ImageFinder, tmp_path: Path) -> None:
    said = [("dog", "dog"), ("cat", "cat"), ("dog", "dog"), ("ant", "ant")]
    rows = [alp("1", phrase, (0.1, 0.1, 0.5, 0.5), head_lemma=head) for phrase, head in said]
    data = AlpDataset.open(write_shards(tmp_path / "a", rows), finder, cache=tmp_path / "cache")
    assert data.common_phrases() == [("dog", "dog"), ("ant", "ant"), ("cat", "cat")]
    assert data.common_phrases(most=1) == [("dog", "dog")]


def test_how_shards_are_cut_does_not_matter(
    alps: AlpDataset, finder: ImageFinder, tmp_path: Path
) -> None:
    other = write_shards(tmp_path / "other", ROWS[3:] + ROWS[:3])
    again = AlpDataset.open(other, finder, cache=tmp_path / "cache")
    assert contents(again) == contents(alps)


@pytest.mark.parametrize(
    ("quality", "left"),
    [
        (AlpFilter(min_score=0.3), 5),
        (AlpFilter(min_side=0.25), 4),
        (AlpFilter(plurals=False), 4),
        (AlpFilter(min_points=2), 0),
        (AlpFilter(min_dwell_time=0.6), 0),
        (AlpFilter(max_components=0), 0),
        (AlpFilter(max_time_gap=0.5, groups=False), 6),
    ],
)
def test_quality_filters(
    world: Path, finder: ImageFinder, tmp_path: Path, quality: AlpFilter, left: int
) -> None:
    def opened() -> AlpDataset:
        return AlpDataset.open(world / "alps", finder, cache=tmp_path, quality=quality)

    if left:
        assert opened().num_alps == left
    else:
        with pytest.raises(BadDataError, match="no ALP passes the filter"):
            opened()


def test_boxes_of_no_area_go_and_others_are_cut_at_the_image(
    finder: ImageFinder, tmp_path: Path
) -> None:
    rows = [
        alp("1", "flat", (0.5, 0.5, 0.5, 0.9)),
        alp("1", "turned", (0.9, 0.1, 0.1, 0.9)),
        alp("1", "outside", (1.1, 0.1, 1.2, 0.9)),
        alp("1", "left outside", (-0.5, 0.1, -0.1, 0.9)),
        alp("1", "above", (0.1, -0.5, 0.9, 0.0)),
        alp("1", "no number", (float("nan"), 0.1, 0.2, 0.9)),
        alp("1", "wide", (-0.5, 0.0, 1.5, 1.0)),
    ]
    alps = AlpDataset.open(write_shards(tmp_path / "a", rows), finder, cache=tmp_path)
    assert alps[0].phrases == ["wide"]
    assert alps[0].boxes.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("box", [(-0.5, 0.1, 0.2, 0.9), (0.8, 0.1, 1.5, 0.9)])
def test_the_least_side_is_that_of_what_lies_in_the_image(
    box: tuple[float, ...], finder: ImageFinder, tmp_path: Path
) -> None:
    folder = write_shards(tmp_path / "a", [alp("1", "dog", box), alp("1", "cat", (0, 0, 0.4, 1))])
    alps = AlpDataset.open(folder, finder, cache=tmp_path, quality=AlpFilter(min_side=0.3))
    assert alps[0].phrases == ["cat"]


def test_the_cache_is_used_again_and_follows_rows_and_filter(
    world: Path, finder: ImageFinder, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"

    def opened(**more: Any) -> Path:
        return AlpDataset.open(world / "alps", finder, cache=cache, **more).store.folder

    first = opened()
    stamp = (first / "info.json").stat().st_mtime_ns
    assert opened() == first
    assert (first / "info.json").stat().st_mtime_ns == stamp
    assert opened(quality=AlpFilter(min_score=0.3)) != first
    changed = write_shards(tmp_path / "alps", ROWS[:5])
    assert AlpDataset.open(changed, finder, cache=cache).store.folder != first
    (first / "box.npy").write_bytes(b"")
    with pytest.raises(BadDataError, match="delete the folder, it is made anew"):
        opened()


def test_splits(finder: ImageFinder, tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "alps", ROWS, split="val")
    assert len(AlpDataset.open(folder, finder, cache=tmp_path, split="val")) == 3
    with pytest.raises(UsageError, match="no split 'train'; there is val"):
        AlpDataset.open(folder, finder, cache=tmp_path, split="train")


def test_a_data_set_pickles_as_its_path(alps: AlpDataset) -> None:
    data = pickle.dumps(alps)
    assert b"dog on the left" not in data
    assert contents(pickle.loads(data)) == contents(alps)


def test_images_can_be_left_out(alps: AlpDataset) -> None:
    assert list(alps.image_keys()) == [f"simulated_world_train/{i}" for i in (1, 2, 3)]
    smaller = alps.without({"simulated_world_train/2"})
    assert [smaller[i].image_id for i in range(len(smaller))] == ["1", "3"]
    assert (smaller.num_alps, alps.num_alps) == (3, 6)
    with pytest.raises(UsageError, match="every image with ALPs is excluded"):
        alps.without(set(alps.image_keys()))


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "_alps" / "manifest.json").read_text())
    return found


def test_mistakes_of_users(finder: ImageFinder, tmp_path: Path) -> None:
    def opened(folder: Path) -> AlpDataset:
        return AlpDataset.open(folder, finder, cache=tmp_path / "cache")

    with pytest.raises(UsageError, match="nowhere: no such folder"):
        opened(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadDataError, match="manifest"):
        opened(tmp_path / "empty")
    folder = write_shards(tmp_path / "alps", ROWS)
    manifest = folder / "_alps" / "manifest.json"
    good = manifest.read_text()
    manifest.write_text(json.dumps(manifest_of(folder) | {"schema_version": 99}))
    with pytest.raises(BadDataError, match="schema version 99 is newer than"):
        opened(folder)
    manifest.write_text(good)
    next(folder.glob("split=*/*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(BadDataError, match="the manifest says"):
        opened(folder)
    for error in (tmp_path / "cache").glob("*"):
        pytest.fail(f"a failed read left {error}")


def test_alps_of_object_storage_through_a_cache_smaller_than_they_are(
    world: Path, alps: AlpDataset, finder: ImageFinder, tmp_path: Path
) -> None:
    files = fsspec.filesystem("memory")
    url = f"memory://{tmp_path.name}/alps"
    files.put(str(world / "alps"), url, recursive=True)
    sizes = [p.stat().st_size for p in (world / "alps").rglob("*.parquet")]
    bound = {"shard_cache_gib": (sum(sizes) - 1) / 2**30}
    again = AlpDataset.open(url, finder, cache=tmp_path / "remote", **bound)
    assert contents(again) == contents(alps)
    assert again.content_hash() == alps.content_hash()
    assert len(list((tmp_path / "remote" / "shards").glob("*/split=*/*.parquet"))) == 1

    for path in files.glob(f"{url}/split=*/*"):
        files.rm_file(path)  # the manifest tells that the arrays at hand are those of the shards
    assert len(AlpDataset.open(url, finder, cache=tmp_path / "remote", **bound)) == 3
    with pytest.raises(BadDataError, match="part-00000-of-00002.parquet: not there"):
        AlpDataset.open(url, finder, cache=tmp_path / "new", **bound)
