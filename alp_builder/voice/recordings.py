"""The recording that a record names: in a folder, or fetched from a server into the cache.

Names come from records and are not trusted. One is a relative path of plain parts, or it is refused: no absolute
path, no `..`, no backslash, no control character, no address. So nothing is read or written outside the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import quote, urljoin, urlsplit

from alp_builder.errors import UsageError
from alp_builder.fetch import fetch_file
from alp_builder.http_range import FetchConfig, FetchError, OfflineError
from alp_builder.voice.audio import VoiceError
from alp_builder.voice.config import VoiceConfig

RECORDINGS_URL = "https://storage.googleapis.com/localized-narratives/voice-recordings/"
"""Folder of the recordings of Localized Narratives; `voice_recording` is a path below it."""

CACHE_FOLDER = "voice-recordings"
SUFFIXES = (".ogg", ".webm", ".wav", ".mp4", ".m4a", ".flac", ".mp3", ".opus", ".oga")
"""Containers under which a recording is looked for, if not under the one the record names."""

_CONNECTIONS = 4  # downloads at once, polite to a public server
_LONGEST_NAME = 1024
_LONGEST_PART = 200  # file systems take 255 bytes, and the cache adds to a name
_BAD = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|]")


class Recordings(Protocol):
    """Where recordings come from."""

    def prepare(self, names: Iterable[str]) -> None:
        """Makes recordings ready that will be asked for; problems are told of when they are."""
        ...

    def find(self, name: str | None) -> Path:
        """The file of a recording.

        Raises:
            VoiceError: If there is none, or the name is not safe.
        """
        ...


def safe_name(name: str | None) -> PurePosixPath:
    """A record's name of a recording, if it is a plain relative path.

    Raises:
        VoiceError: If there is no name, or it could lead out of its folder.
    """
    if not name:
        raise VoiceError("no_recording", "the record names no recording")
    parts = name.split("/")
    plain = (
        len(name) <= _LONGEST_NAME
        and not _BAD.search(name)
        and all(0 < len(part.encode("utf-8", "replace")) <= _LONGEST_PART for part in parts)
        and not any(part.startswith(".") for part in parts)
        and name.isprintable()
    )
    if not plain:
        raise VoiceError("unsafe_name", f"{name[:100]!r} is no plain relative path")
    return PurePosixPath(*parts)


class LocalRecordings:
    """Recordings in a folder.

    A name is looked for below the folder, whole, then without its first part, and so on, each time with the
    suffix it has and then with those of other containers: `recordings/OVIS_train/0_0.webm` is found as
    `DIR/0_0.wav` too.

    Args:
        folder: The folder.

    Raises:
        UsageError: If it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"--recordings {folder}: no such folder")
        self._folder = folder

    def prepare(self, names: Iterable[str]) -> None:
        """Nothing to do: the files are there."""

    def find(self, name: str | None) -> Path:
        """The file of a recording, see `Recordings`."""
        relative = safe_name(name)
        parts = relative.parts
        for first in range(len(parts)):
            path = self._folder.joinpath(*parts[first:])
            for candidate in (path, *(path.with_suffix(suffix) for suffix in SUFFIXES)):
                if candidate.is_file():
                    return candidate
        raise VoiceError("no_recording", f"{relative}: not in {self._folder}")


class FetchedRecordings:
    """Recordings of a server, downloaded where the cache lacks them.

    Args:
        cache: Folder of downloads; they go into `CACHE_FOLDER` below it.
        base_url: Folder of the recordings on the server.
        config: Limits on files.
        fetch: Timeouts and retries.
    """

    def __init__(
        self,
        cache: Path,
        base_url: str = RECORDINGS_URL,
        config: VoiceConfig | None = None,
        fetch: FetchConfig | None = None,
    ) -> None:
        self._folder = cache / CACHE_FOLDER / str(urlsplit(base_url).hostname)
        self._base = base_url if base_url.endswith("/") else base_url + "/"
        limit = (config or VoiceConfig()).max_file_bytes
        self._fetch = fetch or FetchConfig(attempts=3, max_bytes=limit)

    def prepare(self, names: Iterable[str]) -> None:
        """Downloads several at once.

        Raises:
            OfflineError: If there is no connection.
            UsageError: If the cache cannot be written to.
        """
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(self._try, sorted(set(names))))

    def _try(self, name: str) -> None:
        try:
            self.find(name)
        except VoiceError:
            return  # told of when it is asked for

    def find(self, name: str | None) -> Path:
        """The file of a recording, downloaded if need be, see `Recordings`.

        Raises:
            VoiceError: If the server does not give it, or the name is not safe.
            OfflineError: If there is no connection.
            UsageError: If the cache cannot be written to.
        """
        relative = safe_name(name)
        url = urljoin(self._base, quote(str(relative)))
        target = self._folder.joinpath(*relative.parts)
        hint = (
            f"what is fetched stays in {self._folder}, run it again when there is one;"
            " recordings at hand: give --recordings DIR"
        )
        try:
            fetched = fetch_file(url, target, config=self._fetch, progress=False, offline_hint=hint)
            return fetched.path
        except OfflineError:
            raise
        except FetchError as error:
            raise VoiceError("not_fetched", str(error)) from error
