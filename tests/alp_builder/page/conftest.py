"""Hand-made shards with known traces, images beside them, and a real browser to look at pages with."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from alp_builder.manifest import read_manifest, write_manifest
from alp_builder.page import PageConfig, PageRequest, write_page
from alp_builder.schema import arrow_schema
from pipelines.synthetic_shards import table_of, write_data_set

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Row = dict[str, Any]


def alp_row(narrative: str, image: str, caption: str, phrase: str, **columns: Any) -> Row:
    """A row of a shard; its phrase is the first place in the caption that reads so."""
    start = caption.find(phrase)
    row: Row = {
        "alp_id": f"{narrative}-{start}",
        "narrative_id": narrative,
        "dataset_id": "simulated_set",
        "image_id": image,
        "annotator_id": 7,
        "caption": caption,
        "phrase": phrase,
        "phrase_text": phrase,
        "head_lemma": phrase.split()[-1] if phrase.split() else phrase,
        "char_start": start,
        "char_end": start + len(phrase),
        "x0": 0.1, "y0": 0.2, "x1": 0.4, "y1": 0.6,
        "tight_x0": 0.05, "tight_y0": 0.1, "tight_x1": 0.5, "tight_y1": 0.7,
        "num_points": 5, "num_components": 1, "component_index": 0, "phrase_index": max(start, 0),
        "inside_fraction": 1.0, "dwell_fraction": 0.5, "dwell_time": 0.4, "time_gap": 0.1,
        "hull_area": 0.1, "score": 0.5, "is_plural": False, "is_group": False,
    }  # fmt: skip
    return row | columns


def points(start: float, x: float, y: float, count: int = 5) -> Row:
    """Trace columns and a window: `count` points 50 ms apart, going right from a place."""
    steps = np.arange(count)
    t = start + 0.05 * steps
    return {
        "trace_x": (x + 0.02 * steps).tolist(),
        "trace_y": [y] * count,
        "trace_t": t.tolist(),
        "t_start": float(t[0]),
        "t_end": float(t[-1]),
    }


def sample_rows() -> list[Row]:
    """Four narratives of three images: a dog and a ball, two birds, a red car, and a hat."""
    one, two = "A big dog plays with a red ball.", "There are two birds in the sky."
    three, four = "Here is a red car.", "A man with a hat."
    birds: Row = {"phrase_text": "birds", "head_lemma": "bird", "is_plural": True}
    birds["num_components"] = 2
    return [
        alp_row("n1", "a", one, "big dog", score=0.9, **points(1.0, 0.2, 0.3)),
        alp_row("n1", "a", one, "red ball", score=0.3, x0=0.6, x1=0.9, **points(3.0, 0.7, 0.5)),
        alp_row("n2", "a", two, "two birds", **birds, score=0.7, **points(0.5, 0.1, 0.1)),
        alp_row("n2", "a", two, "two birds", **birds, alp_id="n2-1", component_index=1, score=0.2,
                x0=0.7, x1=0.9, **points(1.5, 0.7, 0.1)),
        alp_row("n3", "b", three, "red car", score=0.6, dataset_id="other_set", **points(0.2, 0.5, 0.5)),
        alp_row("n4", "c", four, "hat", score=0.1, inside_fraction=0.4, time_gap=0.9, **points(0.2, 0.5, 0.1)),
    ]  # fmt: skip


def write_rows(folder: Path, rows: list[Row], *, traces: bool = True) -> Path:
    """A finished data set of these rows, with the columns of traces or without."""
    table = table_of(rows)
    groups = ["core", "traces"] if traces else ["core"]
    if traces:
        schema = arrow_schema(("core", "traces"))
        for name in ("trace_x", "trace_y", "trace_t"):
            values = pa.array([row[name] for row in rows], schema.field(name).type)
            table = table.append_column(schema.field(name), values)
        table = table.select(schema.names)
    write_data_set(folder, [table], count=1)
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), groups=groups))
    return folder


def write_image(path: Path, size: tuple[int, int] = (80, 60), color: str = "teal") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of `sample_rows`. Never written to."""
    return write_rows(tmp_path_factory.mktemp("page") / "alps", sample_rows())


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of the images a and b; that of c is missing."""
    folder = tmp_path_factory.mktemp("images")
    write_image(folder / "a.jpg")
    write_image(folder / "b.png", (60, 90), "olive")
    return folder


def browser_program() -> str | None:
    """The Chromium of this machine, or `None`."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = browser_program()
    if program is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(BROWSERS)})")
    flags = ["--disable-background-networking", "--disable-component-update", "--disable-gpu"]
    if os.geteuid() == 0:  # Chromium's sandbox does not run for root
        flags.append("--no-sandbox")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=flags)
        yield running
        running.close()


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """Opens a file in a new window; afterwards there was no error and no request but for the file."""
    contexts: list[Any] = []
    troubles: list[str] = []

    def look(path: Path, linked: bool = False, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1300, "height": 850}} | options)
        context.set_default_timeout(90_000)  # the machine may be busy
        contexts.append(context)
        page = context.new_page()
        own = path.absolute().as_uri()

        def check(request: Any) -> None:
            allowed = request.url.startswith(("data:", own)) or (
                linked and request.url.startswith("file:")
            )
            if not allowed:
                troubles.append(f"request: {request.url}")

        def tell(message: Any) -> None:
            if message.type == "error":
                troubles.append(f"console: {message.text}")

        page.on("request", check)
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("console", tell)
        page.on("dialog", lambda dialog: (troubles.append("a dialog opened"), dialog.dismiss()))
        page.goto(own)
        return page

    yield look
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory, shards: Path, images: Path) -> Path:
    """The page of `shards`."""
    out = tmp_path_factory.mktemp("html") / "page.html"
    write_page(PageRequest(alps=shards, images=[str(images)]), out, progress=False)
    return out


def wait_until(page: Any, condition: str, seconds: float = 5) -> None:
    """Waits for a condition; Playwright's own way of it compiles text, which the page forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def page_of(out: Path, config: Mapping[str, Any] | None = None, **request: Any) -> Any:
    """Writes a page and returns its summary."""
    return write_page(PageRequest(**request), out, PageConfig(**(config or {})), progress=False)
