"""Download of the official narratives into a cache: resumable, checked, published whole.

A download is a loop of attempts. Each asks for the rest of what is at hand (`http_range`), appends it
to the part (`cached_file`), and may break anywhere; patience is renewed whenever the part has grown
beyond where it ever was. A file is published only at exactly the promised size and, where the server names
an MD5, with that MD5 (which also finds what a power failure left unwritten). So a kill at any instant
costs at most the bytes in flight, and two downloads of one file at once do the work once.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from tqdm import tqdm

from alp_builder.cached_file import CachedFile, Record
from alp_builder.errors import UsageError
from alp_builder.http_range import (
    Answer,
    BrokenError,
    FetchConfig,
    FetchError,
    OfflineError,
    check_url,
    is_unchanged,
    open_at,
)
from alp_builder.remote import shown
from alp_builder.sources import BASE_URL, OfficialSplit

_T = TypeVar("_T")

_OFFLINE_HINT = (
    "place the file at {path} by hand, or build from files of your own: "
    'make alps NARRATIVES="FILE ..."'
)


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file.

    Attributes:
        path: The complete file.
        size: Its size in bytes.
        received: Bytes received for it in this call; 0 where the cache had it.
        resumed_at: Byte at which an earlier download was taken up, 0 if none was.
    """

    path: Path
    size: int
    received: int = 0
    resumed_at: int = 0


def default_cache() -> Path:
    """Folder of downloads: `$ALPS_CACHE`, else `alps` in the user's cache folder (XDG)."""
    if own := os.environ.get("ALPS_CACHE"):
        return Path(own).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache"
    return base / "alps"


def fetch_split(
    split: OfficialSplit,
    cache: Path,
    *,
    base_url: str = BASE_URL,
    config: FetchConfig | None = None,
    refresh: bool = False,
    progress: bool = True,
) -> list[Fetched]:
    """The files of an official split, downloaded where the cache lacks them; in order.

    Args:
        split: Which split.
        cache: Folder of downloads; made where it is missing.
        base_url: Folder of the files on the server.
        config: Timeouts, retries and bounds.
        refresh: Whether to ask the server if files at hand have changed.
        progress: Whether to show progress on a terminal.

    Raises:
        UsageError: If the URL or the folder cannot be used.
        FetchError: If a file cannot be had; what arrived stays, for the next call.
    """
    folder = base_url if base_url.endswith("/") else base_url + "/"
    return [
        fetch_file(
            urljoin(folder, name), cache / name, config=config, refresh=refresh, progress=progress
        )
        for name in split.files
    ]


def fetch_file(
    url: str,
    target: Path,
    *,
    config: FetchConfig | None = None,
    refresh: bool = False,
    progress: bool = True,
    name: str | None = None,
    offline_hint: str = _OFFLINE_HINT,
) -> Fetched:
    """Download one file, unless it is there; safe against breaks, kills and a second caller.

    Args:
        url: http or https address.
        target: Where the file shall appear.
        config: Timeouts, retries and bounds.
        refresh: Whether to ask the server if a file at hand has changed.
        progress: Whether to show progress on a terminal.
        name: What to call the file in progress and warnings; default that of the target.
        offline_hint: What to do without a connection, for the message; `{path}` is the target.

    Raises:
        UsageError: If the URL or the folder cannot be used, or the disk lacks the space.
        OfflineError: If no connection can be made.
        FetchError: If the server refuses, or breaks off too often.
    """
    check_url(url)
    file = CachedFile(target)
    try:
        if not refresh and file.is_complete():  # also where the folder may only be read
            return Fetched(path=target, size=target.stat().st_size)
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.locked(), requests.Session() as session:
            download = _Download(session, url, file, config or FetchConfig())
            download.name, download.offline_hint = name or target.name, offline_hint
            if file.is_complete() and not (refresh and download.is_outdated()):
                return Fetched(path=target, size=target.stat().st_size)
            return download.run(progress=progress)
    except OSError as error:
        raise UsageError(f"{error.filename or target}: {error.strerror or error}") from error


class _Download:
    """One file on its way: attempts until it is whole."""

    def __init__(
        self, session: requests.Session, url: str, file: CachedFile, config: FetchConfig
    ) -> None:
        self.session, self.url, self.file, self.config = session, url, file, config
        self.received = 0
        self.resumed_at = 0
        self.furthest = 0
        self.connected = False
        self.name = file.path.name
        self.offline_hint = _OFFLINE_HINT
        self.bar = tqdm(disable=True)

    def is_outdated(self) -> bool:
        """Whether the server's file differs from the complete one at hand."""
        record = self.file.record()
        if record is None:  # put there by hand: whoever did wants that one
            return False
        validator = record.validator
        return not self._patiently(
            lambda: is_unchanged(self.session, self.url, validator, self.config)
        )

    def run(self, *, progress: bool) -> Fetched:
        """Download, check, publish."""
        self.resumed_at, _ = self.file.taken_up(shown(self.url))
        self.furthest = self.resumed_at
        with tqdm(
            desc=self.name,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            disable=None if progress else True,
        ) as self.bar:
            record = self._patiently(self._attempt)
        self.file.publish(record)
        size = self.file.path.stat().st_size
        return Fetched(
            path=self.file.path, size=size, received=self.received, resumed_at=self.resumed_at
        )

    def _patiently(self, step: Callable[[], _T]) -> _T:
        """Repeat a step while that may help, with growing pauses; new ground renews the patience."""
        failures, furthest = 0, self.furthest
        while True:
            try:
                return step()
            except BrokenError as error:
                failures = 1 if self.furthest > furthest else failures + 1
                furthest = self.furthest
                self.connected |= error.connected
                if error.restart:
                    self.file.discard_part()
                limit = self.config.attempts if self.connected else self.config.first_attempts
                if failures >= limit:
                    raise self._final(error, failures) from error
                pause = max(self.config.backoff * 2 ** (failures - 1), error.wait)
                pause = min(pause, self.config.max_backoff)
                if self.connected:  # whoever is offline reads one line, not two
                    text = f"{self.name}: {error}; trying again in {pause:.1f} s"
                    tqdm.write(text, file=sys.stderr)
                time.sleep(pause)

    def _attempt(self) -> Record:
        """Bring the part to its promised size and check it."""
        offset, record = self.file.taken_up(shown(self.url))
        if record is None or record.total is None or offset < record.total:
            record = self._receive(offset, record)
        if record.md5 is not None and self.file.part_md5() != record.md5:
            raise BrokenError("the bytes received do not have the server's MD5", restart=True)
        return record

    def _receive(self, offset: int, known: Record | None) -> Record:
        """One connection: ask for the rest of the part and append what comes."""
        validator = known.validator if known else None
        answer = open_at(self.session, self.url, offset, validator, self.config)
        self.connected = True
        with answer.response:
            self._check_space(answer)
            md5 = answer.md5 or (known.md5 if known and answer.start else None)
            record = Record(
                url=shown(self.url), total=answer.total, validator=answer.validator, md5=md5
            )
            if answer.start == 0:
                self.resumed_at = 0
                self.file.start_part(record)
            self.bar.total, self.bar.n = answer.total, answer.start
            self.bar.refresh()
            size = self._append(answer)
        if answer.total is not None and size != answer.total:
            raise BrokenError(f"the connection broke at {size:,} of {answer.total:,} bytes")
        return msgspec.structs.replace(record, total=size)

    def _append(self, answer: Answer) -> int:
        """Write the body to the end of the part; returns the part's size in bytes."""
        size = answer.start
        with self.file.part.open("ab") as part:
            while data := answer.read(self.config):
                size += len(data)
                if size > self.config.max_bytes:
                    raise FetchError(
                        f"{shown(self.url)}: more than the {self.config.max_bytes:,} bytes accepted"
                    )
                part.write(data)
                self.received += len(data)
                self.furthest = max(self.furthest, size)
                self.bar.update(len(data))
        return size

    def _check_space(self, answer: Answer) -> None:
        folder = self.file.path.parent
        free = shutil.disk_usage(folder).free
        need = (answer.total or 0) - answer.start
        if need > free:
            raise UsageError(
                f"{folder}: {need:,} bytes needed for {self.name}, {free:,} free; "
                "name a folder with more room (alps fetch: --cache DIR)"
            )

    def _final(self, error: BrokenError, failures: int) -> FetchError:
        """The error that ends the download, in one line that says what to do."""
        if not self.connected:
            hint = self.offline_hint.replace("{path}", str(self.file.path))
            return OfflineError(f"no connection to {urlsplit(self.url).hostname} ({error}): {hint}")
        return FetchError(
            f"{shown(self.url)}: {error}, {failures} times without progress; "
            f"{self.file.part_size():,} bytes are kept, the same command goes on from there"
        )
