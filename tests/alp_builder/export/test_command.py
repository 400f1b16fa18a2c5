from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from alp_builder.cli.main import main
from alp_builder.errors import BadDataError, UsageError
from alp_builder.export import Pictures
from tests.alp_builder.export.conftest import World


def test_the_command_says_how_to_open(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = str(world.alps.folder), str(tmp_path / "alps.json")
    words = ["export", folder, "--to", "coco", "--out", out, "--split", "train"]
    words += ["--coco", str(world.coco("train"))]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "ALPs on 12 images" in text
    assert f"pycocotools.coco.COCO('{out}')" in text
    assert main(words) == 2
    assert f"{out}: exists; remove it" in capsys.readouterr().err


def test_figures_for_machines(
    world: World, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["export", str(world.alps.folder), "--to", "hf", "--out", str(tmp_path / "hf")]
    assert main([*words, "--json"]) == 0
    found = json.loads(capfdbinary.readouterr().out)
    assert found["counts"]["alps"] == world.alps.num_rows
    assert found["format"] == "hf"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "coco"], "give --coco FILE (its images) or --images DIR"),
        (["--to", "fiftyone"], "give --images FOLDER"),
        (["--to", "coco", "--images", "nowhere"], "no such folder"),
        (["--to", "coco", "--coco", "nowhere.json"], "cannot be read"),
        (["--to", "hf", "--min-score", "2"], "expected between 0 and 1"),
        (["--to", "hf", "--split", "x"], "no split 'x'"),
        (["--to", "hf", "--dataset", "x"], "no ALP fits the selection"),
        (["--to", "shards", "--box", "tight"], "keep every box"),
    ],
)
def test_errors_are_one_line(
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    assert main(["export", str(world.alps.folder), "--out", str(tmp_path / "o"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


class TestPictures:
    def test_names_of_known_data_sets(self, tmp_path: Path) -> None:
        for name in ("val2014/COCO_val2014_000000381639.jpg", "x/000012345678.jpg", "x/0a1b.png"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (4, 3)).save(path)
        pictures = Pictures(root=tmp_path)
        for image_id in ("381639", "000012345678", "12345678", "0a1b"):
            found = pictures.find("any", image_id)
            assert found is not None, image_id
            assert (found.width, found.height) == (4, 3)

    def test_two_files_that_could_be_it(self, tmp_path: Path) -> None:
        for folder in ("train2017", "val2017"):
            (tmp_path / folder).mkdir()
            Image.new("RGB", (4, 3)).save(tmp_path / folder / "000000000007.jpg")
        pictures = Pictures(root=tmp_path)
        found = pictures.find("mscoco_val2017", "7")
        assert found is not None
        assert found.file_name == "val2017/000000000007.jpg"
        with pytest.raises(UsageError, match="several files could be image '7'"):
            pictures.find("coco", "7")

    def test_a_coco_file_that_lists_recorded_images(self, tmp_path: Path) -> None:
        names = ("000000000007.jpg", "holiday/01.JPG", "holiday/02.png")
        record = {
            "images": [
                {"id": i, "file_name": name, "width": 4, "height": 3}
                for i, name in enumerate(names)
            ],
            "annotations": [],
            "categories": [],
        }
        (tmp_path / "coco.json").write_text(json.dumps(record))
        pictures = Pictures(coco=tmp_path / "coco.json")
        for image_id, name in [
            ("7", names[0]), ("000000000007", names[0]), ("holiday/01", names[1]),
            ("holiday/02.png", names[2]), ("1", names[1]),
        ]:  # fmt: skip
            found = pictures.find("any", image_id)
            assert found is not None, image_id
            assert found.file_name == name

    def test_a_file_that_is_no_image(self, tmp_path: Path) -> None:
        (tmp_path / "1.jpg").write_text("no image")
        with pytest.raises(BadDataError, match="no readable image"):
            Pictures(root=tmp_path).find("any", "1")

    def test_a_coco_file_that_names_one_image_twice(self, world: World, tmp_path: Path) -> None:
        tree = json.loads(world.coco("val").read_text())
        tree["images"] += [tree["images"][0] | {"id": 99}]
        (tmp_path / "twice.json").write_text(json.dumps(tree))
        with pytest.raises(BadDataError, match="two images are called"):
            Pictures(coco=tmp_path / "twice.json")

    def test_file_names_that_lead_out_of_the_folder(self, world: World, tmp_path: Path) -> None:
        tree = json.loads(world.coco("val").read_text())
        tree["images"][0]["file_name"] = "../val/000000000.jpg"
        (tmp_path / "out.json").write_text(json.dumps(tree))
        root = Path(shutil.copytree(world.folder / "train", tmp_path / "train"))
        found = Pictures(coco=tmp_path / "out.json", root=root).find("any", "0")
        assert found is not None
        assert found.path is None
