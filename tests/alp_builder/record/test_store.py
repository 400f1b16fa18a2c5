"""Narratives on disk: whole or not at all, once, apart, and gone when forgotten."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alp_builder.config import InputConfig
from alp_builder.errors import BadDataError
from alp_builder.narratives import read_narratives
from alp_builder.record import store as store_module
from alp_builder.record.layout import Entry, Outcome, Review, recording_name
from alp_builder.record.publish import narratives_path, publish, set_aside_path
from alp_builder.record.store import Store, forget
from alp_builder.record.submission import Submission, SubmissionError
from alp_builder.records import Utterance
from tests.alp_builder.conftest import tree_bytes
from tests.alp_builder.record.conftest import WEBM, narrative


def keep(store: Store, annotator: int = 1, digest: str = "d", **fields: Any) -> Entry:
    """Commits a narrative."""
    sent = msgspec.convert(narrative() | fields, Submission)
    temporary = store.temporary(annotator, sent.id, "t")
    temporary.write_bytes(WEBM)
    about = Entry(
        id=sent.id, annotator=annotator, image=sent.image, image_id="", caption=sent.caption,
        seconds=sent.seconds, recording=recording_name(annotator, sent.id, ".webm"),
        media_type="audio/webm", size=len(WEBM), digest=digest, sequence=0, received="",
    )  # fmt: skip
    try:
        return store.commit(annotator, sent, "one", temporary, about)[0]
    finally:
        temporary.unlink(missing_ok=True)


WORDS = [Utterance("A red", 0.1, 0.5), Utterance("car.", 0.5, 1.25)]


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entries = [keep(store, who) for who in (1, 2, 1)]
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    again = Store(tmp_path)
    assert again.entries == store.entries
    assert keep(again, 2).sequence == 4
    assert len(store.current()) == 2
    newest = again.current()[entries[0].image, 1]
    assert newest.id == entries[2].id


def test_the_same_one_is_kept_once_and_another_of_its_id_is_refused(tmp_path: Path) -> None:
    store, sent = Store(tmp_path), narrative()
    first = keep(store, **sent)
    assert keep(store, **sent) == first
    assert len(store.entries) == 1
    with pytest.raises(SubmissionError) as caught:
        keep(store, digest="another", **sent)
    assert caught.value.status == 409
    assert keep(store, 2, digest="another", **sent).annotator == 2  # ids of two people never meet


@pytest.mark.parametrize("step", ["move", "write_atomic"])
def test_a_disk_that_is_full_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store = Store(tmp_path)
    keep(store)
    before = tree_bytes(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, step, full)
    with pytest.raises(OSError, match="No space"):
        keep(store)
    assert tree_bytes(tmp_path) == before
    monkeypatch.undo()
    assert keep(store).sequence == 2


def test_leftovers_of_a_kill_are_removed_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store)
    before = tree_bytes(tmp_path)
    store.temporary(1, "a", "b").write_bytes(b"half")
    (tmp_path / ".narratives.jsonl.7.tmp").write_bytes(b"half")
    (tmp_path / "recordings" / "1" / "unnamed.webm").write_bytes(b"whole, but no narrative")
    gone = Store(tmp_path).clear_leftovers()
    assert len(gone) == 3
    assert tree_bytes(tmp_path) == before


def test_a_broken_file_is_named_not_passed_over(tmp_path: Path) -> None:
    entry = keep(Store(tmp_path))
    path = tmp_path / "_record" / "narratives" / "1" / f"{entry.id}.json"
    path.write_text("{")
    with pytest.raises(BadDataError, match=entry.id):
        Store(tmp_path)


def aligned(store: Store, entry: Entry) -> None:
    outcome = Outcome(state="aligned", timed_caption=WORDS, confidence=0.9)
    store.set_outcome((entry.annotator, entry.id), outcome)


def test_what_is_published_is_exact_and_what_is_not_says_why(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, good, waiting, flagged, returned = (keep(store, who) for who in (1, 1, 2, 3, 4))
    for entry in (old, good, returned):
        aligned(store, entry)
    misfit = Outcome(state="flagged", reason="misfit", detail="the caption does not fit")
    store.set_outcome((3, flagged.id), misfit)
    store.set_review((4, returned.id), Review(decision="returned", note="a dog is missing"))
    counts = publish(Store(tmp_path), "mine")
    assert counts == {
        "published": 1, "superseded": 1, "not_aligned": 1, "misfit": 1, "returned": 1,
    }  # fmt: skip
    (line,) = narratives_path(tmp_path).read_bytes().splitlines()
    record = msgspec.json.decode(line)
    sent = narrative()
    assert record == {
        "dataset_id": "mine",
        "image_id": "one",
        "annotator_id": 1,
        "caption": "A red car.",
        "timed_caption": [
            {"utterance": "A red", "start_time": 0.1, "end_time": 0.5},
            {"utterance": "car.", "start_time": 0.5, "end_time": 1.25},
        ],
        "traces": [[{"x": x, "y": y, "t": t} for x, y, t in s] for s in sent["traces"]],
        "voice_recording": f"recordings/1/{good.id}.webm",
    }
    aside = [msgspec.json.decode(x) for x in set_aside_path(tmp_path).read_bytes().splitlines()]
    reasons = {record["_id"]: record["_reason"] for record in aside}
    assert reasons[flagged.id] == "misfit: the caption does not fit"
    assert reasons[returned.id] == "returned: a dog is missing"
    assert set(reasons) == {old.id, waiting.id, flagged.id, returned.id}
    before = narratives_path(tmp_path).read_bytes()
    publish(Store(tmp_path), "mine")
    assert narratives_path(tmp_path).read_bytes() == before
    assert publish(Store(tmp_path), "mine", only_accepted=True)["not_reviewed"] == 1


def test_the_builder_reads_what_is_published(tmp_path: Path) -> None:
    store = Store(tmp_path)
    aligned(store, keep(store, caption="A red car."))
    publish(store, "mine")
    path = narratives_path(tmp_path)
    result = read_narratives(path, 0, path.stat().st_size, 1, InputConfig())
    assert result.counts["usable"] == 1
    assert not result.rejected
    assert result.batch.utterances(0) == ["A red", "car."]


def test_forgetting_takes_one_person_and_all_of_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    mine, other = keep(store, 1), keep(store, 2)
    for entry in (mine, other):
        aligned(store, entry)
        store.set_review((entry.annotator, entry.id), Review(decision="accepted"))
    assert forget(tmp_path, 1) == {"recordings": 1, "narratives": 1, "outcomes": 1, "reviews": 1}
    publish(Store(tmp_path), "mine")
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(mine.id in path.name or mine.id.encode() in path.read_bytes() for path in left)
    assert sum(other.id in path.name for path in left) == 4
    assert forget(tmp_path, 1)["recordings"] == 0
