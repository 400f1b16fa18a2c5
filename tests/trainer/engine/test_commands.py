"""The commands end to end: train, be stopped, resume, evaluate, predict."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

from tests.trainer.engine.commands import changes, command
from trainer import predict, train
from trainer.engine.progress import read_metrics

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


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
    evaluated.unlink()  # as if it had been stopped before its last evaluation
    assert train.main(command("fcosmo", "--resume", *stopped)) == 0
    assert evaluated.read_text() == before
    assert losses(parts) == losses(whole)

    names = tmp_path / "names.json"
    names.write_text(json.dumps({"house": "tree", "tree": "house"}))
    assert train.main(command("fcosmo", "--eval-only", *stopped, f"data.test.names={names}")) == 0
    _other_names_find_other_things(parts / "evaluation_0000004", place)

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


def _other_names_find_other_things(out: Path, place: Path) -> None:
    """Where two classes swap their names, what is found swaps its classes, and nothing else changes."""
    truth = json.loads((place / "world" / "instances_test.json").read_text())
    ids = {c["name"]: c["id"] for c in truth["categories"]}
    swap = {ids["house"]: ids["tree"], ids["tree"]: ids["house"]}
    plain, other = (
        json.loads((out / f"results{ending}.json").read_text()) for ending in ("", "_synonyms")
    )
    swapped = [r | {"category_id": swap.get(r["category_id"], r["category_id"])} for r in plain]

    def key(result: dict[str, Any]) -> tuple[Any, ...]:
        return result["image_id"], result["category_id"], round(result["score"], 4)

    # Suppression moves boxes apart by class number, so rounding may let another of two equals live.
    same = Counter(map(key, swapped)) & Counter(map(key, other))
    assert same.total() > 0.97 * len(plain)
    unswapped = Counter(map(key, plain)) & Counter(map(key, other))
    assert unswapped.total() < same.total()
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["masks_synonyms"]["AP50"]) == {"base", "novel", "all"}
    assert metrics["renaming"] == {"classes": 2, "nearest_to_own_name": 0.0}


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
