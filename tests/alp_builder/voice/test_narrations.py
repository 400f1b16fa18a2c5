"""Lines with other word times: all else is kept byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alp_builder.config import InputConfig
from alp_builder.records import Line, RecordError
from alp_builder.voice.aligner import Alignment, TimedWord
from alp_builder.voice.narrations import NarratedLine


def _line(text: str | bytes, offset: int = 0) -> Line:
    return Line(1, offset, text if isinstance(text, bytes) else text.encode())


def _alignment(caption: str) -> Alignment:
    words, at = [], 0
    for number, text in enumerate(caption.split()):
        at = caption.index(text, at)
        words.append(
            TimedWord(text=text, char_start=at, char_end=at + len(text), start=number + 0.25,
                      end=number + 0.75, confidence=1.0)
        )  # fmt: skip
        at += len(text)
    return Alignment(tuple(words), 1.0)


RECORD = (
    '{"dataset_id":"d","image_id":"i" , "annotator_id":7,"x-new":{"b":[1.10,1e2,"\\u00e9"],"a":null},'
    '"caption":"A dog, \\"big\\".","timed_caption":[{"utterance":"A dog","start_time":0,"end_time":1}],'
    '"traces":[[{"x":0.5000,"y":-0.05,"t":0.10}]],"voice_recording":"v/a.ogg"}'
)


def test_only_the_word_times_change() -> None:
    line = NarratedLine(_line(RECORD), InputConfig())
    [narration] = line.narrations
    assert (narration.caption, narration.recording) == ('A dog, "big".', "v/a.ogg")
    assert [word.utterance for word in narration.published] == ["A dog"]
    out = line.with_times([_alignment(narration.caption)]).decode()
    before, after = json.loads(RECORD), json.loads(out)
    assert after.pop("timed_caption") == [
        {"utterance": text, "start_time": n + 0.25, "end_time": n + 0.75}
        for n, text in enumerate(["A", "dog,", '"big".'])
    ]
    before.pop("timed_caption")
    assert after == before
    assert list(json.loads(out)) == list(json.loads(RECORD))  # and the order of the fields
    for kept in ('{"b":[1.10,1e2,"\\u00e9"],"a":null}', '[[{"x":0.5000,"y":-0.05,"t":0.10}]]'):
        assert kept in out


def test_a_record_without_times_gets_them() -> None:
    text = '\ufeff{"dataset_id":"d","image_id":"i","annotator_id":7,"caption":"A dog"}'
    line = NarratedLine(_line(text), InputConfig())
    assert line.narrations[0].recording is None
    assert line.narrations[0].published == []
    assert json.loads(line.with_times([_alignment("A dog")]))["timed_caption"][1] == {
        "utterance": "dog", "start_time": 1.25, "end_time": 1.75,
    }  # fmt: skip


def test_records_of_videos_keep_their_own_form(shared_data: Path) -> None:
    data = (shared_data / "vidln/OVIS_train_sample.jsonl").read_bytes().splitlines()[0]
    line = NarratedLine(_line(data), InputConfig())
    assert [n.recording for n in line.narrations] == [
        "recordings/OVIS_train/0_0.webm", "recordings/OVIS_train/0_1.webm",
    ]  # fmt: skip
    assert line.narrations[0].published[1].start_time == 2.54
    out = json.loads(line.with_times([_alignment(n.caption) for n in line.narrations]))
    before = json.loads(data)
    for actor, was in zip(out["actor_narratives"], before["actor_narratives"], strict=True):
        ours, theirs = actor.pop("time_alignment"), was.pop("time_alignment")
        places = ("referenced_word", "referenced_word_start_idx", "referenced_word_end_idx")
        assert [[w[p] for p in places] for w in ours] == [[w[p] for p in places] for w in theirs]
        assert set(ours[0]) == set(theirs[0])
        assert ours[1] | {"start_ms": 1250, "end_ms": 1750} == ours[1]
    assert out == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not_json"),
        ('{"caption": "no"}', "missing_field"),
        (RECORD.replace('"v/a.ogg"', "7"), "wrong_type"),
        (RECORD.replace('"annotator_id":7', '"annotator_id":"x"'), "wrong_type"),
        (RECORD.replace('"x-new":{', '"x-new":' + "[" * 100_000 + "{"), "not_json"),
        (b'{"caption": "\xff"}', "not_utf8"),
    ],
)
def test_what_is_no_record_is_told(text: str | bytes, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        NarratedLine(_line(text, offset=1), InputConfig())
    assert caught.value.reason == reason
