"""Mistakes of users: each gets one line that says what was found, what was expected, how to mend it."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from pipelines.synthetic_shards import table_of, write_data_set
from tests.trainer.engine.commands import changes, command
from trainer import predict, train
from trainer.engine.checkpoint import latest_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def wrong(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of things that are not as they should be."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "empty").mkdir()
    for name in ("unfinished", "newer"):
        shutil.copytree(place / "alps", folder / name)
    (folder / "unfinished" / "_alps" / "manifest.json").unlink()
    manifest = folder / "newer" / "_alps" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 99}))
    (folder / "split.json").write_text(json.dumps({"base": ["zebrafish"], "novel": ["rocket"]}))
    (folder / "names.txt").write_text("rocket\nhouse")
    (folder / "weights.pkl").write_bytes(pickle.dumps({"model": {"weight": 1}}))
    return folder


def error_of(code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line a command that failed must leave."""
    text = capsys.readouterr().err
    said = [line for line in text.splitlines() if line.startswith("error: ")]
    assert code in (1, 2)
    assert len(said) == 1
    assert "Traceback" not in text
    return said[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.world=/nowhere", "expected coco_48_17"),
        ("data.alps=/nowhere", "/nowhere: no such folder"),
        ("data.alps=WRONG/unfinished", "an unfinished build (no _alps/manifest.json)"),
        ("data.alps=WRONG/newer", "schema version 99 is newer than"),
        ("data.train.masks.records.images=/nowhere", "image root /nowhere: no such folder"),
        ("data.train.masks.records.images=WRONG/empty", "image root"),
        ("data.train.alps.records.finder.roots.simulated_world=WRONG/empty", "image root"),
        ("data.test.loader.images.images=WRONG/empty", "image root wrong?"),
        ("data.train.masks.records.classes=[house]", "classes=[house]: cannot be applied"),
        ("data.split=WRONG/split.json", "zebrafish"),
        ("data.split=coco_50_50", "expected coco_48_17"),
        ("data.test.hierarchy=/nowhere", "hierarchy /nowhere"),
        ("data.test.names=/nowhere", "/nowhere: no names file"),
        ("text.name=word2vec", "text.name=word2vec: expected one of"),
        ("text.encoders.table.names=WRONG/names.txt", "expected one row a name"),
        ("train.init_weights=WRONG/weights.pkl", "--allow-pickle"),
        ("train.init_weights=none.pt", "none.pt: no such checkpoint"),
        ("train.loop.precision=fp8", "precision"),
        ("train.loop.max_steps=many", "train.loop.max_steps=many: expected int"),
        ("data.held_out=[${data.world}/instances_train.json]", "leak check"),
        ("optimizer.rate=3", "expected key=value"),
    ],
)
def test_a_mistake_gets_one_line_before_the_first_step(
    change: str,
    message: str,
    place: Path,
    wrong: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change = change.replace("WRONG", str(wrong))
    code = train.main(command("fcosmo", *changes(place, tmp_path / "run"), change))
    assert message in error_of(code, capsys)
    assert not list(tmp_path.glob("run/*.jsonl"))


def test_novel_masks_in_the_base_source_are_a_leak(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leak = "data.train.masks.records.classes.kind=classes"  # base and novel ones
    said = error_of(train.main(command("fcosmo", *changes(place, tmp_path / "run"), leak)), capsys)
    assert "leak check: novel classes with masks in the base source" in said
    assert " masks)" in said


def test_narratives_of_evaluation_images_under_another_name_are_a_leak(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = place / "world" / "test"
    ids = sorted(path.stem for path in photos.iterdir())
    box = {"x0": 0.1, "y0": 0.1, "x1": 0.9, "y1": 0.9, "phrase_text": "dog", "head_lemma": "dog"}
    rows = [{"dataset_id": "recorded_test", "image_id": i, **box} for i in ids]
    write_data_set(tmp_path / "alps", [table_of(rows)], count=1, split="train")
    recorded = [
        f"data.alps={tmp_path}/alps",
        f"data.train.alps.records.finder.roots={{recorded_test: {photos}}}",
    ]
    run = command("fcosmo", *changes(place, tmp_path / "run"), *recorded)
    said = error_of(train.main(run), capsys)
    assert f"leak check: {len(ids)} images with ALPs are files of evaluation images" in said
    assert f"recorded_test/{ids[0].lstrip('0')} ({ids[0]}.jpg)" in said


def test_an_encoder_that_cannot_be_downloaded(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("open_clip")
    constants = pytest.importorskip("huggingface_hub.constants")
    # Read when the module is imported; without it, the hub is tried again for most of a minute.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    code = train.main(command("fcosmo", *changes(place, tmp_path / "run"), "text.name=open_clip"))
    assert "text.name=minilm" in error_of(code, capsys)


def test_more_processes_than_gpus(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    given = command("fcosmo", "--num-gpus", "8", *changes(place, tmp_path / "run"))
    assert "--num-gpus 8: torch sees no GPUs" in error_of(train.main(given), capsys)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "torch sees 1 GPU on" in error_of(train.main(given), capsys)


def test_a_config_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.py: no such config" in error_of(
        train.main(["--config-file", "nowhere.py"]), capsys
    )


def test_a_run_is_not_overwritten_unasked(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({}, tmp_path / "step_0000002.pt")
    assert train.main(command("fcosmo", *changes(place, tmp_path))) == 2
    assert "add --resume (make: RESUME=1) to go on from step_0000002.pt" in capsys.readouterr().err
    assert latest_checkpoint(tmp_path) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jpg", "--checkpoint", ".", "--classes", "a"], "no such image"),
        (["IMAGES", "--checkpoint", "none.pt", "--classes", "house"], "no such checkpoint"),
        (["IMAGES", "--checkpoint", "EMPTY", "--classes", "house"], "no checkpoint in this folder"),
        (["EMPTY", "--checkpoint", ".", "--classes", "house"], "no images in there"),
    ],
)
def test_mistakes_in_predicting(
    arguments: list[str],
    message: str,
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = {"IMAGES": str(place / "world" / "test"), "EMPTY": str(tmp_path)}
    given = [real.get(a, a) for a in arguments]
    text = [c for c in changes(place, tmp_path) if c.startswith("text.")]
    assert predict.main([*given, *command("fcosmo"), "--set", *text]) == 2
    assert message in capsys.readouterr().err
