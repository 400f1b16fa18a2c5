from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alp_builder.errors import BadDataError, UsageError
from alp_builder.simulate import PROFILES, simulate_narratives, truth_path
from alp_builder.simulate.coco import narrative_image_id
from alp_builder.simulate.vocabulary import CLASSES

STRAY = """{"images": [], "categories": [], "annotations": [
    {"id": 1, "image_id": 2, "category_id": 3, "bbox": [0, 0, 1, 1]}]}"""

KEYS = [
    "dataset_id",
    "image_id",
    "annotator_id",
    "caption",
    "timed_caption",
    "traces",
    "voice_recording",
]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@st.composite
def coco_files(draw: st.DrawFn) -> dict[str, Any]:
    """COCO files of a few images with boxes, polygons, RLE and crowds."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image in range(draw(st.integers(1, 3))):
        width, height = draw(st.integers(20, 700)), draw(st.integers(20, 700))
        images.append(
            {"id": image * 7, "file_name": f"{image:012d}.jpg", "width": width, "height": height}
        )
        for _ in range(draw(st.integers(0, 8))):
            w, h = draw(st.integers(1, width)), draw(st.integers(1, height))
            x, y = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image * 7,
                    "category_id": draw(st.integers(1, 3)),
                    "bbox": [x, y, w, h],
                    **draw(st.sampled_from(segmentations(x, y, w, h, width, height))),
                }
            )
    names = ("person", "dotted mug", "skis")
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def segmentations(x: int, y: int, w: int, h: int, width: int, height: int) -> list[dict[str, Any]]:
    start = x * height + y
    runs = [start, h, *[n for _ in range(w - 1) for n in (height - h, h)]]
    runs.append(width * height - sum(runs))
    return [
        {},
        {"segmentation": [[x, y, x + w, y, x + w, y + h]], "iscrowd": 0},
        {"segmentation": {"size": [height, width], "counts": runs}, "iscrowd": 1},
    ]


def check_narrative(record: dict[str, Any]) -> None:
    assert list(record) == KEYS
    times = [(u["start_time"], u["end_time"]) for u in record["timed_caption"]]
    assert all(0 <= start <= end for start, end in times)
    assert times == sorted(times)
    flat: list[float] = []
    for segment in record["traces"]:
        assert segment, "no segment is empty"
        for point in segment:
            assert list(point) == ["x", "y", "t"]
            assert -0.1 <= point["x"] <= 1.1
            assert -0.1 <= point["y"] <= 1.1
            flat.append(point["t"])
    assert flat == sorted(flat)
    assert not flat or flat[0] >= 0


def check_truth(truth: dict[str, Any], record: dict[str, Any], data: dict[str, Any]) -> None:
    caption = record["caption"]
    assert caption[truth["char_start"] : truth["char_end"]] == truth["phrase"]
    assert truth["char_start"] <= truth["noun_start"] < truth["noun_end"] <= truth["char_end"]
    assert not re.search(r"[.,]$", truth["phrase"])
    by_id = {a["id"]: a for a in data["annotations"]}
    meant = [by_id[i] for i in truth["annotation_ids"]]
    assert truth["is_thing"] == bool(meant)
    assert truth["category_ids"] == sorted({a["category_id"] for a in meant})
    for annotation in meant:
        image = next(i for i in data["images"] if i["id"] == annotation["image_id"])
        assert narrative_image_id(image["file_name"]) == record["image_id"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(coco_files(), st.sampled_from(sorted(PROFILES)), st.integers(0, 99), st.integers(1, 3))
def test_any_coco_file_gives_consistent_narratives(
    tmp_path: Path, data: dict[str, Any], profile: str, seed: int, per_image: int
) -> None:
    source, out = tmp_path / "coco.json", tmp_path / "out.jsonl"
    source.write_text(json.dumps(data))
    out.unlink(missing_ok=True)
    if not data["annotations"]:
        with pytest.raises(BadDataError, match="no image has a thing"):
            simulate_narratives(source, PROFILES[profile], out, progress=False)
        assert not out.exists(), "nothing appears when the work fails"
        return
    summary = simulate_narratives(
        source, PROFILES[profile], out, seed=seed, per_image=per_image, min_side=0, progress=False
    )
    records, truths = lines(out), lines(truth_path(out))
    spoken = {a["image_id"] for a in data["annotations"]}
    assert summary.narratives == len(records) == per_image * len(spoken)
    assert summary.phrases == len(truths)
    assert summary.points == sum(len(s) for record in records for s in record["traces"])
    by_key = {(record["image_id"], record["annotator_id"]): record for record in records}
    assert len(by_key) == len(records)
    for record in records:
        check_narrative(record)
    for truth in truths:
        check_truth(truth, by_key[truth["image_id"], truth["annotator_id"]], data)


def test_a_narrative_depends_on_seed_image_and_number_only(world: Path, tmp_path: Path) -> None:
    source = world / "instances_train.json"
    coco = PROFILES["coco"]

    def narrate(name: str, **options: Any) -> list[dict[str, Any]]:
        simulate_narratives(source, coco, tmp_path / name, progress=False, **options)
        return lines(tmp_path / name)

    base = narrate("base.jsonl", per_image=2, seed=1)
    few = narrate("few.jsonl", per_image=1, limit=60, seed=1)
    assert few == [record for record in base if record["annotator_id"] == 0][:60]
    narrate("workers.jsonl", per_image=2, seed=1, workers=3)
    for name in ("{}.jsonl", "{}.truth.jsonl"):
        one, three = tmp_path / name.format("base"), tmp_path / name.format("workers")
        assert one.read_bytes() == three.read_bytes()
    assert narrate("other.jsonl", per_image=2, seed=2) != base


def test_narratives_have_the_size_of_real_ones(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    simulate_narratives(
        world / "instances_train.json", PROFILES["coco"], out, per_image=2, progress=False
    )
    records = lines(out)
    words = [len(record["caption"].split()) for record in records]
    points = [sum(map(len, record["traces"])) for record in records]
    assert 30 <= np.mean(words) <= 55
    assert 400 <= np.median(points) <= 900
    assert records[0]["dataset_id"] == "simulated_world_train"
    said = " ".join(record["caption"] for record in records)
    for kind in CLASSES:
        assert kind.name in said, "novel names are spoken too"
    utterances = [u for record in records for u in record["timed_caption"]]
    assert any(" " in u["utterance"] for u in utterances), "grouped utterances"
    assert any(u["start_time"] == u["end_time"] == 0 for u in utterances), "zero-length ones"
    outside = [p for r in records for s in r["traces"] for p in s if not 0 <= p["x"] <= 1]
    assert outside, "some points lie in the band round the image"
    assert any(len(record["traces"]) > 1 for record in records), "some pointers come back"


def test_real_coco_with_crowds_and_polygons(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "coco_tiny" / "annotations" / "instances_val2017.json"
    data = json.loads(source.read_text())
    out = tmp_path / "out.jsonl"
    simulate_narratives(
        source, PROFILES["coco"], out, dataset_id="mscoco_val2017", per_image=3, progress=False
    )
    records, truths = lines(out), lines(truth_path(out))
    assert {record["dataset_id"] for record in records} == {"mscoco_val2017"}
    assert {int(record["image_id"]) for record in records} <= {i["id"] for i in data["images"]}
    by_key = {(record["image_id"], record["annotator_id"]): record for record in records}
    for record in records:
        check_narrative(record)
    for truth in truths:
        check_truth(truth, by_key[truth["image_id"], truth["annotator_id"]], data)
    crowds = {a["id"] for a in data["annotations"] if a["iscrowd"]}
    assert any(crowds & set(truth["annotation_ids"]) for truth in truths), "crowds are spoken of"


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("000000381639.jpg", "381639"),
        ("val2017/000000000139.jpg", "139"),
        ("0a1b2c3d.jpg", "0a1b2c3d"),
        ("ADE_val_00000175.png", "ADE_val_00000175"),
    ],
)
def test_image_ids(name: str, image_id: str) -> None:
    assert narrative_image_id(name) == image_id


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "not a COCO instance file"),
        ('{"images": [], "annotations": [], "categories": []}', "no image has a thing"),
        (STRAY, "which the file lacks"),
    ],
)  # fmt: skip
def test_bad_files_are_named(tmp_path: Path, text: str, error: str) -> None:
    source = tmp_path / "bad.json"
    source.write_text(text)
    with pytest.raises(BadDataError, match=error):
        simulate_narratives(source, PROFILES["coco"], tmp_path / "out.jsonl", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]


def test_a_missing_file_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        simulate_narratives(tmp_path / "no.json", PROFILES["coco"], tmp_path / "x", progress=False)


def test_profiles_are_frozen_and_checked() -> None:
    with pytest.raises(AttributeError):
        PROFILES["coco"].miss_rate = 0.0  # type: ignore[misc]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "x", "mis_rate": 0.1}, type(PROFILES["coco"]))
