"""The pages themselves: a few files of the package, read once, nothing of anybody's data in them.

The colours come from the page of `alps show`. Whatever is not in this list does not exist.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from aiohttp import web

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_PAGES = {"/": "index.html", "/review": "review.html"}


def add_routes(app: web.Application) -> None:
    """Adds the addresses of pages, scripts and styles."""
    own = files("alp_builder.record").joinpath("static")
    texts = {f.name: f.read_bytes() for f in own.iterdir() if _ending(f.name) in _TYPES}
    theme = files("alp_builder.page").joinpath("static", "theme.css")
    texts["theme.css"] = theme.read_bytes()
    for address, name in _PAGES.items():
        app.router.add_get(address, _Static(name, texts[name]).serve)
    for name, text in texts.items():
        if name not in _PAGES.values():
            app.router.add_get(f"/static/{name}", _Static(name, text).serve)


def _ending(name: str) -> str:
    dot, ending = name.rpartition(".")[1:]
    return dot + ending


class _Static:
    """A file of the package."""

    def __init__(self, name: str, text: bytes) -> None:
        self._text = text
        self._type = _TYPES[_ending(name)]
        self._tag = hashlib.sha256(text).hexdigest()[:32]

    async def serve(self, request: web.Request) -> web.Response:
        headers = {"ETag": f'"{self._tag}"', "Cache-Control": "no-cache"}
        if any(tag.value == self._tag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=self._text, content_type=self._type, charset="utf-8", headers=headers
        )
