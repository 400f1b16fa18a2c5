"""What every request must pass before anything is done for it, and the headers every answer carries.

- **Host**: the address the browser believes to be talking to must be ours. A page of another site whose name
  was made to point at 127.0.0.1 (DNS rebinding) carries that site's name here.
- **Origin**: whoever sends one must be our own page; `Sec-Fetch-Site` must not say `cross-site`.
- **Token**: everything under `/api/` needs one, in the header `Authorization: Bearer`, which no other site
  can make a browser send.
- Answers forbid scripts, styles and connections of others, framing, sniffing and caching.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from alp_builder.errors import UsageError
from alp_builder.record.people import REVIEWER, Tokens
from alp_builder.record.submission import SubmissionError

WHO = "who"
"""Where a request keeps the number of whom its token belongs to."""

_POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:",
    "media-src blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SAFE = ("GET", "HEAD")


@dataclass(frozen=True)
class Origins:
    """The addresses this server goes by.

    Attributes:
        hosts: Values of `Host` that are ours.
        origins: Values of `Origin` that are ours.
    """

    hosts: frozenset[str]
    origins: frozenset[str]


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is this machine's own alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, public_url: str | None, behind_tls: bool) -> None:
    """Refuses to be reachable from elsewhere without encryption.

    Raises:
        UsageError: If the address is not loopback and no TLS front was named, or its address is no good.
    """
    if not is_loopback(host) and not (behind_tls and public_url):
        raise UsageError(
            f"--host {host}: voices and links would cross the network unencrypted; keep 127.0.0.1 and put"
            " a TLS front before it (docs/record.md), or say that there is one:"
            " --behind-tls --public-url https://NAME"
        )
    if public_url is None:
        return
    parts = urlsplit(public_url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise UsageError(
            f"--public-url {public_url}: expected https://NAME[:PORT] and nothing after it"
        )


def own_origins(host: str, port: int, public_url: str | None) -> Origins:
    """The addresses a server that listens on `host` and `port` goes by."""
    names = ["127.0.0.1", "localhost", "[::1]"] if is_loopback(host) else []
    hosts = {f"{name}:{port}" for name in names}
    origins = {f"http://{name}" for name in hosts}
    if public_url is not None:
        parts = urlsplit(public_url)
        hosts.add(parts.netloc.lower())
        origins.add(f"https://{parts.netloc.lower()}")
    return Origins(frozenset(hosts), frozenset(origins))


def guard(origins: Origins, tokens: Tokens) -> Middleware:
    """The middleware that checks requests and finishes answers."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_origin(request, origins)
            if request.path.startswith("/api/"):
                request[WHO] = _check_token(request, tokens)
            response = await handler(request)
        except SubmissionError as error:
            response = problem(error.status, error.reason, error.detail)
        except web.HTTPException as error:
            response = problem(error.status, "http", error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        response.headers.update(HEADERS)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response

    return check


def _check_origin(request: web.Request, origins: Origins) -> None:
    if request.headers.get("Host", "").lower() not in origins.hosts:
        raise SubmissionError("host", "this server does not go by that name", 421)
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() not in origins.origins:
        raise SubmissionError("origin", "requests of other sites are refused", 403)
    # Following a link from elsewhere is a navigation and shows a page without data; all else is not.
    if (
        request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        and request.headers.get("Sec-Fetch-Mode") != "navigate"
    ):
        raise SubmissionError("origin", "requests of other sites are refused", 403)


def _check_token(request: web.Request, tokens: Tokens) -> int:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    who = tokens.number(token) if scheme.lower() == "bearer" else None
    if who is None:
        raise SubmissionError("token", "this link is not valid (any more); ask for a new one", 401)
    review = request.path.startswith("/api/review")
    if review != (who == REVIEWER) and request.method not in _SAFE:
        raise SubmissionError("role", "this link is not for that", 403)
    if review and who != REVIEWER:
        raise SubmissionError("role", "this link is not for reviewing", 403)
    return who


def answer(value: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    data = msgspec.json.encode(value)
    return web.Response(body=data, status=status, content_type="application/json")


def problem(status: int, reason: str, detail: str) -> web.Response:
    """An answer that says what was wrong, in words the page shows as text."""
    return answer({"error": reason, "detail": detail}, status)
