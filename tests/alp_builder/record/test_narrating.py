"""A real narrative, told again: real voice in the microphone, real trace under the mouse, real caption typed."""

from __future__ import annotations

import time
import wave
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from alp_builder import read_alps
from alp_builder.cli.main import main
from alp_builder.extraction import AlpExtractor
from alp_builder.narratives import NarrativeBatch
from alp_builder.record.publish import narratives_path
from alp_builder.records import NarrativeRecord, TracePoint, Utterance
from tests.alp_builder.record.conftest import narrating_browser, serving

LINE, RECORDING = 10, "1_2.webm"  # 33 s; all of its nouns were told over one frame
RATE = 48_000

# Notes when the microphone opened and when the mouse really moved: a busy machine moves it late.
_NOTE = """() => {
  window.moves = [];
  document.addEventListener("pointermove", (event) => {
    for (const each of event.getCoalescedEvents()) moves.push([each.clientX, each.clientY, each.timeStamp]);
  }, true);
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.opened = performance.now();
    return stream;
  };
}"""


def original(shared_data: Path) -> NarrativeRecord:
    lines = (shared_data / "vidln" / "ovis_in_ln_format.jsonl").read_bytes().splitlines()
    return msgspec.json.decode(lines[LINE], type=NarrativeRecord)


def write_wav(recording: Path, target: Path) -> Path:
    """The recording as Chromium's microphone wants it."""
    av = pytest.importorskip("av")
    with av.open(str(recording)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        frames = [*container.decode(container.streams.audio[0]), None]
        pieces = [out.to_ndarray()[0] for frame in frames for out in resampler.resample(frame)]
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.concatenate(pieces).tobytes())
    return target


def tell(page: Any, record: NarrativeRecord, seconds: float) -> NarrativeRecord:
    """Moves the mouse as the record's trace goes, on the clock of the microphone.

    Returns:
        The record with the points that the mouse really went through, as a listener of our own saw them.
    """
    began = time.monotonic() - page.evaluate("(performance.now() - window.opened) / 1000")
    image = page.locator(".photo").bounding_box()

    def wait(t: float) -> None:
        if (rest := began + t - time.monotonic()) > 0:
            page.wait_for_timeout(1000 * rest)

    def place(point: TracePoint) -> tuple[float, float]:
        return image["x"] + image["width"] * point.x, image["y"] + image["height"] * point.y

    for segment in record.traces or []:
        for point in segment:
            wait(point.t)
            page.mouse.move(*place(point))
        page.mouse.move(image["x"] + image["width"] / 2, 2)  # out of the image, and of the band
    wait(seconds)
    opened, moves = page.evaluate("[window.opened, window.moves]")
    traces: list[list[TracePoint]] = []
    away = True
    for left, top, instant in moves:
        x, y = (left - image["x"]) / image["width"], (top - image["y"]) / image["height"]
        inside = -0.01 <= x <= 1.01 and -0.01 <= y <= 1.01  # no point of the original lies outside
        if inside and away:
            traces.append([])
        if inside:
            traces[-1].append(TracePoint(x, y, (instant - opened) / 1000))
        away = not inside
    assert len(traces) == len(record.traces or [])
    assert sum(map(len, traces)) >= 0.9 * sum(map(len, record.traces or []))
    return msgspec.structs.replace(record, traces=traces)


@pytest.mark.slow
def test_a_real_narrative_told_again_gives_its_words_and_boxes(
    shared_data: Path, tmp_path: Path, alp_extractor: AlpExtractor
) -> None:
    pytest.importorskip("pocketsphinx")
    record = original(shared_data)
    video, _, frame = record.image_id.partition("/")
    images = tmp_path / "images"
    images.mkdir()
    source = shared_data / "vidln" / "frames" / "OVIS_train" / video / f"{frame}.jpg"
    (images / source.name).write_bytes(source.read_bytes())
    sound = write_wav(shared_data / "vidln" / "recordings" / RECORDING, tmp_path / "voice.wav")
    out = tmp_path / "out"
    with serving(images, out, "--until-done") as server, narrating_browser(sound) as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(server.links["annotator"])
        page.wait_for_selector(".photo[src]")
        page.evaluate(_NOTE)
        page.keyboard.press("r")
        page.wait_for_selector(".is-recording")
        assert record.timed_caption
        moved = tell(page, record, record.timed_caption[-1].end_time + 0.7)
        page.keyboard.press("r")
        page.click("#go-on")
        page.keyboard.type(record.caption)
        page.keyboard.press("Control+Enter")
        page.wait_for_selector('#status[data-mood="good"]')
        output, _ = server.process.communicate(
            timeout=240
        )  # it stops once all is narrated and aligned
        assert msgspec.json.decode(output) == {"published": 1}
    told = msgspec.json.decode(narratives_path(out).read_bytes())
    assert list(told) == [
        "dataset_id", "image_id", "annotator_id", "caption", "timed_caption", "traces", "voice_recording",
    ]  # fmt: skip
    assert told["caption"] == record.caption
    assert told["image_id"] == frame
    assert (out / told["voice_recording"]).stat().st_size > 20_000
    again = msgspec.convert(told, NarrativeRecord)
    offset = compare_words(again, record)
    compare_boxes(shifted(again, -offset), moved, alp_extractor)
    shards = tmp_path / "alps"
    assert main(["build", str(narratives_path(out)), "--out", str(shards), "--workers", "1"]) == 0
    assert read_alps(shards).num_rows >= 3


def starts(record: NarrativeRecord) -> np.ndarray:
    return np.array([word.start_time for word in record.timed_caption or []])


def compare_words(again: NarrativeRecord, record: NarrativeRecord) -> float:
    """Returns the constant offset; published word times lie 0.15 s after forced ones throughout."""
    assert [word.utterance.strip(".,") for word in again.timed_caption or []] == [
        word.utterance.strip(".,") for word in record.timed_caption or []
    ]
    late = starts(again) - starts(record)
    apart = np.abs(late - np.median(late))
    assert np.mean(apart < 0.25) >= 0.9, late
    return float(np.median(late))


def shifted(record: NarrativeRecord, seconds: float) -> NarrativeRecord:
    words = [
        Utterance(word.utterance, word.start_time + seconds, word.end_time + seconds)
        for word in record.timed_caption or []
    ]
    return msgspec.structs.replace(record, timed_caption=words)


def compare_boxes(again: NarrativeRecord, record: NarrativeRecord, extractor: AlpExtractor) -> None:
    rows = [extractor.extract(NarrativeBatch.from_records([r])).rows for r in (record, again)]
    boxes = [
        {
            (row["phrase"], row["component_index"]): [row[c] for c in ("x0", "y0", "x1", "y1")]
            for row in table.to_pylist()
        }
        for table in rows
    ]
    assert boxes[0].keys() == boxes[1].keys()
    assert len(boxes[0]) >= 2
    for key, box in boxes[0].items():
        assert iou(box, boxes[1][key]) >= 0.8, (key, box, boxes[1][key])


def iou(one: list[float], two: list[float]) -> float:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, two)]
    return common / (sum(areas) - common)
