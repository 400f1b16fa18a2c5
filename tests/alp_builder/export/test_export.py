"""Exports, opened by the libraries they are for."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pandas as pd
import pyarrow.compute as pc
import pytest
from pycocotools.coco import COCO

from alp_builder.cli.main import main
from alp_builder.errors import BadDataError, UsageError
from alp_builder.export import Pictures, Selection, export
from alp_builder.reader import AlpDataset, open_alps
from alp_builder.validation import validate
from tests.alp_builder.conftest import Builder
from tests.alp_builder.export.conftest import World

TRAIN = Selection(split="train")


def frame_of(world: World, split: str = "train") -> pd.DataFrame:
    frame: pd.DataFrame = world.alps.table(split=split).to_pandas()
    return frame


class TestCoco:
    def test_pycocotools_finds_every_alp(self, world: World, tmp_path: Path) -> None:
        pictures = Pictures(coco=world.coco("train"))
        summary = export(world.alps, tmp_path / "alps.json", "coco", TRAIN, pictures)
        frame = frame_of(world)
        coco = COCO(tmp_path / "alps.json")
        assert len(coco.anns) == summary.counts["alps"] == len(frame)
        assert len(coco.imgs) == frame.image_id.nunique()
        names = {category["name"] for category in coco.loadCats(coco.getCatIds())}
        assert names == set(frame.head_lemma)
        mug = frame[frame.alp_id == coco.anns[1]["alp_id"]].iloc[0]
        image = coco.imgs[coco.anns[1]["image_id"]]
        assert (image["width"], image["height"], image["id"]) == (96, 96, int(mug.image_id))
        x, y, width, height = coco.anns[1]["bbox"]
        expected = [mug.x0 * 96, mug.y0 * 96, mug.x1 * 96, mug.y1 * 96]
        assert [x, y, x + width, y + height] == pytest.approx(expected, abs=0.02)
        assert coco.anns[1]["area"] == pytest.approx(width * height, abs=0.01)
        assert (world.folder / "train" / image["file_name"]).is_file()

    def test_ids_are_those_of_the_coco_file(self, world: World, tmp_path: Path) -> None:
        """So annotations of both join by image id."""
        export(world.alps, tmp_path / "a.json", "coco", TRAIN, Pictures(coco=world.coco("train")))
        truth, found = COCO(world.coco("train")), COCO(tmp_path / "a.json")
        for number, image in found.imgs.items():
            assert truth.imgs[number]["file_name"] == image["file_name"]

    @pytest.mark.parametrize("labels", ["phrase", "caption"])
    def test_phrases_as_categories_or_captions(
        self, world: World, tmp_path: Path, labels: str
    ) -> None:
        pictures = Pictures(root=world.folder / "train")
        export(world.alps, tmp_path / "a.json", "coco", TRAIN, pictures, labels)  # type: ignore[arg-type]
        coco = COCO(tmp_path / "a.json")
        names = {category["name"] for category in coco.cats.values()}
        if labels == "phrase":
            assert names == set(frame_of(world).phrase_text)
        else:
            assert names == {"thing"}
            assert {ann["caption"] for ann in coco.anns.values()} == set(frame_of(world).phrase)

    def test_it_says_what_it_is(self, world: World, tmp_path: Path) -> None:
        export(world.alps, tmp_path / "a.json", "coco", TRAIN, Pictures(coco=world.coco("train")))
        info = json.loads((tmp_path / "a.json").read_text())["info"]
        assert info["description"].startswith("Simulated approximately localized phrases")
        assert info["selection"]["split"] == "train"
        assert info["datasets"] == ["simulated_world_train"]

    def test_two_data_sets_with_the_same_ids_are_refused(
        self, world: World, tmp_path: Path, build_here: Builder
    ) -> None:
        again = tmp_path / "again.jsonl"
        words = ["--coco", str(world.coco("train")), "--dataset-id", "mine", "--out", str(again)]
        assert main(["simulate", "narratives", *words]) == 0
        both = {"train": world.folder.parent / "train.jsonl", "val": again}
        build_here(both, tmp_path / "alps")
        pictures = Pictures(coco=world.coco("train"))
        out = tmp_path / "out"
        with pytest.raises(UsageError, match="select one with --dataset or --split"):
            export(open_alps(tmp_path / "alps"), out, "coco", Selection(), pictures)
        assert not out.exists()
        export(open_alps(tmp_path / "alps"), out, "coco", Selection(datasets=("mine",)), pictures)
        assert json.loads(out.read_text())["info"]["datasets"] == ["mine"]

    def test_images_not_listed_are_counted(self, world: World, tmp_path: Path) -> None:
        tree = json.loads(world.coco("train").read_text())
        tree["images"] = tree["images"][:5]
        kept = {image["id"] for image in tree["images"]}
        tree["annotations"] = [a for a in tree["annotations"] if a["image_id"] in kept]
        (tmp_path / "five.json").write_text(json.dumps(tree))
        pictures = Pictures(coco=tmp_path / "five.json")
        counts = export(world.alps, tmp_path / "a.json", "coco", TRAIN, pictures).counts
        assert (counts["images"], counts["images_missing"]) == (5, 7)
        assert counts["alps"] + counts["alps_without_image"] == len(frame_of(world))


class TestSelection:
    def test_each_filter_is_that_of_pandas(self, world: World, tmp_path: Path) -> None:
        frame = frame_of(world)
        noun = frame.head_lemma.mode()[0]
        cases = [
            (Selection(split="train", min_score=0.5), frame.score >= 0.5),
            (Selection(split="train", nouns=(noun.upper(), "none")), frame.head_lemma == noun),
            (Selection(split="train", singular=True), ~frame.is_plural),
            (Selection(split="train", main=True), frame.component_index == 0),
            (Selection(datasets=("simulated_world_train",)), frame.score >= 0),
        ]
        for selection, expected in cases:
            found = [i for _, t in selection.shards(world.alps) for i in t["alp_id"].to_pylist()]
            assert sorted(found) == sorted(frame[expected].alp_id), selection
            assert found

    def test_other_boxes(self, world: World, tmp_path: Path) -> None:
        tight = Selection(split="train", box="tight")
        export(world.alps, tmp_path / "a.json", "coco", tight, Pictures(coco=world.coco("train")))
        ann = COCO(tmp_path / "a.json").anns[1]
        row = frame_of(world).set_index("alp_id").loc[ann["alp_id"]]
        assert ann["bbox"][:2] == pytest.approx([row.tight_x0 * 96, row.tight_y0 * 96], abs=0.01)
        with pytest.raises(UsageError, match="no calibrated boxes"):
            list(Selection(box="calibrated").shards(world.alps))
        with pytest.raises(UsageError, match="no split 'tests'"):
            list(Selection(split="tests").shards(world.alps))


class TestFiftyOne:
    @pytest.fixture
    def folder(self, world: World, tmp_path: Path) -> Path:
        pictures = Pictures(root=world.folder)
        export(world.alps, tmp_path / "fo", "fiftyone", Selection(), pictures)
        return tmp_path / "fo"

    def test_it_follows_the_documented_format(self, world: World, folder: Path) -> None:
        """FiftyOneImageDetectionDataset: labels under the manifest's names without their endings."""
        labels = json.loads((folder / "labels.json").read_text())["labels"]
        files = json.loads((folder / "data.json").read_text())
        assert {Path(name).with_suffix("").as_posix() for name in files} == set(labels)
        assert all(Path(path).is_file() for path in files.values())
        found = [label for entries in labels.values() for label in entries]
        assert len(found) == world.alps.num_rows
        for label in found:
            x, y, width, height = label["bounding_box"]
            assert min(x, y) >= 0 < min(width, height)
            assert max(x + width, y + height) <= 1 + 2e-6
            assert set(label) == {"label", "bounding_box", "confidence", "attributes"}

    def test_fiftyone_imports_it(self, world: World, folder: Path) -> None:
        """Its importer needs no database; a `Dataset` would."""
        data = pytest.importorskip("fiftyone.utils.data", reason="FiftyOne is not installed")
        importer = data.FiftyOneImageDetectionDatasetImporter(
            dataset_dir=str(folder), data_path="data.json"
        )
        with importer:
            samples = list(importer)
        assert sum(len(label.detections) for _, _, label in samples) == world.alps.num_rows
        assert all(Path(path).is_file() for path, _, _ in samples)
        detection = samples[0][2].detections[0]
        assert detection.label
        assert 0 <= detection.confidence <= 1
        assert detection["alp_id"]


class TestHuggingFace:
    def test_datasets_loads_images_and_objects(self, world: World, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        pictures = Pictures(root=world.folder)
        export(world.alps, tmp_path / "hf", "hf", Selection(), pictures)
        found = datasets.load_dataset(str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache"))
        assert {name: part.num_rows for name, part in found.items()} == {"train": 12, "val": 4}
        row = found["val"][0]
        assert row["image"].size == (row["width"], row["height"]) == (96, 96)
        frame = frame_of(world, "val").set_index("alp_id")
        alp = row["objects"][0]
        assert alp["box"] == pytest.approx(frame.loc[alp["alp_id"], ["x0", "y0", "x1", "y1"]])
        assert row["captions"] == [frame.loc[alp["alp_id"], "caption"]]

    def test_without_images(self, world: World, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        export(world.alps, tmp_path / "hf", "hf", TRAIN)
        (found,) = datasets.load_dataset(
            str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache")
        ).values()
        assert "image" not in found.features
        assert sum(len(row["objects"]) for row in found) == len(frame_of(world))
        assert "**Simulated data.**" in (tmp_path / "hf/README.md").read_text()


class TestShards:
    def test_a_subset_is_a_data_set(self, world: World, tmp_path: Path) -> None:
        selection = Selection(min_score=0.7, singular=True)
        summary = export(world.alps, tmp_path / "good", "shards", selection)
        manifest = validate(tmp_path / "good", progress=False)
        table = open_alps(tmp_path / "good").table()
        expected = selection.keep(world.alps.table())
        assert table.num_rows == summary.counts["alps"] == expected.num_rows
        assert pc.all(pc.equal(table["alp_id"], expected["alp_id"])).as_py()
        assert manifest.config["selection"]["min_score"] == 0.7
        assert manifest.fingerprint != world.alps.manifest.fingerprint
        assert manifest.counts["dropped.not_selected"] > 0

    def test_a_subset_of_a_subset_keeps_the_accounts(self, world: World, tmp_path: Path) -> None:
        export(world.alps, tmp_path / "a", "shards", Selection(min_score=0.3))
        export(open_alps(tmp_path / "a"), tmp_path / "b", "shards", TRAIN)
        manifest = validate(tmp_path / "b", progress=False)
        assert {shard.split for shard in manifest.shards} == {"train"}
        counts = manifest.counts
        lost = sum(n for name, n in counts.items() if name.startswith("dropped."))
        assert counts["phrases"] == counts["phrases_with_alps"] + lost

    def test_a_configuration_that_is_none_is_one_error(self, world: World, tmp_path: Path) -> None:
        config = world.alps.manifest.config | {"shards": {"row_group_rows": "many"}}
        manifest = msgspec.structs.replace(world.alps.manifest, config=config)
        with pytest.raises(BadDataError, match="configuration is none of ours"):
            export(AlpDataset(world.alps.folder, manifest), tmp_path / "a", "shards", TRAIN)

    def test_boxes_are_not_chosen(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="keep every box"):
            export(world.alps, tmp_path / "a", "shards", Selection(box="tight"))
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("to", ["coco", "fiftyone", "hf", "shards"])
def test_nothing_appears_where_nothing_is_selected(world: World, tmp_path: Path, to: str) -> None:
    with pytest.raises(UsageError, match="no ALP fits the selection"):
        pictures = Pictures(root=world.folder)
        export(world.alps, tmp_path / "out", to, Selection(nouns=("nothing",)), pictures)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", ["coco", "fiftyone", "hf", "shards"])
def test_the_same_export_has_the_same_bytes(world: World, tmp_path: Path, to: str) -> None:
    pictures = Pictures(root=world.folder)
    for name in ("a", "b"):
        export(world.alps, tmp_path / name, to, TRAIN, pictures)
    trees = [
        {
            p.relative_to(root).as_posix(): p.read_bytes()
            for p in sorted(root.rglob("*"))
            if p.is_file()
        }
        if (root := tmp_path / name).is_dir()
        else root.read_bytes()
        for name in ("a", "b")
    ]
    assert trees[0] == trees[1]


def test_hostile_ids_open_no_file(world: World, tmp_path: Path) -> None:
    pictures = Pictures(root=world.folder / "train")
    for image_id in ("../val/000000000", "/etc/passwd", "", ".", "train/000000000.jpg"):
        assert pictures.find("simulated_world_train", image_id) is None


def test_a_selection_survives_json() -> None:
    selection = Selection(nouns=("dog",), min_score=0.5)
    assert msgspec.convert(msgspec.to_builtins(selection), Selection) == selection
