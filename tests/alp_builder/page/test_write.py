"""The file as a whole: escaped, bounded, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from html import unescape
from pathlib import Path

import pytest

from alp_builder.errors import BadDataError, UsageError
from alp_builder.page.document import utf16_offsets
from alp_builder.page.html import SCRIPTS, STYLES, json_block, static
from tests.alp_builder.page.conftest import alp_row, page_of, points, write_image, write_rows

EVIL = "</script><script>alert(1)</script><!-- \u2028 & <img src=x onerror=alert(1)>"
STATIC = Path(__file__).parents[3] / "alp_builder" / "page" / "static"


def data_of(page: Path) -> dict[str, object]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        page.read_text("utf-8"),
        re.DOTALL,
    )
    assert found
    value: dict[str, object] = json.loads(found[1])
    return value


def test_json_cannot_close_its_block() -> None:
    block = json_block({EVIL: [EVIL]})
    assert not set("<>&\u2028") & set(block)
    assert json.loads(block) == {EVIL: [EVIL]}


def test_every_text_of_data_stands_inside_the_block(tmp_path: Path) -> None:
    row = alp_row(EVIL, "a", EVIL, EVIL, dataset_id=EVIL, phrase_text=EVIL, **points(0, 0, 0))
    folder = write_rows(tmp_path / "<script>alert(2)<", [row])
    page_of(tmp_path / "p.html", alps=folder)
    text = (tmp_path / "p.html").read_text("utf-8")
    assert "alert(1)" in text
    outside = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert "alert(" not in outside
    narrative = data_of(tmp_path / "p.html")["narratives"][0]  # type: ignore[index]
    assert narrative["caption"] == EVIL


def test_the_policy_names_exactly_the_scripts_and_styles_of_the_page(page_file: Path) -> None:
    text = page_file.read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    policy = unescape(policy)
    for tag in ("script", "style"):
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digests = [b64encode(hashlib.sha256(p.encode()).digest()).decode() for p in parts]
        rule = re.search(rf"{tag}-src ([^;]*)", policy)
        assert rule
        assert re.findall(r"sha256-([\w+/=]+)", rule[1]) == digests
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_the_page_is_made_of_all_its_files_and_refers_to_nothing() -> None:
    assert {p.name for p in STATIC.iterdir()} == {*SCRIPTS, *STYLES, "page.html"}
    for name in (*SCRIPTS, *STYLES, "page.html"):
        text = static(name)
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text
        )


def test_offsets_count_as_javascript_does() -> None:
    text = "a\U0001f600b\u00e9"
    assert utf16_offsets(text, [0, 1, 2, 3, 4, 99, -1]) == [0, 1, 3, 4, 5, 5, 0]


def test_equal_requests_make_equal_pages(shards: Path, images: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        page_of(tmp_path / name, alps=shards, images=[str(images)])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_what_a_page_came_to(shards: Path, images: Path, tmp_path: Path) -> None:
    summary = page_of(tmp_path / "p.html", alps=shards, images=[str(images)])
    assert (summary.narratives, summary.alps, summary.images) == (4, 6, 2)
    assert summary.problems == {"no file found": 1}
    assert summary.traces == "boxes"
    assert summary.size == (tmp_path / "p.html").stat().st_size
    assert summary.about[0] == "4 of 4 narratives of alps."


def test_a_page_keeps_below_its_limit(tmp_path: Path) -> None:
    rows = []
    for number in range(12):
        file = tmp_path / "images" / f"i{number}.png"
        write_image(file, (700, 500))
        rows.append(alp_row(f"n{number}", f"i{number}", "a dog", "dog", **points(0, 0, 0)))
    folder = write_rows(tmp_path / "alps", rows)
    request = {"alps": folder, "images": [str(tmp_path / "images")]}
    own = page_of(tmp_path / "empty.html", alps=folder).size
    summary = page_of(tmp_path / "p.html", {"max_bytes": own + 60_000}, **request)
    assert own < summary.size <= own + 60_000
    with pytest.raises(UsageError, match=r"12 narratives with 12 images do not fit"):
        page_of(tmp_path / "q.html", {"max_bytes": own + 5_000}, **request)
    with pytest.raises(UsageError, match="do not fit"):
        page_of(tmp_path / "q.html", {"max_bytes": own - 5_000}, link_images=True, **request)
    assert not (tmp_path / "q.html").exists()


def test_limits_of_a_narrative(tmp_path: Path) -> None:
    rows = [alp_row("n", "a", "a dog " * 50, "dog", **points(i, 0, 0, 20)) for i in range(9)]
    folder = write_rows(tmp_path / "alps", rows)
    config = {"max_alps": 5, "max_caption_chars": 12, "max_points": 30}
    summary = page_of(tmp_path / "p.html", config, alps=folder)
    (narrative,) = data_of(tmp_path / "p.html")["narratives"]  # type: ignore[misc]
    assert narrative["caption"] == "a dog a dog "
    assert len(narrative["alps"]) == 5
    assert len(narrative["trace"]["kinds"]) == 30
    assert summary.about[1:3] == [
        "4 ALPs were left out: a narrative shows 5.",
        "1 captions were cut.",
    ]


def test_numbers_that_are_none_stay_within_their_range(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    row = alp_row("n", "a", "a dog", "dog", x0=nan, x1=inf, y0=-3, score=nan, time_gap=-inf,
                  **(points(0, 0, 0) | {"t_start": nan, "t_end": -5.0}))  # fmt: skip
    page_of(tmp_path / "p.html", alps=write_rows(tmp_path / "alps", [row]))
    (narrative,) = data_of(tmp_path / "p.html")["narratives"]  # type: ignore[misc]
    (alp,) = narrative["alps"]
    assert all(0 <= side <= 1 for side in alp["box"])
    assert (alp["score"], alp["gap"], alp["window"]) == (0, 0, [0, 0])


def test_mistakes_get_one_line_and_leave_no_file(
    shards: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.html"
    for message, request in {
        "nothing to show: give the folder": {},
        "nothing to show: no narrative fits": {"alps": shards, "where": ["score>0.99"]},
        "image root wrong": {"alps": shards, "images": [str(tmp_path)]},
        "no such folder": {"alps": shards, "images": [str(tmp_path / "none")]},
        "no split 'val'": {"alps": shards, "split": "val"},
    }.items():
        with pytest.raises(UsageError, match=message):
            page_of(out, **request)
    with pytest.raises(BadDataError, match="no ALP data set"):
        page_of(out, alps=tmp_path)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        page_of(tmp_path / "folder.html", alps=shards)
    assert {p.name for p in tmp_path.iterdir()} == {"folder.html"}


def test_predictions_alone(images: Path, tmp_path: Path) -> None:
    image = {"id": 1, "file_name": str(images / "a.jpg"), "width": 80, "height": 60}
    elsewhere = {"id": 2, "file_name": "/etc/passwd", "width": 80, "height": 60}
    record = {"images": [image, elsewhere], "categories": [{"id": 1, "name": "dog"}]}
    (tmp_path / "instances.json").write_text(json.dumps(record | {"annotations": []}))
    found = [{"image_id": 1, "category_id": 1, "bbox": [8, 6, 8, 6], "score": 0.8}]
    (tmp_path / "results.json").write_text(json.dumps(found))
    summary = page_of(
        tmp_path / "p.html", images=[str(images)], predictions=tmp_path / "results.json"
    )
    assert (summary.narratives, summary.images, summary.predictions) == (2, 1, 1)
    assert summary.problems == {"no file found": 1}
    first = data_of(tmp_path / "p.html")["images"][0]  # type: ignore[index]
    assert first["predictions"] == [{"name": "dog", "box": [0.1, 0.1, 0.2, 0.2], "score": 0.8}]
