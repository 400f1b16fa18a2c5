from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alp_builder.errors import BadDataError, UsageError
from tests.trainer.evaluation.helpers import CLASSES, seen, thing, truth_of
from trainer.evaluation.__main__ import main
from trainer.evaluation.evaluator import evaluate, table
from trainer.evaluation.predictions import write_json
from trainer.evaluation.splits import split_of_all


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    truth = truth_of(thing("dog", 0, 0, 10, 10), thing("car", 20, 20, 30, 30))
    (tmp_path / "truth.json").write_bytes(msgspec.json.encode(truth))
    (tmp_path / "found.json").write_text(json.dumps([seen("dog", 0.9, 0, 0, 10, 10)]))
    (tmp_path / "split.json").write_text(json.dumps({"base": ["dog"], "novel": ["car"]}))
    return tmp_path / "truth.json", tmp_path / "found.json"


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("protocol", ["coco", "open_images"])
def test_the_command_prints_a_table_and_writes_metrics(
    files: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    protocol: str,
    kind: str,
) -> None:
    truth, found = files
    split, out = tmp_path / "split.json", tmp_path / "deep" / "metrics.json"
    arguments = [f"--truth={truth}", f"--split={split}", f"--protocol={protocol}", f"--out={out}"]
    assert main([str(found), *arguments, f"--iou-type={kind}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["base", "novel", "all"]
    assert ["AP50", "100.0", "0.0", "50.0"] in [line.split() for line in lines]
    metrics = json.loads(out.read_text())
    assert metrics["AP50"] == pytest.approx({"base": 1, "novel": 0, "all": 0.5})
    assert metrics["per_class"]["car"]["group"] == "novel"
    assert (metrics["protocol"], metrics["iou_type"]) == (protocol, kind)


def test_errors_are_one_line(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, found = files
    assert main([str(tmp_path / "none.json"), f"--truth={truth}"]) == 2
    assert main([str(found), f"--truth={found}"]) == 1
    assert main([str(found), f"--truth={truth}", "--split=coco_48_17"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "none.json" in errors[0]
    assert "not a COCO instances file" in errors[1]
    assert "class 'person' of split coco_48_17 is in no category" in errors[2]


@pytest.mark.parametrize("change", [{"score": 10**400}, {"bbox": [0, 0, 10**400, 1]}])
@pytest.mark.parametrize("protocol", ["coco", "open_images"])
def test_numbers_beyond_a_float_are_one_short_line(
    files: tuple[Path, Path], protocol: str, change: dict[str, Any]
) -> None:
    truth, found = files
    rows = [{**row, **change} for row in json.loads(found.read_bytes())]
    with pytest.raises(BadDataError, match="prediction 0: .* finite number") as caught:
        evaluate(truth, rows, split_of_all(CLASSES), protocol=protocol)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"protocol": "lvis"}, "lvis: expected one of coco, open_images"),
        ({"iou_type": "keypoints"}, "keypoints: expected one of segm, bbox"),
    ],
)
@pytest.mark.parametrize("protocol", ["coco", "open_images"])
def test_what_is_not_known_is_refused(
    files: tuple[Path, Path], protocol: str, mistake: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(files[0], [], split_of_all(CLASSES), **{"protocol": protocol, **mistake})


def test_not_a_number_is_null_in_a_file_and_a_dash_in_a_table(tmp_path: Path) -> None:
    metrics = {"AP": {"base": 0.5, "novel": math.nan, "all": 0.5}, "list": [math.inf]}
    write_json(tmp_path / "m.json", metrics)
    record = json.loads((tmp_path / "m.json").read_text())
    assert record == {"AP": {"base": 0.5, "novel": None, "all": 0.5}, "list": [None]}
    assert table(metrics).splitlines()[1].split() == ["AP", "50.0", "-", "50.0"]
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]
