"""The shipped names and ids against the lists of their owners."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from alp_builder.errors import BadDataError, UsageError
from trainer.evaluation.hierarchy import Hierarchy
from trainer.evaluation.splits import NAMES, class_facts, load_split


@pytest.mark.parametrize(
    ("name", "base", "novel"),
    [("coco_48_17", 48, 17), ("voc_20_60", 20, 60), ("open_images_60_240", 60, 240)],
)
def test_sizes(name: str, base: int, novel: int) -> None:
    split = load_split(name)
    assert (len(split.base), len(split.novel)) == (base, novel)
    assert len(set(split.classes)) == base + novel
    facts = class_facts()
    assert set(split.classes) <= set(facts.open_images if "open" in name else facts.coco)


def test_names_are_those_that_load() -> None:
    assert [load_split(name).name for name in NAMES] == list(NAMES)


def test_coco_names_and_ids(shared_data: Path) -> None:
    record = json.loads((shared_data / "class_lists" / "panoptic_coco_categories.json").read_text())
    things = {entry["name"]: entry["id"] for entry in record if entry["isthing"]}
    assert class_facts().coco == things


def test_open_images_names_and_labels(shared_data: Path) -> None:
    name = "rvc_oid-challenge-2019-classes-description-segmentable300.csv"
    with (shared_data / "class_lists" / name).open(newline="") as file:
        assert class_facts().open_images == {row[1]: row[0] for row in csv.reader(file)}


def test_our_mapping_is_borne_out_by_others(shared_data: Path) -> None:
    """RVC's mapping of COCO to leaf classes; where it has one, ours is the same."""
    with (shared_data / "class_lists" / "rvc_inst_mapping.csv").open(newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if row["coco_inst_name"] and row["oid_inst_leaf"]
        ]
    facts = class_facts()
    label = {name: facts.open_images[other] for name, other in facts.coco_to_open_images.items()}
    theirs = {row["coco_inst_name"]: row["oid_inst_leaf"] for row in rows}
    differ = {name for name, mid in theirs.items() if label.get(name) != mid}
    assert len(theirs) > 45
    # RVC's mouse is the animal; its couch the loveseat.
    assert differ == {"mouse", "couch"}


def test_mouse_is_the_computer_mouse() -> None:
    facts = class_facts()
    assert facts.coco_to_open_images["mouse"] == "Computer mouse"
    assert "Mouse" in load_split("open_images_60_240").novel
    assert "potted plant" not in facts.coco_to_open_images


def test_classes_without_counterpart(shared_data: Path) -> None:
    named = """bicycle boat parking_meter bench umbrella frisbee skis snowboard wine_glass fork
    chair bed dining_table tv remote sink refrigerator hair_drier toothbrush potted_plant"""
    expected = {name.replace("_", " ") for name in named.split()}
    facts = class_facts()
    assert set(facts.coco) - set(facts.coco_to_open_images) == expected


def test_a_split_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"simulated": True, "base": ["mug"], "novel": ["kite", "leaf"]}))
    split = load_split(path)
    assert (split.base, split.novel, split.name) == (("mug",), ("kite", "leaf"), "split")
    path.write_text(json.dumps({"base": ["mug"], "novel": ["mug"]}))
    with pytest.raises(BadDataError, match="mug both base and novel"):
        load_split(path)
    path.write_text("[]")
    with pytest.raises(BadDataError, match="lists of names"):
        load_split(path)
    with pytest.raises(UsageError, match="split 'coco_48': expected coco_48_17"):
        load_split("coco_48")


def test_the_real_hierarchy(shared_data: Path) -> None:
    labels = class_facts().open_images
    number = {label: i for i, label in enumerate(labels.values())}
    names = list(labels)
    name = "rvc_oid-challenge-2019-label300-segmentable-hierarchy.json"
    path = shared_data / "class_lists" / name
    tree = Hierarchy.from_file(path, number)

    def above(name: str) -> set[str]:
        return {names[i] for i in tree.ancestors(names.index(name))}

    def below(name: str) -> set[str]:
        return {names[i] for i in tree.descendants(names.index(name))}

    assert above("Polar bear") == {"Bear", "Carnivore"}
    assert above("Screwdriver") == set()
    assert "Dog" in below("Carnivore")
    assert below("Dog") == set()
    # Each is the other's inverse.
    for name in names:
        assert all(name in above(child) for child in below(name))


def test_hierarchy_errors_and_two_parents(tmp_path: Path) -> None:
    path = tmp_path / "tree.json"
    with pytest.raises(UsageError, match="hierarchy"):
        Hierarchy.from_file(path, {})
    path.write_text('{"Name": "x"}')
    with pytest.raises(BadDataError, match="not an Open Images hierarchy"):
        Hierarchy.from_file(path, {})
    leaf = {"LabelName": "c"}
    both = [{"LabelName": p, "Subcategory": [leaf]} for p in "ab"]
    path.write_text(json.dumps({"LabelName": "root", "Subcategory": both}))
    tree = Hierarchy.from_file(path, {"a": 1, "b": 2, "c": 3})
    assert tree.ancestors(3) == {1, 2}
    assert tree.descendants(1) == tree.descendants(2) == {3}
    # A loop ends, and nothing stands above itself: its predictions would count twice.
    assert Hierarchy({1: [2], 2: [1]}).ancestors(1) == {2}
