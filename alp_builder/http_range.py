"""One HTTP answer for a part of a file: opened through redirects, and what its headers promise.

A broken download goes on where it stopped if the server still holds the same file. The request says
`Range: bytes=N-` and `If-Range: VALIDATOR` (RFC 9110, 13.1.5 and 14.2), so that the server itself decides:
206 with the rest, or 200 with the whole of a changed file. What it answers is checked, not believed: the
range must start at N and name the same total and validator.

Redirects are followed here, hop by hop, because each must be judged: only http and https, never from https down
to http, and never from another host to an address of this machine or its own network, where a server may answer
to us what it would not to strangers (169.254.169.254 tells a cloud machine's keys). To other hosts they are
followed: mirrors and content networks need it, and nothing of ours goes along but the address. `requests` carries
this rather than `urllib`, for its certificates (certifi; macOS's Python has none of its own), proxies and
connection errors; spaCy brings it in any case.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import socket
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
import urllib3

from alp_builder.errors import BadDataError, UsageError
from alp_builder.remote import shown

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_HASH_MD5 = re.compile(r"(?:^|[ ,])md5=([A-Za-z0-9+/=]+)")


class FetchConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to download.

    Attributes:
        attempts: Attempts in a row without a byte gained before giving up.
        first_attempts: The same while no connection was made yet: whoever is offline should hear soon.
        backoff: Seconds before the second attempt; doubles with each further one.
        max_backoff: Longest pause in seconds, also where the server asks for more.
        connect_timeout: Seconds to wait for a connection.
        read_timeout: Seconds of silence after which a connection counts as broken.
        chunk_bytes: Most bytes read at once.
        max_bytes: Largest file accepted, a bound on what a server can make us write. The largest
            official file is near 2 GB.
        max_redirects: Most hops followed.
    """

    attempts: int = 6
    first_attempts: int = 2
    backoff: float = 0.5
    max_backoff: float = 30.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    chunk_bytes: int = 1 << 18
    max_bytes: int = 16 << 30
    max_redirects: int = 5


class FetchError(BadDataError):
    """A download that failed for good."""


class OfflineError(FetchError):
    """No connection to the server could be made."""


class BrokenError(Exception):
    """An attempt failed that may succeed when repeated.

    Attributes:
        connected: Whether the server answered at all.
        wait: Seconds the server asked us to wait, 0 for none.
        restart: Whether the bytes at hand are of no use any more.
    """

    def __init__(
        self, message: str, *, connected: bool = True, wait: float = 0.0, restart: bool = False
    ) -> None:
        super().__init__(message)
        self.connected = connected
        self.wait = wait
        self.restart = restart


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server sends: `total - start` bytes of a file, from byte `start` on.

    Attributes:
        response: The open response, to be read by `read` and closed by the caller.
        start: First byte sent; 0 where the server sends the whole file.
        total: Bytes of the whole file; None where the server streams it in chunks.
        validator: Strong ETag, or the time of the last change; None if the file cannot be resumed.
        md5: MD5 of the whole file in hexadecimal, where the server names it (Google Cloud Storage does).
    """

    response: requests.Response
    start: int
    total: int | None
    validator: str | None
    md5: str | None

    def read(self, config: FetchConfig) -> bytes:
        """The next bytes, at most `config.chunk_bytes`; none at the end.

        Raises:
            BrokenError: If the connection breaks.
        """
        try:
            data: bytes = self.response.raw.read1(config.chunk_bytes, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise BrokenError(f"the connection broke ({_reason(error)})") from error
        return data


def check_url(url: str) -> str:
    """The URL, if it is one of http or https with a host.

    Raises:
        UsageError: If it is not.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # such as a bracket that is not closed
        usable = False
    if not usable:
        raise UsageError(f"{shown(url)!r} is no http or https address")
    return url


def open_at(
    session: requests.Session, url: str, offset: int, validator: str | None, config: FetchConfig
) -> Answer:
    """Ask for a file from byte `offset` on, provided it is still the one of `validator`.

    Raises:
        FetchError: If the server refuses for good, cannot be trusted, or leads where we do not go.
        BrokenError: If another attempt may help.
    """
    headers = {"Accept-Encoding": "identity"}
    if offset and validator:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
    response = _follow(session, url, headers, config)
    try:
        return _judge(response, offset, validator, config)
    except BaseException:
        response.close()
        raise


def is_unchanged(
    session: requests.Session, url: str, validator: str | None, config: FetchConfig
) -> bool:
    """Whether the server still holds the file of a validator: it answers 304.

    Raises:
        FetchError: If the server leads where we do not go.
        BrokenError: If no answer comes.
    """
    if validator is None:
        return False
    name = "If-None-Match" if validator.startswith('"') else "If-Modified-Since"
    with _follow(
        session, url, {"Accept-Encoding": "identity", name: validator}, config
    ) as response:
        return response.status_code == requests.codes.not_modified


def _follow(
    session: requests.Session, url: str, headers: dict[str, str], config: FetchConfig
) -> requests.Response:
    for _ in range(config.max_redirects + 1):
        try:
            response = session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(config.connect_timeout, config.read_timeout),
            )
        except requests.exceptions.SSLError as error:
            raise FetchError(f"{shown(url)}: no trusted connection ({_reason(error)})") from error
        except requests.exceptions.ConnectionError as error:
            hung_up = any(isinstance(arg, urllib3.exceptions.ProtocolError) for arg in error.args)
            raise BrokenError(_reason(error), connected=hung_up) from error
        except requests.exceptions.Timeout as error:
            raise BrokenError("the server does not answer") from error
        except (
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
            ValueError,
        ) as error:
            raise FetchError(f"{shown(url)}: {_reason(error).replace(url, shown(url))}") from error
        if response.status_code not in _REDIRECTS or "Location" not in response.headers:
            return response
        response.close()
        try:
            target = urljoin(url, response.headers["Location"])
            scheme = urlsplit(target).scheme
        except ValueError as error:
            raise FetchError(f"{shown(url)} redirects to what is no address ({error})") from error
        if scheme not in {"http", "https"} or (
            urlsplit(url).scheme == "https" and scheme != "https"
        ):
            raise FetchError(
                f"{shown(url)} redirects to {shown(target)[:200]!r}, which is not followed: not safe"
            )
        if is_near(target) and not is_near(url):
            raise FetchError(
                f"{shown(url)} redirects to {shown(target)[:200]!r}, an address of this machine or its network:"
                " not followed; name that address yourself if you mean it"
            )
        url = target
    raise FetchError(f"{shown(url)}: more than {config.max_redirects} redirects")


def is_near(url: str) -> bool:
    """Whether a URL names, in so many words, this machine or an address that only its network knows."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    try:  # 127.1, 2130706433, 0x7f.1: forms of an IPv4 address that resolvers take as well
        return not ipaddress.ip_address(socket.inet_aton(host)).is_global
    except OSError:  # a name
        return False


def _judge(
    response: requests.Response, offset: int, validator: str | None, config: FetchConfig
) -> Answer:
    """Turn status and headers into an answer, or into the error that they mean."""
    status, headers, url = response.status_code, response.headers, shown(response.url)
    if status in _TRANSIENT:
        wait = headers.get("Retry-After", "")
        raise BrokenError(
            f"the server answered {status}", wait=float(wait) if wait.isdecimal() else 0.0
        )
    if status == requests.codes.requested_range_not_satisfiable and offset:
        raise BrokenError("the file became shorter", restart=True)
    if status not in {requests.codes.ok, requests.codes.partial_content}:
        raise FetchError(
            f"{url}: the server answered {status} {response.reason}, expected the file"
        )
    if headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError(f"{url}: the server packs the file, so that its size cannot be checked")
    start, total = _extent(response, offset)
    found = _validator(headers)
    if start and found != validator:
        raise BrokenError("the file changed on the server", restart=True)
    if total is not None and total > config.max_bytes:
        raise FetchError(f"{url}: {total:,} bytes, more than the {config.max_bytes:,} accepted")
    return Answer(
        response=response, start=start, total=total, validator=found, md5=_md5_of(headers)
    )


def _extent(response: requests.Response, offset: int) -> tuple[int, int | None]:
    """First byte and total size that the headers promise."""
    headers = response.headers
    length = headers.get("Content-Length", "")
    if response.status_code == requests.codes.ok:
        if length.isdecimal():
            return 0, int(length)
        if headers.get("Transfer-Encoding", "").lower() == "chunked":
            return 0, None
        raise FetchError(f"{shown(response.url)}: the server does not tell the size of the file")
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None or match[1] is None or int(match[1]) != offset or match[3] == "*":
        raise BrokenError("the server sent another range than asked for", restart=True)
    total = int(match[3])
    if int(match[2]) != total - 1 or (length.isdecimal() and int(length) != total - offset):
        raise BrokenError("the server's sizes contradict each other", restart=True)
    return offset, total


def _validator(headers: requests.structures.CaseInsensitiveDict[str]) -> str | None:
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _md5_of(headers: requests.structures.CaseInsensitiveDict[str]) -> str | None:
    match = _HASH_MD5.search(headers.get("X-Goog-Hash", ""))
    try:
        return base64.b64decode(match[1], validate=True).hex() if match else None
    except binascii.Error:
        return None


def _reason(error: BaseException) -> str:
    """The innermost cause in one line: what failed, without the layers that report it."""
    seen = 0
    while seen < 10:
        inner = getattr(error, "reason", None) or next(
            (arg for arg in error.args if isinstance(arg, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            break
        error, seen = inner, seen + 1
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rpartition(">: ")[2].rpartition("): ")[2][:200]
