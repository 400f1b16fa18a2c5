"""Pictures are picked by rule: three things of one image, one of each kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image
from pycocotools import mask as mask_utils

from pipelines.table.qualitative import all_cases, main, pick, picture
from trainer.data.cocofile import CocoAnnotation, CocoCategory, CocoFile, CocoImage, Rle

SIZE = 40
NOVEL = {2, 3, 4}


def _code(x: int, y: int, side: int = 10) -> dict[str, Any]:
    mask = np.zeros((SIZE, SIZE), np.uint8, order="F")
    mask[y : y + side, x : x + side] = 1
    code = mask_utils.encode(mask)
    return {"size": [SIZE, SIZE], "counts": code["counts"].decode("ascii")}


def _thing(id_: int, label: int, x: int, y: int) -> CocoAnnotation:
    code = _code(x, y)
    rle = Rle(size=(SIZE, SIZE), counts=code["counts"])
    return CocoAnnotation(id=id_, image_id=7, category_id=label, segmentation=rle)


def _found(label: int, score: float, x: int, y: int) -> dict[str, Any]:
    return {"image_id": 7, "category_id": label, "score": score, "segmentation": _code(x, y)}


TRUTH = CocoFile(
    images=[CocoImage(id=7, height=SIZE, width=SIZE, file_name="seven.png")],
    categories=[CocoCategory(id=i, name=f"class {i}") for i in range(1, 5)],
    annotations=[
        _thing(1, 1, 0, 0), _thing(2, 2, 20, 0), _thing(3, 3, 0, 20), _thing(4, 4, 20, 20),
    ],
)  # fmt: skip

FOUND = [
    _found(1, 0.9, 0, 0),  # base: no case
    _found(2, 0.8, 20, 0),  # right
    _found(3, 0.7, 0, 20),  # right, and ...
    _found(1, 0.6, 0, 20),  # ... a duplicate with a wrong label
    _found(2, 0.5, 22, 20),  # IoU 80 / 120: fair, wrong label
    _found(4, 0.1, 20, 20),  # under the least score: does not count
]


def test_one_case_of_each_kind() -> None:
    cases = {case.thing.id: case for case in all_cases(TRUTH, FOUND, NOVEL)}
    assert {id_: case.kind for id_, case in cases.items()} == {
        2: "right",
        3: "duplicate",
        4: "wrong",
    }
    assert [f["category_id"] for f in cases[3].found] == [3, 1]
    assert [case.score for case in cases.values()] == [0.8, 0.6, 0.5]


def test_a_fair_mask_of_the_right_class_is_no_wrong_label() -> None:
    fair = [*FOUND, _found(4, 0.3, 23, 20)]
    assert {c.thing.id for c in all_cases(TRUTH, fair, NOVEL)} == {2, 3}


def test_the_best_cases_come_first_and_no_image_twice() -> None:
    cases = all_cases(TRUTH, FOUND, NOVEL)
    chosen = pick([*cases, *cases], 3)
    assert [len(row) for row in chosen.values()] == [1, 1, 1]


def test_picture(tmp_path: Path) -> None:
    Image.new("RGB", (SIZE, SIZE), "gray").save(tmp_path / "seven.png")
    drawn = picture(TRUTH, tmp_path, pick(all_cases(TRUTH, FOUND, NOVEL), 3))
    assert drawn.startswith(b"\x89PNG")


def test_a_run_without_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(tmp_path)]) == 2
    assert "no evaluation there" in capsys.readouterr().err


def _run(folder: Path, found: list[dict[str, Any]]) -> list[str]:
    """A run, its world, and the arguments that name them."""
    import msgspec

    world, out = folder / "world", folder / "run" / "evaluation_0000010"
    (world / "test").mkdir(parents=True)
    out.mkdir(parents=True)
    Image.new("RGB", (SIZE, SIZE), "gray").save(world / "test" / "seven.png")
    (world / "instances_test.json").write_bytes(msgspec.json.encode(TRUTH))
    split = {"base": ["class 1"], "novel": ["class 2", "class 3", "class 4"]}
    (world / "split.json").write_text(json.dumps(split))
    (out / "results.json").write_text(json.dumps(found))
    return ["--run", str(folder / "run"), "--world", str(world), "--out", str(folder / "q.png")]


def test_the_command_writes_the_picture_and_what_it_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _run(tmp_path, FOUND)
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == {"right": 1, "duplicate": 1, "wrong": 1}
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")
    shown = json.loads((tmp_path / "q.json").read_text())["shown"]
    assert shown["duplicate"][0]["found"] == [["class 3", 0.7], ["class 1", 0.6]]
    assert shown["wrong"][0]["truth"] == "class 4"
    assert main([*arguments, "--least-score", "0.55"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == {"right": 1, "duplicate": 1, "wrong": 0}


def test_detections_of_another_split_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [f | {"image_id": 70} for f in FOUND]
    assert main(_run(tmp_path, other)) == 2
    assert "70; give --split" in capsys.readouterr().err
