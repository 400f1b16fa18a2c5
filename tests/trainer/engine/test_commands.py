"""The commands end to end: train, be stopped, resume, evaluate, predict; and what mistakes get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pycocotools.coco import COCO

from alp_builder.simulate import SceneConfig, simulate_scenes
from pipelines.synthetic_shards import table_of, write_data_set
from trainer import predict, train
from trainer.engine.checkpoint import latest_checkpoint
from trainer.engine.progress import read_metrics

CONFIGS = Path(__file__).parents[3] / "trainer" / "configs"
SMALL = [
    "text.name=table",
    "text.cache_dir=null",
    "train.loop.max_steps=4",
    "train.loop.checkpoint_every=2",
    "train.loop.average_decay=0.9",
    "data.test.pictures=2",
    "data.test.loader.num_workers=0",
    "data.test.loader.images.short_side=64",
    "data.train.num_workers=0",
    "data.train.masks.batch_size=2",
    "data.train.masks.mapper.augment.short_sides=[64]",
]
OTHER = {
    "fcosmo": ["data.train.alps.mapper.augment.short_sides=[64]"],
    "maskrcnn_alp": ["data.train.alps.mapper.augment.short_sides=[64]"],
    "maskrcnn_box": ["data.train.alps.mapper.mapper.augment.short_sides=[64]"],
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of 15 scenes, ALPs that name its things, and a table of text vectors."""
    folder = tmp_path_factory.mktemp("commands")
    scenes = SceneConfig(train=8, val=2, test=5, image_size=64, min_things=2, max_things=3)
    simulate_scenes(scenes, folder / "world", progress=False)
    truth = json.loads((folder / "world" / "instances_train.json").read_text())
    names = {c["id"]: c["name"] for c in truth["categories"]}
    rows = []
    for thing in truth["annotations"]:
        x, y, w, h = (side / 64 for side in thing["bbox"])
        name = names[thing["category_id"]]
        rows.append(
            {
                "dataset_id": "simulated_world_train",
                "image_id": str(thing["image_id"]),
                "phrase_text": name,
                "head_lemma": name.split()[-1],
                "x0": max(x, 0.0),
                "y0": max(y, 0.0),
                "x1": min(x + w, 1.0),
                "y1": min(y + h, 1.0),
            }
        )
    write_data_set(folder / "alps", [table_of(rows)], count=1, split="train")
    vectors = torch.randn(len(names), 8, generator=torch.Generator().manual_seed(0))
    (folder / "names.txt").write_text("\n".join(names.values()))
    import numpy as np

    np.save(folder / "vectors.npy", vectors.numpy())
    return folder


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def changes(place: Path, run: Path, config: str = "fcosmo") -> list[str]:
    data = [
        f"data.world={place}/world",
        f"data.alps={place}/alps",
        f"data.cache={place}/cache",
        f"text.encoders.table.vectors={place}/vectors.npy",
        f"text.encoders.table.names={place}/names.txt",
        f"train.output_dir={run}",
    ]
    other = ["data.train.alps.batch_size=2", *OTHER[config]] if config in OTHER else []
    return [*SMALL, *data, *other]


def command(config: str, *more: str) -> list[str]:
    return ["--config-file", str(CONFIGS / f"{config}_tiny_world.py"), *more]


def losses(run: Path) -> list[Any]:
    return [(line["source"], line["loss"]) for line in read_metrics(run / "metrics.jsonl")]


def test_train_stop_resume_evaluate_predict(place: Path, tmp_path: Path) -> None:
    whole, parts, out = tmp_path / "whole", tmp_path / "parts", tmp_path / "out"
    assert train.main(command("fcosmo", *changes(place, whole))) == 0
    assert [source for source, _ in losses(whole)] == ["mask", "alp"] * 2
    metrics = json.loads((whole / "evaluation_0000004" / "metrics.json").read_text())
    assert metrics["step"] == 4
    assert metrics["masks"]["images"] == 5
    assert set(metrics["masks"]["AP50"]) == {"base", "novel", "all"}
    assert len(list((whole / "evaluation_0000004" / "pictures").glob("*.png"))) == 2

    stopped = changes(place, parts)
    assert train.main(command("fcosmo", *stopped)) == 0
    (parts / "step_0000004.pt").unlink()  # as if it had been killed after step 2
    assert train.main(command("fcosmo", "--resume", *stopped)) == 0
    assert losses(parts) == losses(whole)

    evaluated = parts / "evaluation_0000004" / "metrics.json"
    before = evaluated.read_text()
    evaluated.unlink()
    assert train.main(command("fcosmo", "--eval-only", *stopped)) == 0
    assert evaluated.read_text() == before

    images = place / "world" / "test"
    text = [c for c in changes(place, tmp_path) if c.startswith("text.")]
    found = ["--checkpoint", str(parts), "--classes", "rocket, house", "--out", str(out)]
    beside = ["--alps", f"{place}/alps", "--truth", f"{place}/world/instances_test.json"]
    found += ["--html", str(out / "page.html"), *beside]
    assert predict.main([str(images), *command("fcosmo"), *found, "--average", "--set", *text]) == 0
    truth = COCO(str(out / "instances.json"))
    assert [c["name"] for c in truth.dataset["categories"]] == ["rocket", "house"]
    assert len(truth.dataset["images"]) == 5
    assert len(list(out.glob("*.png"))) == 5
    results = json.loads((out / "results.json").read_text())
    assert {r["category_id"] for r in results} <= {1, 2}
    page = (out / "page.html").read_text("utf-8")
    shown = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["images"]
    assert len(shown) == page.count('<script type="text/plain" id="pixels-') == 5
    assert sum(len(i["truth"]) for i in shown) > 5
    counted = [len(i["predictions"]) + i.get("more", 0) for i in shown]
    assert sum(counted) == len(results)


@pytest.mark.parametrize(
    ("config", "sources"),
    [
        ("maskrcnn_ov", ["mask"] * 4),
        ("maskrcnn_alp", ["mask", "alp"] * 2),
        ("maskrcnn_box", ["mask", "box"] * 2),
    ],
)
def test_the_three_rows_of_mask_rcnn(
    config: str, sources: list[str], place: Path, tmp_path: Path
) -> None:
    assert train.main(command(config, *changes(place, tmp_path / "run", config))) == 0
    assert [source for source, _ in losses(tmp_path / "run")] == sources
    assert (tmp_path / "run" / "evaluation_0000004" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.world=/nowhere", "expected coco_48_17"),
        ("data.alps=/nowhere", "/nowhere"),
        ("data.train.masks.records.images=/nowhere", "image root"),
        ("text.name=word2vec", "text.name=word2vec: expected one of"),
        ("train.loop.precision=fp8", "precision"),
        ("data.held_out=[${data.world}/instances_train.json]", "leak check"),
        ("optimizer.rate=3", "expected key=value"),
    ],
)
def test_a_mistake_gets_one_line_and_no_traceback(
    change: str, message: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = train.main(command("fcosmo", *changes(place, tmp_path / "run"), change))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert code in (1, 2)
    assert len(said) == 1
    assert message in said[0]


def test_a_run_is_not_overwritten_unasked(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({}, tmp_path / "step_0000002.pt")
    assert train.main(command("fcosmo", *changes(place, tmp_path))) == 2
    assert "add --resume to go on from step_0000002.pt" in capsys.readouterr().err
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
