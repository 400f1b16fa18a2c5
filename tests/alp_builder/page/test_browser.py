"""The page in a real browser: what an analyst does with it, and what hostile data cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.alp_builder.page.conftest import (
    OpenPage,
    alp_row,
    page_of,
    points,
    wait_until,
    write_image,
    write_rows,
)

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "\u202egnp.exe",
    "{{data}} {{scripts}} \u2028 \0",
    "'\"><svg onload=alert(3)>",
    "javascript:alert(4)",
    "\U0001f600 emoji before it",
]


@pytest.fixture
def page(open_page: OpenPage, page_file: Path) -> Any:
    return open_page(page_file)


def rows_of(page: Any) -> list[str]:
    return page.locator(".item .item-name").all_inner_texts()


class TestLooking:
    def test_the_first_narrative_is_there_whole(self, page: Any) -> None:
        assert page.title() == "ALPs of alps"
        assert page.inner_text("#caption") == "A big dog plays with a red ball."
        assert page.locator(".phrase").all_inner_texts() == ["big dog", "red ball"]
        assert page.locator(".box").count() == 2
        assert page.locator(".row .score").all_inner_texts() == ["0.90", "0.30"]
        assert page.evaluate("document.querySelector('.photo').naturalWidth") == 80
        assert "4 narratives, 6 ALPs" in page.inner_text("#count")
        assert page.locator(".chip.simulated").count() == 1

    def test_boxes_lie_where_the_shard_says(self, page: Any) -> None:
        frame = page.locator(".frame").bounding_box()
        box = page.locator("[data-lit=alps-0]").bounding_box()
        assert box["x"] - frame["x"] == pytest.approx(0.1 * frame["width"], abs=1)
        assert box["y"] - frame["y"] == pytest.approx(0.2 * frame["height"], abs=1)
        assert box["width"] == pytest.approx(0.3 * frame["width"], abs=1.5)
        assert frame["width"] / frame["height"] == pytest.approx(80 / 60, rel=0.01)

    def test_a_phrase_lights_its_box_and_its_part_of_the_trace(self, page: Any) -> None:
        before = page.evaluate("document.querySelector('.drawing').toDataURL()")
        page.hover(".phrase >> nth=1")
        assert page.locator(".box.lit").get_attribute("data-lit") == "alps-1"
        assert "red ball" in page.inner_text(".row.lit")
        assert page.evaluate("document.querySelector('.drawing').toDataURL()") != before
        assert page.evaluate("currentNarrative().alps[1].part") == [5, 10]
        page.mouse.move(5, 5)
        assert page.locator(".box.lit").count() == 0

    def test_a_box_lights_its_phrase_and_a_click_keeps_it(self, page: Any) -> None:
        page.click("[data-lit=alps-0]", position={"x": 4, "y": 30})
        page.mouse.move(5, 5)
        assert page.inner_text(".phrase.lit") == "big dog"
        page.keyboard.press("Escape")
        assert page.locator(".phrase.lit").count() == 0

    def test_all_places_of_a_plural_are_lit_together(self, page: Any) -> None:
        page.click(".item >> nth=1")
        assert page.locator(".phrase").all_inner_texts() == ["two birds"]
        page.focus(".phrase")
        assert page.locator(".box.lit").count() == 2

    def test_an_image_that_is_missing_says_so(self, page: Any) -> None:
        page.click(".item >> nth=3")
        assert page.inner_text(".problem") == "no file found"
        assert page.locator(".box").count() == 1

    def test_layers(self, page: Any) -> None:
        page.check("#layer-tight")
        assert page.locator(".box.tight").count() == 2
        page.uncheck("#layer-boxes")
        assert page.locator(".box:not(.tight)").count() == 0
        page.uncheck("#layer-trace")
        blank = "c => !c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)"
        assert page.locator(".drawing").evaluate(blank)


class TestFinding:
    def test_search_by_phrase(self, page: Any) -> None:
        page.fill("#search", "RED")
        assert rows_of(page) == ["a", "b"]
        assert page.inner_text(".item-caption >> nth=0") == "red ball"
        assert "2 of 4 narratives, 2 ALPs" in page.inner_text("#count")
        assert page.locator(".phrase.dim").all_inner_texts() == ["big dog"]
        page.fill("#search", "no such thing")
        assert page.locator("#empty").is_visible()
        page.click("#reset")
        assert len(rows_of(page)) == 4

    @pytest.mark.parametrize(
        ("control", "value", "captions"),
        [
            ("plural", "many", ["There are two birds"]),
            ("flag", "places", ["There are two birds"]),
            ("flag", "outside", ["A man with a hat."]),
            ("flag", "gap", ["A man with a hat."]),
            ("dataset", "other_set", ["Here is a red car."]),
            ("order", "worst", ["A man with", "There are two", "A big dog", "Here is"]),
        ],
    )
    def test_filters(self, control: str, value: str, captions: list[str], page: Any) -> None:
        page.select_option(f"#{control}", value)
        shown = page.evaluate("state.shown.map(i => PAGE.narratives[i].caption)")
        assert len(shown) == len(captions)
        assert all(text.startswith(start) for text, start in zip(shown, captions, strict=True))

    def test_quality(self, page: Any) -> None:
        page.locator("#least").fill("0.65")
        assert rows_of(page) == ["a", "a"]
        assert page.inner_text("#least-value") == "0.65"
        assert page.locator(".box.dim").get_attribute("data-lit") == "alps-1"


class TestReplay:
    def test_it_plays_to_the_end(self, page: Any) -> None:
        page.select_option("#speed", "4")
        page.click("#play")
        wait_until(page, "state.playing && state.time > 1.1 && state.time < 2.9")
        assert page.locator(".box.ahead").count() == 1
        wait_until(page, "!state.playing")
        assert page.inner_text("#clock") == "2.2 / 2.2 s"
        assert page.locator(".box.ahead").count() == 0

    def test_the_slider_goes_anywhere(self, page: Any) -> None:
        page.locator("#time").fill("0")
        assert page.inner_text("#clock").startswith("0.0")
        assert page.locator(".phrase.now").all_inner_texts() == ["big dog"]
        assert page.locator(".phrase.ahead").all_inner_texts() == ["red ball"]
        page.click(".window >> nth=1")
        assert page.locator(".phrase.now").all_inner_texts() == ["red ball"]

    def test_the_trace_grows(self, page: Any) -> None:
        inked = """() => { seek(%s); const c = document.querySelector('.drawing');
            return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter(Boolean).length }"""
        early, late, whole = (page.evaluate(inked % t) for t in (1.1, 1.3, 3.3))
        assert 0 < early < late < whole


class TestKeyboard:
    def test_everything_by_keys(self, page: Any) -> None:
        page.keyboard.press("j")
        assert page.inner_text("#place") == "2 / 4"
        page.keyboard.press("k")
        page.keyboard.press("]")
        page.keyboard.press("]")
        assert page.inner_text(".phrase.lit") == "red ball"
        page.keyboard.press("[")
        assert page.inner_text(".phrase.lit") == "big dog"
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#clock").startswith("1.7")
        page.keyboard.press("Space")
        assert page.evaluate("state.playing")
        page.keyboard.press("Space")
        page.keyboard.press("/")
        page.keyboard.type("car")
        assert rows_of(page) == ["b"]
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        assert "4 of 4 narratives of alps" in page.inner_text("#about")

    def test_phrases_and_rows_take_the_focus(self, page: Any) -> None:
        page.focus(".phrase >> nth=0")
        assert page.locator(".box.lit").count() == 1
        page.keyboard.press("Enter")
        assert page.locator(".phrase >> nth=0").get_attribute("aria-pressed") == "true"
        page.focus("#list")
        page.keyboard.press("End")
        assert page.inner_text("#place") == "4 / 4"
        chosen = page.get_attribute("#list", "aria-activedescendant")
        assert page.get_attribute(f"#{chosen}", "aria-selected") == "true"


class TestScreens:
    def test_dark_and_light(self, open_page: OpenPage, page_file: Path) -> None:
        page = open_page(page_file, color_scheme="dark")
        background = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(background)
        page.click("#theme-button")
        assert page.inner_text("#theme-button") == "Theme: light"
        light = page.evaluate(background)
        assert (
            sum(map(int, light[4:-1].split(","))) > 600 > 150 > sum(map(int, dark[4:-1].split(",")))
        )

    def test_narrow(self, open_page: OpenPage, page_file: Path) -> None:
        page = open_page(page_file, viewport={"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not page.locator("#browse").is_visible()
        page.click("#browse-button")
        page.click(".item >> nth=2")
        assert not page.locator("#browse").is_visible()
        assert page.inner_text("#caption") == "Here is a red car."
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

    def test_without_traces_it_says_so(
        self, open_page: OpenPage, tmp_path: Path, images: Path
    ) -> None:
        rows = [alp_row("n", "a", "a dog", "dog", t_end=1.0)]
        folder = write_rows(tmp_path / "alps", rows, traces=False)
        page_of(tmp_path / "p.html", alps=folder, images=[str(images)])
        page = open_page(tmp_path / "p.html")
        assert page.inner_text("#trace-note").startswith("Boxes only")
        assert page.locator("#layer-trace").count() == 0
        assert page.locator(".box").count() == 1

    def test_linked_images_are_shown(
        self, open_page: OpenPage, tmp_path: Path, shards: Path
    ) -> None:
        write_image(tmp_path / "my photos" / "a.jpg")
        out = tmp_path / "pages" / "p.html"
        page_of(out, alps=shards, images=[str(tmp_path / "my photos")], link_images=True)
        page = open_page(out, linked=True)
        wait_until(page, "document.querySelector('.photo').naturalWidth === 80")
        assert page.evaluate("PAGE.images[0].link") == "../my%20photos/a.jpg"


class TestPredictions:
    @pytest.fixture
    def compared(self, open_page: OpenPage, tmp_path: Path, shards: Path, images: Path) -> Any:
        image = {"id": 5, "file_name": "a.jpg", "width": 80, "height": 60}
        categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "<b>cat</b>"}]
        thing = {"image_id": 5, "category_id": 1, "bbox": [8, 12, 24, 24]}
        truth = {"images": [image], "categories": categories, "annotations": [{"id": 1, **thing}]}
        mask = {"size": [60, 80], "counts": [0, 2400, 2400]}  # the left half
        results = [
            {**thing, "score": 0.9, "segmentation": mask},
            {**thing, "category_id": 2, "score": 0.2},
        ]
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        (tmp_path / "instances.json").write_text(json.dumps(truth | {"annotations": []}))
        (tmp_path / "results.json").write_text(json.dumps(results))
        page_of(
            tmp_path / "p.html", alps=shards, images=[str(images)],
            predictions=tmp_path / "results.json", truth=tmp_path / "truth.json",
        )  # fmt: skip
        return open_page(tmp_path / "p.html")

    def test_they_stand_beside_alps_and_truth(self, compared: Any) -> None:
        assert rows_of(compared) == ["a", "a"]  # the images with predictions alone
        assert compared.locator("figcaption").all_inner_texts() == ["ALPs", "Predictions", "Truth"]
        assert compared.locator(".box.predictions").count() == 1
        assert compared.locator(".box.truth").count() == 1
        compared.hover(".phrase >> nth=0")  # big dog: "dog" in the other panes too
        assert compared.locator(".box.lit").count() == 3

    def test_masks_threshold_and_one_stage(self, compared: Any) -> None:
        painted = """i => { const c = document.querySelectorAll('.drawing')[1];
            return c.getContext('2d').getImageData(c.width * i, c.height / 2, 1, 1).data[3] }"""
        assert compared.evaluate(painted, 0.25) > 80
        assert compared.evaluate(painted, 0.75) == 0
        compared.locator("#threshold").fill("0.1")
        assert compared.locator(".box.predictions").count() == 2
        assert "<b>cat</b>" in compared.inner_text("#details")
        compared.uncheck("#layer-panes")
        assert compared.locator(".stage").count() == 1
        assert compared.locator(".box").count() == 5


class TestHostileData:
    def test_it_is_shown_as_text_and_does_nothing(
        self, open_page: OpenPage, tmp_path: Path, images: Path
    ) -> None:
        rows = []
        for number, text in enumerate(HOSTILE):
            caption = f"{text} and a {text}"
            row = alp_row(
                f"n{number}", text, caption, text, dataset_id=text, head_lemma=text,
                alp_id=text, x0=float("nan"), score=float("inf"), **points(float(number), 0.5, 0.5),
            )  # fmt: skip
            rows.append(row)
        rows.append(alp_row("good", "a", "a dog", "dog", **points(0, 0.5, 0.5)))
        rows[0] |= {"char_start": -5, "char_end": 2**31 - 1}
        rows[1]["trace_x"] = [float("nan"), 1e30, -1e30, 0.5, 0.5]
        folder = write_rows(tmp_path / "</title><script>alert(5)</script>", rows)
        page_of(tmp_path / "p.html", alps=folder, images=[str(images)])
        page = open_page(tmp_path / "p.html")
        page.select_option("#order", "most")
        for number in range(len(rows)):
            page.evaluate(f"goTo({number})")
            page.keyboard.press("]")
        assert page.locator("#caption img, #caption script, #list svg, #details svg").count() == 0
        page.evaluate("goTo(1)")
        assert HOSTILE[1] in page.inner_text("#caption")
        page.evaluate("goTo(3)")
        assert "\u2039U+202E\u203agnp.exe" in page.inner_text("#caption")
        page.evaluate("goTo(7)")  # offsets count code points; an emoji is two units of JavaScript
        assert page.inner_text(".phrase") == HOSTILE[7]

    def test_the_policy_forbids_what_is_not_of_the_page(
        self, page_file: Path, browser: Any
    ) -> None:
        page = browser.new_page()
        page.goto(page_file.as_uri())
        refused = page.evaluate(
            """async () => {
                const said = [];
                document.addEventListener('securitypolicyviolation', e => said.push(e.effectiveDirective));
                const script = document.createElement('script');
                script.textContent = 'window.ran = 1';
                document.body.append(script);
                const markup = '<img src="http://127.0.0.1:9/x.png" onerror="window.ran = 2">';
                document.body.insertAdjacentHTML('beforeend', markup);
                await fetch('http://127.0.0.1:9/').catch(() => 0);
                await new Promise(done => setTimeout(done, 100));
                return [window.ran === undefined, [...new Set(said)].sort()];
            }"""
        )
        page.close()
        assert refused[0]
        expected = ["connect-src", "img-src", "script-src-attr", "script-src-elem"]
        assert refused[1] == expected


def test_a_thousand_narratives_keep_few_rows(
    open_page: OpenPage, tmp_path: Path, images: Path
) -> None:
    rows = [
        alp_row(f"n{i:04d}", "a", f"Dog number {i}.", "Dog", **points(0, 0.5, 0.5))
        for i in range(1000)
    ]
    folder = write_rows(tmp_path / "alps", rows)
    page_of(tmp_path / "p.html", {"sample": 0}, alps=folder, images=[str(images)])
    page = open_page(tmp_path / "p.html")
    assert "1,000 narratives" in page.inner_text("#count")
    assert page.locator(".item").count() < 40
    page.locator("#list").evaluate("list => { list.scrollTop = 500 * ROW_HEIGHT }")
    page.wait_for_selector("#row-500")
    assert page.locator(".item").count() < 40
    assert page.inner_text("#row-500 .item-caption") == "Dog number 500."
    page.focus("#list")
    page.keyboard.press("End")
    assert page.inner_text("#caption") == "Dog number 999."
