r"""One HTML file out of parts: style, scripts, data and pixels, so that nothing of the data can act.

Three walls stand between data and the browser. Data stand in blocks of JSON that no browser runs, with `<`, `>`
and `&` written as escapes, so that no text can close its block. The page's scripts make text of them, never
markup (`textContent` alone). And a Content-Security-Policy allows the page's own scripts and style, by their
hashes, and images of `data:` addresses; everything else, every connection among it, is forbidden.

Pixels stand in a block of their own an image, in base64, which the scripts turn into a picture when it is seen.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import BinaryIO

import msgspec

from alp_builder.page.document import PageDocument

STYLES = ("theme.css", "layout.css", "viewer.css")
SCRIPTS = (
    "model.js", "text.js", "color.js", "filter.js", "state.js", "caption.js", "trace.js", "masks.js",
    "stage.js", "details.js", "list.js", "player.js", "controls.js", "keys.js", "main.js",
)  # fmt: skip
"""In the order in which they are run; a script may use what those before it define."""

_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026",
            0x2028: "\\u2028", 0x2029: "\\u2029"}  # fmt: skip


def static(name: str) -> str:
    """The text of a file of the page, from the package."""
    return files("alp_builder.page").joinpath("static", name).read_text(encoding="utf-8")


def json_block(value: object) -> str:
    r"""JSON that may stand inside a script element: `<`, `>`, `&` and line separators are escapes.

    >>> json_block("</script>")
    '"\\u003c/script\\u003e"'
    """
    return msgspec.json.encode(value).decode("utf-8").translate(_ESCAPES)


def policy(styles: Iterable[str], scripts: Iterable[str], links: bool) -> str:
    """The Content-Security-Policy of a page.

    Args:
        styles: Texts of its style elements.
        scripts: Texts of its script elements.
        links: Whether it refers to image files.
    """
    allowed = {
        "default-src": ["'none'"],
        "script-src": [_hash(text) for text in scripts],
        "style-src": [_hash(text) for text in styles],
        "img-src": ["data:", *(["'self'", "file:"] if links else [])],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in allowed.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{b64encode(digest).decode('ascii')}'"


def page_size(document: PageDocument) -> int:
    """Bytes of a page without its pixels, nearly: what images may take is what it leaves."""
    own = sum(len(static(name).encode("utf-8")) for name in (*STYLES, *SCRIPTS, "page.html"))
    return own + len(json_block(document).encode("utf-8"))


def write_html(
    stream: BinaryIO, document: PageDocument, pixels: Iterable[str], *, links: bool
) -> None:
    """Writes a page.

    Args:
        stream: Where to.
        document: All but the pixels; read after `pixels` has come to its end, so that whoever makes them
            may still note in it what became of each.
        pixels: JPEG in base64 of each image, in order; empty where there is none.
        links: Whether images are linked.
    """
    styles = [f"\n{static(name)}" for name in STYLES]
    scripts = [f"\n{static(name)}" for name in SCRIPTS]
    template = static("page.html")
    head = template.replace("{{policy}}", escape(policy(styles, scripts, links)))
    before_style, after_style = head.split("{{styles}}")
    before_data, after_data = after_style.split("{{data}}")
    before_scripts, end = after_data.split("{{scripts}}")

    def put(text: str) -> None:
        stream.write(text.encode("utf-8"))

    put(before_style)
    for text in styles:
        put(f"<style>{text}</style>\n")
    put(before_data)
    for number, data in enumerate(pixels):
        if data:
            put(f'<script type="text/plain" id="pixels-{number}">{data}</script>\n')
    put(f'<script type="application/json" id="data">{json_block(document)}</script>\n')
    put(before_scripts)
    for text in scripts:
        put(f"<script>{text}</script>\n")
    put(end)
