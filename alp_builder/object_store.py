"""A data set on object storage: `alps build --out s3://bucket/alps`.

All work is done in a local folder; only finished files are uploaded. What this rests on:

- An object appears whole or not at all, and a name shows the last one put there (S3 and Google Cloud Storage
  promise both). So renaming is not needed: the manifest goes first and comes last, as in a folder.
- What was uploaded is noted in the work folder with the key the storage then gave it (size, tag, time), so a
  build that was killed goes on with the rest, and an object that somebody has replaced is uploaded again.
- There are no locks. An object, `_alps/building.json`, names the work folder that is at work; another
  build stops with a line that says who that is. A build that ends, well or not, removes it; one that was
  killed leaves it, and the same command from the same work folder goes on.
"""

from __future__ import annotations

import datetime
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import sha256_of, write_atomic
from alp_builder.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    META_FOLDER,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from alp_builder.progress import progress_bar
from alp_builder.remote import file_system, reason, remote_errors, shard_names
from alp_builder.shards import SHARD_PATH

CLAIM = f"{META_FOLDER}/building.json"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who builds into a place.

    Attributes:
        token: A random name of its work folder.
        host: Name of the machine.
        work: Its work folder.
        since: When it began, ISO 8601.
    """

    token: str
    host: str
    work: str
    since: str


class ObjectStore:
    """A prefix of object storage as the destination of a build, see `publishing.Destination`.

    Args:
        url: The prefix.
        work: Folder for notes of what was uploaded; those of one place alone.
        progress: Whether to show uploads.

    Raises:
        UsageError: If there is no such storage, or a package for it is missing.
    """

    def __init__(self, url: str, work: Path, *, progress: bool = False) -> None:
        self.url = url.rstrip("/")
        self.work = work
        self.progress = progress
        try:
            self.files, self.root = file_system(self.url)
        except remote_errors() as error:
            raise UsageError(f"{url}: {reason(error, url)}") from error
        self.root = self.root.rstrip("/")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what the storage raises into one line."""
        try:
            yield
        except remote_errors() as error:
            raise UsageError(f"{self.url}: storage failed ({reason(error, self.url)})") from error

    def manifest(self) -> Manifest | None:
        """See `Destination`."""
        path = self._path(f"{META_FOLDER}/{MANIFEST}")
        with self.errors():
            self.files.invalidate_cache()
            if not self.files.exists(path) or self.files.size(path) > MAX_MANIFEST_BYTES:
                return None
            data = self.files.cat_file(path)
        try:
            return decode_manifest(data, self.url)
        except BadDataError:
            return None

    def has_manifest(self) -> bool:
        """See `Destination`."""
        with self.errors():
            self.files.invalidate_cache()
            return bool(self.files.exists(self._path(f"{META_FOLDER}/{MANIFEST}")))

    def stranger(self) -> str | None:
        """See `Destination`; what this work folder has uploaded is ours, too."""
        if (self.work / "uploaded").exists():
            return None
        meta = self._path(META_FOLDER)
        with self.errors():
            self.files.invalidate_cache()
            if self.files.exists(meta) and self.files.find(meta):
                return None
            return min(shard_names(self.files, self.root), default=None)

    def holds(self, name: str, sha256: str, size: int | None) -> bool:
        """Whether an object of this size is there; its bytes are not fetched to be hashed."""
        path = self._path(name)
        with self.errors():
            if not self.files.exists(path):
                return False
            if size is not None and self.files.size(path) != size:
                return False
            noted = self._noted(name)
            return noted is None or noted == (sha256, self._key(path))

    def retract(self) -> None:
        """See `Destination`."""
        path = self._path(f"{META_FOLDER}/{MANIFEST}")
        with self.errors():
            self.files.invalidate_cache()
            if self.files.exists(path):
                self.files.rm_file(path)

    def put(self, staged: Path, name: str) -> None:
        """Uploads a file, unless a note says that this very one is there."""
        path, sha256 = self._path(name), sha256_of(staged)
        size = staged.stat().st_size
        with self.errors():
            self.files.invalidate_cache()
            if self._noted(name) == (sha256, self._key(path)):
                return
            with progress_bar(size, "uploading", "B", shown=self.progress) as bar:
                self.files.put_file(str(staged), path)
                bar.update(size)
            self.files.invalidate_cache()
            if self.files.size(path) != size:
                raise UsageError(f"{self.url}/{name}: not the {size:,} bytes that were uploaded")
            write_atomic(self._note(name), msgspec.json.encode((sha256, self._key(path))))

    def keep_only(self, names: set[str]) -> None:
        """See `Destination`."""
        with self.errors():
            self.files.invalidate_cache()
            for name in shard_names(self.files, self.root):
                if name not in names and SHARD_PATH.fullmatch(name):
                    self.files.rm_file(self._path(name))

    def announce(self, manifest: Manifest) -> None:
        """See `Destination`."""
        with self.errors():
            self.files.pipe_file(self._path(f"{META_FOLDER}/{MANIFEST}"), encode_manifest(manifest))

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Holds the place for this work folder.

        Raises:
            UsageError: If another work folder holds it.
        """
        path = self._path(CLAIM)
        own = self._own_claim()
        with self.errors():
            self.files.invalidate_cache()
            try:
                self.files.pipe_file(path, msgspec.json.encode(own), mode="create")
            except FileExistsError:
                pass
            except TypeError:  # a file system without exclusive creation: look first
                if not self.files.exists(path):
                    self.files.pipe_file(path, msgspec.json.encode(own))
            found = self.files.cat_file(path)
        self._check_claim(found, own)
        try:
            yield
        finally:
            with self.errors():
                self.files.rm_file(path)

    def _check_claim(self, data: bytes, own: Claim) -> None:
        try:
            other = msgspec.json.decode(data, type=Claim)
        except msgspec.DecodeError:
            other = msgspec.structs.replace(own, token="", host="unknown")
        if other.token != own.token:
            raise UsageError(
                f"{self.url}: a build on {other.host} (work folder {other.work}, since {other.since}) is under"
                f" way; wait for it, or, if it was killed for good, remove {self.url}/{CLAIM}"
            )

    def _own_claim(self) -> Claim:
        """The claim of this work folder; its token is made once."""
        path = self.work / "token"
        if not path.exists():
            write_atomic(path, secrets.token_hex(16).encode())
        return Claim(
            token=path.read_text(),
            host=platform.node(),
            work=str(self.work.resolve()),
            since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _note(self, name: str) -> Path:
        return self.work / "uploaded" / f"{name}.json"

    def _noted(self, name: str) -> tuple[str, str] | None:
        """Hash and key of what was uploaded under a name."""
        try:
            return msgspec.json.decode(self._note(name).read_bytes(), type=tuple[str, str])
        except (OSError, msgspec.DecodeError):
            return None

    def _key(self, path: str) -> str:
        """What the storage says of an object now; another one has another key. Empty if there is none."""
        if not self.files.exists(path):
            return ""
        told = self.files.info(path)
        kept = ("ETag", "etag", "md5Hash", "generation", "mtime", "created", "LastModified", "size")
        return msgspec.json.encode({k: str(told[k]) for k in kept if k in told}).decode()
