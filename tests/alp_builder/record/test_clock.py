"""Voice and pointer on one clock: a microphone that clicks at known instants, and pointer events at them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from alp_builder.record.layout import StoredNarrative
from tests.alp_builder.record.conftest import narrating_browser, onsets, serving

CLICKS, BETWEEN, FIRST = 8, 0.4, 0.3

# A microphone made of scheduled clicks. The offset of its clock from performance.now() is the smallest that is
# seen: a script can only look late. At each click's instant a pointer event is made.
_MICROPHONE = """([clicks, between, first]) => {
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext(), output = context.createMediaStreamDestination();
    await context.resume();
    const click = context.createBuffer(1, 240, context.sampleRate);
    const wave = click.getChannelData(0);
    for (let i = 0; i < wave.length; i++) wave[i] = 0.8 * Math.sin((2 * Math.PI * 2000 * i) / context.sampleRate);
    const from = context.currentTime + first;
    let offset = Infinity;
    setInterval(() => { offset = Math.min(offset, performance.now() - 1000 * context.currentTime); }, 3);
    const frame = document.querySelector(".frame");
    for (let k = 0; k < clicks; k++) {
      const source = context.createBufferSource();
      source.buffer = click;
      source.connect(output);
      source.start(from + between * k);
      const wait = () => {
        if (performance.now() < 1000 * (from + between * k) + offset) return setTimeout(wait, 1);
        const { left, top, width, height } = frame.getBoundingClientRect();
        const place = { clientX: left + width * (0.2 + 0.05 * k), clientY: top + height / 2 };
        frame.dispatchEvent(new PointerEvent("pointermove", { ...place, isPrimary: true, bubbles: true }));
      };
      setTimeout(wait, 10);
    }
    return output.stream;
  };
}"""


def test_clicks_and_pointer_agree_within_50_ms(two_images: Path, tmp_path: Path) -> None:
    voice = pytest.importorskip("alp_builder.voice")
    pytest.importorskip("av")
    with (
        serving(two_images, tmp_path / "out") as server,
        narrating_browser() as browser,
    ):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(server.links["annotator"])
        page.wait_for_selector("#record:visible")
        page.evaluate(_MICROPHONE, [CLICKS, BETWEEN, FIRST])
        page.click("#record")
        page.wait_for_selector(".is-recording")
        page.wait_for_timeout(1000 * (FIRST + CLICKS * BETWEEN + 0.3))
        page.click("#record")
        page.click("#go-on")
        page.fill("#caption", "Clicks.")
        page.click("#save")
        page.wait_for_selector('#status[data-mood="good"]')
        file = next((tmp_path / "out" / "_record" / "narratives" / "1").iterdir())
        stored = msgspec.json.decode(file.read_bytes(), type=StoredNarrative)
        samples, _ = voice.decode(tmp_path / "out" / stored.recording)
    pointer = np.array([point.t for segment in stored.traces for point in segment])
    clicks = onsets(samples, 16_000)
    assert len(clicks) >= CLICKS - 1
    apart = np.array([pointer[np.argmin(np.abs(pointer - click))] - click for click in clicks])
    # A pointer event that a busy machine made late tells nothing of the clock: the median has no such.
    assert abs(np.median(apart)) < 0.05, apart
    assert stored.clock.source == "call"
