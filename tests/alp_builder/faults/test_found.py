"""What mutation found, kept as the smallest case of each: none may come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alp_builder.audit.gold import read_gold
from alp_builder.audit.masks import decode_mask
from alp_builder.cli import main
from alp_builder.config import BuildConfig, load_config
from alp_builder.errors import AlpError, BadDataError, UsageError
from alp_builder.manifest import manifest_path
from alp_builder.narratives import read_narratives
from alp_builder.reader import open_alps, read_alps
from alp_builder.simulate.coco import MAX_PIXELS, read_coco, things_of
from alp_builder.validation import validate
from tests.alp_builder.conftest import Builder, tree_bytes
from tests.alp_builder.faults.running import OPTIONS
from tests.alp_builder.faults.test_mutated_files import coco_tree

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    """Arrow's messages have lines of their own, and file names may hold anything."""
    error = BadDataError("a\n  b\r\n\n\x1b[31mc\u2028d " + "x" * 5000)
    assert str(error).startswith("a b \\x1b[31mc d xxx")
    assert len(str(error)) < 2100
    assert str(AlpError("plain ünïcode")) == "plain ünïcode"


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 1, 1e9, 1, 9, 9]],
        [[1, 1, 9, 1, 9, -1e18]],
        [[1, 1, 9, 1, float("nan"), 9]],
        {"size": [40, 40], "counts": "1"},
        {"size": [40, 40], "counts": [1600, -1, 1]},
        {"size": [40, 40], "counts": [1, 2]},
        {"size": [40, 40], "counts": "T" * 40},
    ],
)
def test_a_mask_that_cannot_be_drawn_is_refused(segmentation: Any) -> None:
    """pycocotools took all memory for the first, and read what nobody wrote for the fourth."""
    with pytest.raises(BadDataError):
        decode_mask(segmentation, 40, 40)


def test_masks_in_all_three_forms_are_drawn() -> None:
    areas = [decode_mask(t["segmentation"], 40, 40).sum() for t in coco_tree()["annotations"][:3]]
    assert areas == [pytest.approx(28 * 18, abs=20), 50, 27 * 20]


@pytest.mark.parametrize("sides", [(65_536, 1), (-1, 4), (2**14 + 1, 2**14)])
def test_an_image_of_absurd_size_is_refused(sides: tuple[int, int], tmp_path: Path) -> None:
    tree = coco_tree()
    tree["images"][0] |= {"width": sides[0], "height": sides[1]}
    (tmp_path / "x.json").write_text(json.dumps(tree))
    with pytest.raises(BadDataError, match=r"x\.json"):
        read_coco(tmp_path / "x.json")
    assert MAX_PIXELS >= 2**14 * 2**14


def test_an_image_without_area_has_nothing_to_narrate(tmp_path: Path) -> None:
    tree = coco_tree()
    tree["images"][0]["width"] = 0
    (tmp_path / "x.json").write_text(json.dumps(tree))
    coco = read_coco(tmp_path / "x.json")
    with pytest.raises(BadDataError, match="image 1 has no area"):
        list(things_of(coco, coco.images[0], 0.1))


@pytest.mark.parametrize("rows", ["", "d,i,a dog,0,99999999999999999999999,0.1,0.2,0.3,0.4\n"])
def test_gold_boxes_that_are_none(rows: str, tmp_path: Path) -> None:
    header = "dataset_id,image_id,caption,char_start,char_end,x0,y0,x1,y1\n"
    (tmp_path / "gold.csv").write_text(header + rows)
    with pytest.raises(UsageError, match="--gold"):
        read_gold(tmp_path / "gold.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(groups=["traces"]), "expected core"),
        (lambda m: m.update(groups=["core", "x"]), "expected core"),
        (lambda m: m["shards"].pop(), "its shards hold"),
        (lambda m: m["shards"].append(m["shards"][0]), "listed twice"),
        (lambda m: m["shards"][0].update(split="val"), "says it is of split 'val'"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_not_read(
    change: Any, words: str, copy_of_built: Path
) -> None:
    """Rows that a damaged manifest leaves out are rows lost in silence."""
    manifest = json.loads(manifest_path(copy_of_built).read_bytes())
    change(manifest)
    manifest_path(copy_of_built).write_text(json.dumps(manifest))
    with pytest.raises(BadDataError, match=words):
        read_alps(copy_of_built)


def test_words_that_are_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell hands over bytes that are no UTF-8 as lone surrogates."""
    with pytest.raises(UsageError, match="expected plain text"):
        load_config(None, ["boxes.rule=\udcff"])
    assert main.main(["build", "--set", "boxes.rule=\udcff", "--show-config"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_out_of_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], built: Path
) -> None:
    def starve(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("alp_builder.cli.validate.validate", starve)
    assert main.main(["validate", str(built)]) == 1
    assert capsys.readouterr().err.startswith(
        "alps validate: out of memory; finished work is kept."
    )


@pytest.mark.parametrize("note", [b"", b"\xff", b"[]", b'[{"path": 1}, 0, 0]'])
def test_a_damaged_note_of_a_shard_is_merged_anew(
    note: bytes,
    tmp_path: Path,
    inputs_of_two_splits: dict[str, Path],
    built: Path,
    build_here: Builder,
) -> None:
    out = tmp_path / "out"

    def stop(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_here(inputs_of_two_splits, out, *OPTIONS, checkpoint=stop)
    next((out / "_alps" / "work" / "shards").rglob("*.json")).write_bytes(note)
    build_here(inputs_of_two_splits, out, *OPTIONS)
    assert tree_bytes(out) == tree_bytes(built)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(trees=st.lists(JSON | st.binary(max_size=60), min_size=1, max_size=8))
def test_any_json_and_any_bytes_are_accounted_for(trees: list[Any], tmp_path: Path) -> None:
    lines = [
        tree.replace(b"\n", b" ").replace(b"\r", b" ")
        if isinstance(tree, bytes)
        else json.dumps(tree).encode()
        for tree in trees
    ]
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    read = read_narratives(path, 0, path.stat().st_size, 1, BuildConfig().input)
    filled = [line for line in lines if line.removeprefix(b"\xef\xbb\xbf").strip()]
    assert read.counts["lines"] == len(filled) == len(read.rejected)
    assert len(read.batch) == 0


def test_damage_to_a_shard_is_noticed_by_every_reader(copy_of_built: Path) -> None:
    """One bit in forty places, one at a time: Parquet alone finds only some of it."""
    path = copy_of_built / open_alps(copy_of_built).manifest.shards[0].path
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(good), 40).tolist():
        data = bytearray(good)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        with pytest.raises(BadDataError, match="the file was changed"):
            read_alps(copy_of_built)
        with pytest.raises(BadDataError, match="the file was changed"):
            validate(copy_of_built, progress=False)
