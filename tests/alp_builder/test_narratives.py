"""The reader of both formats, on real records and on broken ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alp_builder.config import InputConfig
from alp_builder.narratives import GRID, NarrativeBatch, ReadResult, read_narratives

GOOD: dict[str, Any] = {
    "dataset_id": "mscoco_val2017",
    "image_id": "137576",
    "annotator_id": 93,
    "caption": "In this image there is a dog.",
    "timed_caption": [
        {"utterance": "In this", "start_time": 0, "end_time": 0.4},
        {"utterance": "image there is a", "start_time": 0.4, "end_time": 1.2},
        {"utterance": "dog.", "start_time": 1.2, "end_time": 2},
    ],
    "traces": [[{"x": 0.2086, "y": -0.0533, "t": 0.022}, {"x": 0.21, "y": 0.1, "t": 1.5}]],
    "voice_recording": "coco_val/coco_val_137576_93.ogg",
}


def read(path: Path, config: InputConfig | None = None) -> ReadResult:
    return read_narratives(path, 0, path.stat().st_size, 1, config or InputConfig(), "input")


def write(path: Path, *lines: bytes | dict[str, Any]) -> Path:
    data = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(data) + b"\n")
    return path


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


def point(**fields: Any) -> list[list[dict[str, Any]]]:
    return [[{"x": 0.5, "y": 0.5, "t": 0.5, **fields}]]


def test_a_record_becomes_arrays(tmp_path: Path) -> None:
    result = read(write(tmp_path / "a.jsonl", GOOD, changed(image_id="2", traces=point())))
    batch = result.batch
    assert result.counts["usable"] == len(batch) == 2
    assert batch.image_ids == ["137576", "2"]
    assert batch.utterances(0)[:3] == ["In this", "image there is a", "dog."]
    assert batch.utterance_offsets.tolist() == [0, 3, 6]
    assert batch.utterance_start[:3].tolist() == [0, 400_000, 1_200_000]  # integer times are fine
    assert batch.point_offsets.tolist() == [0, 2, 3]
    assert batch.y[0] == round(-0.0533 * GRID)  # a little outside the image is fine
    assert batch.t.tolist() == [22_000, 1_500_000, 500_000]
    assert batch.enters.tolist() == [True, False, True]


def test_ids_are_stable_and_tell_narratives_apart(tmp_path: Path) -> None:
    lines = [GOOD, changed(traces=point()), changed(annotator_id=94), changed(caption="A dog.")]
    ids = read(write(tmp_path / "a.jsonl", *lines)).batch.narrative_ids()
    assert ids[0] == ids[1]  # the same words on the same image by the same person
    assert len(set(ids)) == 3
    expected = hashlib.blake2b(
        b"mscoco_val2017\x00137576\x0093\x00In this image there is a dog.", digest_size=8
    )
    assert ids[0] == expected.hexdigest()


BROKEN: list[tuple[str, bytes | dict[str, Any]]] = [
    ("not_json", b"{"),
    ("not_json", b'{"deep": ' + b"[" * 100_000),
    ("wrong_type", b"[1, 2" + b"[" * 100_000),
    ("not_json", json.dumps(GOOD).replace("0.5", "NaN").encode() + b"x"),
    ("not_json", json.dumps(GOOD).replace("-0.0533", "NaN").encode()),
    ("not_utf8", json.dumps(GOOD).encode().replace(b"dog", b"d\xffg")),
    ("wrong_type", json.dumps(GOOD).replace("-0.0533", "1e999").encode()),
    ("wrong_type", b"[]"),
    ("wrong_type", changed(image_id=137576)),
    ("wrong_type", changed(annotator_id="93")),
    ("wrong_type", changed(annotator_id=2**64)),
    ("wrong_type", changed(caption=None)),
    ("wrong_type", changed(traces=[{"x": 0.5, "y": 0.5, "t": 0.5}])),  # not nested
    ("wrong_type", changed(traces=point(x="0.5"))),
    ("wrong_type", changed(traces=point(x=True))),
    ("wrong_type", changed(traces=point(t=None))),
    ("wrong_type", changed(image_id="i" * 2000)),
    ("missing_field", {k: v for k, v in GOOD.items() if k != "caption"}),
    ("missing_field", changed(traces=[[{"x": 0.5, "y": 0.5}]])),
    ("too_large", changed(caption="word " * 5000)),
    ("negative_time", changed(traces=point(t=-0.1))),
    ("negative_time", changed(timed_caption=[{"utterance": "a", "start_time": -1, "end_time": 0}])),
    ("unsorted_times", changed(timed_caption=[{"utterance": "a", "start_time": 2, "end_time": 1}])),
    ("unsorted_times", changed(traces=[*point(t=2), *point(t=1)])),
    ("time_out_of_range", changed(traces=point(t=1e7))),
    (
        "time_out_of_range",
        changed(timed_caption=[{"utterance": "a", "start_time": 0, "end_time": 1e300}]),
    ),
    ("not_normalised", changed(traces=point(x=320.0))),
    ("not_normalised", changed(traces=point(y=-1e308))),
]


@pytest.mark.parametrize(
    ("reason", "line"), BROKEN, ids=[f"{i}-{r}" for i, (r, _) in enumerate(BROKEN)]
)
def test_bad_records_are_set_aside(
    tmp_path: Path, reason: str, line: bytes | dict[str, Any]
) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, line, b"", changed(image_id="last"))
    result = read(path)
    assert result.batch.image_ids == ["137576", "last"]
    assert result.counts["lines"] == 3
    (rejected,) = result.rejected
    assert (rejected.reason, rejected.file, rejected.line) == (reason, "input", 2)
    with path.open("rb") as stream:
        stream.seek(rejected.byte_offset)
        data = stream.readline().rstrip(b"\n")
    assert hashlib.sha256(data).hexdigest() == rejected.sha256


def test_a_line_too_long_is_never_held(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"x" * 5000, GOOD)
    result = read(path, InputConfig(max_record_bytes=3000))
    assert len(result.batch) == 1
    (rejected,) = result.rejected
    assert rejected.reason == "too_large"
    assert rejected.sha256 == hashlib.sha256(b"x" * 5000).hexdigest()
    unended = tmp_path / "b.jsonl"
    unended.write_bytes(b"y" * 5000)
    assert read(unended, InputConfig(max_record_bytes=3000)).rejected[0].reason == "too_large"


def test_records_that_lack_something_are_counted(tmp_path: Path) -> None:
    lines = [
        changed(traces=[]),
        changed(traces=None),
        {k: v for k, v in GOOD.items() if k != "traces"},
        changed(traces=[[]]),
        changed(caption=" "),
        changed(timed_caption=[]),
        GOOD,
    ]
    result = read(write(tmp_path / "a.jsonl", *lines))
    assert dict(result.counts) == {
        "lines": 7, "no_traces": 4, "empty_caption": 1, "no_timed_words": 1, "usable": 1,
    }  # fmt: skip
    assert result.rejected == []
    assert len(result.batch) == 1


def test_byte_order_mark_crlf_and_missing_line_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = json.dumps(GOOD).encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line.replace(b"137576", b"2"))
    result = read(path)
    assert (len(result.batch), result.rejected, result.counts["lines"]) == (2, [], 2)


def test_unknown_fields_and_order_do_not_matter(tmp_path: Path) -> None:
    shuffled = {"extra": {"deep": [1]}, **dict(reversed(GOOD.items()))}
    assert read(write(tmp_path / "a.jsonl", shuffled)).batch.image_ids == ["137576"]


def test_the_genuine_partial_record(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "ln_record_partial" / "coco_val_381639_89.partial.json"
    record = json.loads(source.read_text())
    result = read(write(tmp_path / "a.jsonl", record))
    assert result.counts["no_traces"] == 1
    assert result.rejected == []


def test_video_narratives_equal_the_same_records_in_image_form(shared_data: Path) -> None:
    folder = shared_data / "vidln"
    video = read(folder / "OVIS_train_sample.jsonl").batch
    image = read(folder / "ovis_in_ln_format.jsonl").batch
    assert len(video) == len(image) == 15
    assert video.narrative_ids() == image.narrative_ids()
    for name in ("spoken", "captions", "image_ids"):
        assert getattr(video, name) == getattr(image, name)
    for name in (
        "t",
        "x",
        "y",
        "utterance_start",
        "utterance_end",
        "spoken_offsets",
        "enters",
        "point_offsets",
    ):
        np.testing.assert_array_equal(getattr(video, name), getattr(image, name), err_msg=name)


VIDEO: dict[str, Any] = {
    "dataset_id": "OVIS_train",
    "video_id": "v",
    "keyframe_names": ["f0", "f1"],
    "annotator_id": 7,
    "actor_narratives": [
        {
            "actor_name": "dog",
            "recording_start_time_ms_since_epoch": 1000,
            "caption": "A dog.",
            "time_alignment": [{"referenced_word": "dog", "start_ms": 100, "end_ms": 400}],
            "traces": [
                [
                    {"x": 0.1, "y": 0.1, "time_ms_since_epoch": 900, "kf_idx": 0},
                    {"x": 0.2, "y": 0.2, "time_ms_since_epoch": 1100, "kf_idx": 0},
                    {"x": 0.3, "y": 0.3, "time_ms_since_epoch": 1200, "kf_idx": 1},
                ]
            ],
        }
    ],
}


def test_a_video_narrative_gives_one_narrative_a_keyframe(tmp_path: Path) -> None:
    batch = read(write(tmp_path / "a.jsonl", VIDEO)).batch
    assert batch.image_ids == ["v/f0", "v/f1"]
    assert batch.dataset_ids == ["vidln_OVIS_train"] * 2
    assert batch.t.tolist() == [100_000, 200_000]  # what precedes the recording is left out


def test_an_actor_without_trace_is_counted(tmp_path: Path) -> None:
    silent = json.loads(json.dumps(VIDEO))
    silent["actor_narratives"].append(VIDEO["actor_narratives"][0] | {"traces": []})
    result = read(write(tmp_path / "a.jsonl", silent))
    assert dict(+result.counts) == {"lines": 1, "usable": 2, "no_traces": 1}
    assert result.batch.image_ids == ["v/f0", "v/f1"]


def test_a_video_narrative_with_an_unknown_keyframe_is_set_aside(tmp_path: Path) -> None:
    broken = json.loads(json.dumps(VIDEO))
    broken["actor_narratives"][0]["traces"][0][0]["kf_idx"] = 5
    result = read(write(tmp_path / "a.jsonl", broken, VIDEO))
    assert [entry.reason for entry in result.rejected] == ["wrong_type"]
    assert len(result.batch) == 2


def test_an_empty_batch_has_arrays_of_length_zero() -> None:
    batch = NarrativeBatch.from_records([])
    assert len(batch) == 0
    assert batch.point_offsets.tolist() == [0]
    assert batch.narrative_ids() == []


def test_one_caption_for_two_actors_makes_two_narratives(tmp_path: Path) -> None:
    twice = json.loads(json.dumps(VIDEO))
    second = json.loads(json.dumps(VIDEO["actor_narratives"][0]))
    second["actor_name"] = "other dog"
    twice["actor_narratives"].append(second)
    ids = read(write(tmp_path / "a.jsonl", twice)).batch.narrative_ids()
    assert len(set(ids)) == len(ids) == 4
