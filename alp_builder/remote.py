"""Locations that are URLs: whose they are, what goes wrong with them, in one line.

fsspec opens them (`s3://`, `gs://`, `memory://` ...); http and https are the downloader's
(`alp_builder.fetch`), which resumes and judges redirects. Credentials and endpoints are the libraries' own
matter: the variables and files of AWS and Google, such as `AWS_ENDPOINT_URL`, and fsspec's `FSSPEC_*`.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

_SHARD = re.compile("split=[^/]+/[^/]+[.]parquet")
_USER = re.compile(r"^([^/?#]*//)[^/?#]*@")
_SECRET = re.compile(
    r"((?:^|&)[^&=]*(?:sig|token|secret|passw|pwd|(?:api|access)[-_]?key|credential|auth)[^&=]*=)[^&#]*",
    re.IGNORECASE,
)

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_EXTRAS = {
    "s3": "the extra `s3` (pip install 'alp-toolkit[s3]')",
    "gs": "gcsfs (pip install gcsfs)",
}


def is_url(location: str) -> bool:
    """Whether a location names its file system, such as `https://` or `s3://`."""
    return "://" in location


def is_http(location: str) -> bool:
    """Whether a location is one of the web."""
    return _scheme(location) in ("http", "https")


def _scheme(location: str) -> str:
    """What stands before `://`; unlike `urlsplit` it takes any text."""
    return location.partition("://")[0].lower()


def shown(location: str) -> str:
    """A location as it may be told to others: without what a URL carries to be let in.

    A manifest is published and messages end in logs, so the user and password before the host go, and in the
    query the values of signatures, tokens and access keys.

    >>> shown("https://me:secret@host/x.jsonl?part=2&X-Amz-Signature=0a1b")
    'https://host/x.jsonl?part=2&X-Amz-Signature=...'
    """
    if not is_url(location):
        return location
    place, mark, query = _USER.sub(r"\1", location).partition("?")
    return place + mark + _SECRET.sub(r"\1...", query)


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL, and the URL's path in it.

    Raises:
        ImportError: If a package for it is not installed; see `remote_errors`.
        ValueError: If there is no such file system.
    """
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    return files, path


def shard_names(files: AbstractFileSystem, root: str) -> set[str]:
    """Names of the shard files below a place, `split=*/*.parquet`; no glob: brackets may stand in the place."""
    start = f"{root.rstrip('/')}/"
    names = (str(path).removeprefix(start) for path in files.find(start.rstrip("/")))
    return {name for name in names if _SHARD.fullmatch(name)}


def remote_errors() -> tuple[type[Exception], ...]:
    """What file systems of URLs raise; asked for only when something was raised."""
    import aiohttp  # slow to import, and every verb and worker imports this module

    found: list[type[Exception]] = [OSError, ValueError, ImportError, aiohttp.ClientError]
    for module, name in (
        ("botocore.exceptions", "BotoCoreError"),
        ("google.auth.exceptions", "GoogleAuthError"),
    ):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


def reason(error: Exception, url: str = "") -> str:
    """An error in one line, with what to install where a package is missing."""
    scheme = _scheme(url)
    if isinstance(error, ImportError) and scheme in _EXTRAS:
        return f"{scheme}:// needs {_EXTRAS[scheme]}"
    text = str(error).replace(url, shown(url)) if url else str(error)
    return " ".join(text.split()) or type(error).__name__
