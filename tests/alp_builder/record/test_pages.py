"""Both pages in a real browser: what is not saved is kept and sent again, and texts stay texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.alp_builder.page.conftest import wait_until
from tests.alp_builder.record.conftest import (
    Client,
    Running,
    narrating_browser,
    narrative,
    serving,
)

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with narrating_browser() as running:
        yield running


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages; afterwards no script had failed, none was refused, no dialog had opened."""
    contexts, troubles = [], []

    def open_page(address: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on(
            "console",
            lambda m: (
                troubles.append(m.text)
                if m.type == "error" and "Failed to load resource" not in m.text
                else None
            ),
        )
        page.on("dialog", lambda dialog: (troubles.append("a dialog"), dialog.dismiss()))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def check_access(page: Any) -> None:
    """No serious finding of axe."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    results = axe.Axe().run(page)
    findings = [
        (finding["id"], finding["impact"], [node["html"] for node in finding["nodes"]])
        for finding in results.response["violations"]
        if finding["impact"] in ("serious", "critical", "moderate")
    ]
    assert findings == []


def record(page: Any, seconds: float = 1.6) -> None:
    """Records by keyboard, moving the pointer by mouse and arrow keys."""
    page.wait_for_selector(".photo[src]")
    page.keyboard.press("r")
    page.wait_for_selector(".is-recording")
    box = page.locator(".photo").bounding_box()
    x, y, width, height = (box[name] for name in ("x", "y", "width", "height"))
    page.mouse.move(x + 0.25 * width, y + 0.5 * height)
    page.mouse.move(x + 0.5 * width, y + 0.5 * height, steps=5)
    page.mouse.move(x + 0.5 * width, 3)  # away, and back into the band
    page.mouse.move(x + width * 1.04, y + 0.25 * height)
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(1000 * seconds)
    page.keyboard.press("r")
    page.wait_for_selector("#listen:visible")


def test_what_was_not_saved_is_kept_and_sent_again(
    two_images: Path, tmp_path: Path, look: Callable[..., Any]
) -> None:
    out = tmp_path / "out"
    with serving(two_images, out, "--annotators", HOSTILE) as server:
        port = str(urlsplit(server.address).port)
        page = look(server.links[HOSTILE])
        record(page)
        check_access(page)
        page.reload()  # with a recording that was never sent
        page.wait_for_selector("#listen:visible")
        page.click("#go-on")
        check_access(page)
        page.keyboard.type(f"A {HOSTILE} here.")
        page.wait_for_timeout(600)  # what is typed is kept a moment later
        server.kill()
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#outbox:visible")
        wait_until(
            page, "document.getElementById('outbox-title').textContent.includes('not saved')", 30
        )
        assert page.text_content("#progress-text") == "0 of 2 saved"
        assert page.text_content("#who") == HOSTILE
        page.goto("about:blank")  # or the old page sends it as soon as the server is back
    with serving(two_images, out, "--port", port) as server:
        page.goto(server.links[HOSTILE])
        page.wait_for_selector('#status[data-mood="good"]')
        assert page.text_content("#progress-text") == "1 of 2 saved"
        assert page.locator("#outbox").is_hidden()
        me = Client(server, HOSTILE).ask("GET", "/api/me")[1]
        kept = Client(server, HOSTILE).ask("GET", f"/api/narratives/{me['images'][0]['narrative']}")
        check_narrative(kept[1])


def check_narrative(told: dict[str, Any]) -> None:
    """The points of `record`, in image coordinates, and their segments."""
    assert told["caption"] == f"A {HOSTILE} here."
    assert told["seconds"] > 1.5
    first, second = told["traces"]
    assert first[0][:2] == pytest.approx([0.25, 0.5], abs=0.01)
    assert first[-1][:2] == pytest.approx([0.5, 0.5], abs=0.01)
    assert second[0][:2] == pytest.approx([1.04, 0.25], abs=0.01)
    assert second[-1][:2] == pytest.approx([1.04, 0.27], abs=0.01)
    times = [t for segment in told["traces"] for _, _, t in segment]
    assert times == sorted(times)
    assert times[-1] < told["seconds"]


def test_the_reviewer_sees_texts_as_texts_and_decides(
    two_images: Path, tmp_path: Path, look: Callable[..., Any]
) -> None:
    with serving(two_images, tmp_path / "out", "--annotators", HOSTILE) as server:
        annotator = Client(server, HOSTILE)
        for image in ("one.png", "sub/two.jpg"):
            assert annotator.put(narrative(image=image, caption=HOSTILE))[0] == 201
        end = time.monotonic() + 60
        while (
            "waiting"
            in msgspec.json.encode(Client(server, "review").ask("GET", "/api/review")[1]).decode()
        ):
            assert time.monotonic() < end
            time.sleep(0.2)
        page = look(
            server.links["review"], color_scheme="dark", viewport={"width": 400, "height": 800}
        )
        page.select_option("#filter", "flagged")
        page.wait_for_selector("#narrative:visible")
        assert page.text_content("#words") == HOSTILE
        assert "cannot be decoded" in page.text_content("#flag") or "broken" in page.text_content(
            "#flag"
        )
        check_access(page)
        page.focus("body")
        page.keyboard.press("x")
        assert "Say in the note" in page.text_content("#status")
        page.fill("#note", HOSTILE)
        page.click("#return")
        page.wait_for_selector('#status[data-mood="good"]')
        page.select_option("#filter", "returned")
        page.wait_for_selector("#narrative:visible")
        other = look(server.links[HOSTILE])
        other.wait_for_selector("#returned:visible")
        assert other.text_content("#returned-note") == HOSTILE
        check_access(other)


def save_and_read(page: Any, server: Running, way: str) -> list[list[float]]:
    """Types a caption and saves; where each segment kept went, one decimal, without repeats."""
    getattr(page, way)("#go-on")
    page.fill("#caption", "Two lines.")
    getattr(page, way)("#save")
    page.wait_for_selector('#status[data-mood="good"]')
    me = Client(server, "annotator").ask("GET", "/api/me")[1]
    path = f"/api/narratives/{me['images'][0]['narrative']}"
    traces = Client(server, "annotator").ask("GET", path)[1]["traces"]
    return [list(dict.fromkeys(round(x, 1) for x, _, _ in segment)) for segment in traces]


def test_touch_draws_and_a_wrong_link_says_so(
    two_images: Path, tmp_path: Path, look: Callable[..., Any]
) -> None:
    with serving(two_images, tmp_path / "out") as server:
        page = look(f"{server.address}/#wrong")
        page.wait_for_selector('#status[data-mood="bad"]')
        assert "not valid" in page.text_content("#status")
        page = look(
            server.links["annotator"], has_touch=True, viewport={"width": 390, "height": 800}
        )
        page.wait_for_selector(".photo[src]")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.tap("#record")
        page.wait_for_selector(".is-recording")
        box = page.locator(".photo").bounding_box()
        finger = page.context.new_cdp_session(page)
        for kind, share in (("Start", 0.3), ("Move", 0.5), ("Move", 3.0), ("Move", 0.6)):
            places = [{"x": box["x"] + share * box["width"], "y": box["y"] + 20}]
            finger.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": places})
            page.wait_for_timeout(60)
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(1200)
        page.tap("#record")
        page.wait_for_selector("#listen:visible")
        assert save_and_read(page, server, "tap") == [[0.3, 0.5], [0.6]]


def test_a_pen_draws_as_it_hovers_and_as_it_touches(
    two_images: Path, tmp_path: Path, look: Callable[..., Any]
) -> None:
    with serving(two_images, tmp_path / "out") as server:
        page = look(server.links["annotator"])
        page.wait_for_selector(".photo[src]")
        kinds = page.evaluate_handle(
            """() => {
                const seen = new Set();
                addEventListener("pointermove", (event) => seen.add(event.pointerType));
                return seen;
            }"""
        )
        page.keyboard.press("r")
        page.wait_for_selector(".is-recording")
        box = page.locator(".photo").bounding_box()
        tip = page.context.new_cdp_session(page)
        for kind, share in (
            ("mouseMoved", 0.2),  # over the screen
            ("mousePressed", 0.2),
            ("mouseMoved", 0.4),  # on it
            ("mouseReleased", 0.4),
            ("mouseMoved", 0.7),
        ):
            tip.send(
                "Input.dispatchMouseEvent",
                {
                    "type": kind,
                    "pointerType": "pen",
                    "button": "none" if kind == "mouseMoved" else "left",
                    "clickCount": 0 if kind == "mouseMoved" else 1,
                    "x": box["x"] + share * box["width"],
                    "y": box["y"] + 0.5 * box["height"],
                },
            )
            page.wait_for_timeout(60)
        page.wait_for_timeout(1200)
        page.keyboard.press("r")
        page.wait_for_selector("#listen:visible")
        assert kinds.evaluate("seen => [...seen]") == ["pen"]
        assert save_and_read(page, server, "click") == [[0.2, 0.4, 0.7]]
