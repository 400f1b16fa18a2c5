"""Who may record: annotators and a reviewer, each with a link of their own.

They stand in `_record/session.json` of the output folder, readable by its owner alone. A link holds a token of 256
random bits after the `#` of its address, which browsers send to nobody: neither the server's log nor other
sites ever see it. The page sends it in a header with every request, so that two links open in one browser
stay apart. Numbers of annotators are never given twice, not even after one was forgotten.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from alp_builder.errors import BadDataError, UsageError
from alp_builder.files import atomic_file

FORMAT = 1
REVIEWER = 0
"""Number of the reviewer, which no annotator has."""

_MAX_NAME = 80
_DATASET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Annotator(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who narrates.

    Attributes:
        number: `annotator_id` of their narratives, from 1.
        name: What they are called in the page and by `--forget`; it is in no output.
        token: What their link holds.
    """

    number: int
    name: str
    token: str


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder of recordings.

    Attributes:
        format: Version of the folder's layout.
        session: Random name by which browsers keep what they have not sent yet.
        dataset_id: Of all narratives.
        next_number: Number of the next annotator.
        annotators: In the order of their numbers.
        review_token: What the reviewer's link holds.
    """

    format: int = FORMAT
    session: str
    dataset_id: str
    next_number: int = 1
    annotators: list[Annotator] = []
    review_token: str

    def find(self, who: str) -> Annotator:
        """The annotator of a name or number.

        Raises:
            UsageError: If there is none.
        """
        fitting = [a for a in self.annotators if a.name == who]
        fitting += [a for a in self.annotators if str(a.number) == who]
        if not fitting:
            known = ", ".join(f"{a.name} ({a.number})" for a in self.annotators) or "nobody"
            raise UsageError(f"{who}: no such annotator; known: {known}")
        return fitting[0]


def session_path(out: Path) -> Path:
    """Where a folder's session stands."""
    return out / "_record" / "session.json"


def read_session(out: Path) -> Session | None:
    """The session of a folder, or `None` where it has none.

    Raises:
        BadDataError: If it cannot be read or is of another format.
    """
    path = session_path(out)
    try:
        session = msgspec.json.decode(path.read_bytes(), type=Session)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadDataError(f"{path}: cannot be read ({error}); restore it from a copy") from error
    if session.format != FORMAT:
        raise BadDataError(f"{path}: format {session.format}, this version reads {FORMAT}")
    return session


def write_session(out: Path, session: Session) -> None:
    """Writes a folder's session, readable by its owner alone."""
    with atomic_file(session_path(out)) as stream:
        Path(stream.name).chmod(0o600)
        stream.write(msgspec.json.format(msgspec.json.encode(session), indent=2) + b"\n")


def open_session(out: Path, names: Sequence[str], dataset_id: str | None, default: str) -> Session:
    """The session of a folder, made where there is none, with these annotators among its own.

    Args:
        out: The folder.
        names: Annotators who take part; new ones are added.
        dataset_id: What the narratives' data set is called.
        default: What it is called where nothing was said.

    Raises:
        UsageError: If a name or the data set's is no good, or the folder holds another data set.
    """
    if dataset_id is not None and not _DATASET_ID.fullmatch(dataset_id):
        raise UsageError(f"--dataset-id {dataset_id!r}: expected letters, digits, '_', '.', '-'")
    session = read_session(out)
    if session is None:
        session = Session(
            session=secrets.token_hex(8),
            dataset_id=dataset_id or default,
            review_token=secrets.token_urlsafe(32),
        )
    elif dataset_id is not None and dataset_id != session.dataset_id:
        raise UsageError(
            f"--dataset-id {dataset_id}: {out} holds {session.dataset_id}; give another --out"
        )
    known = {annotator.name for annotator in session.annotators}
    if not names and not known:
        names = ["annotator"]
    for name in dict.fromkeys(names):
        if not name.strip() or not name.isprintable() or len(name) > _MAX_NAME:
            raise UsageError(
                f"--annotators {name!r}: expected names of 1 to {_MAX_NAME} characters"
            )
        if name not in known:
            session = _with(session, name)
    write_session(out, session)
    return session


def _with(session: Session, name: str) -> Session:
    number = session.next_number
    annotator = Annotator(number=number, name=name, token=secrets.token_urlsafe(32))
    return msgspec.structs.replace(
        session, annotators=[*session.annotators, annotator], next_number=number + 1
    )


def without(session: Session, annotator: Annotator) -> Session:
    """The session after an annotator has left it; their number stays taken."""
    left = [other for other in session.annotators if other.number != annotator.number]
    return msgspec.structs.replace(session, annotators=left)


class Tokens:
    """Who a token belongs to.

    Tokens are looked up by their hashes, so that how long it takes tells nothing of them.

    Args:
        session: The folder's session.
    """

    def __init__(self, session: Session) -> None:
        tokens = {annotator.token: annotator.number for annotator in session.annotators}
        tokens[session.review_token] = REVIEWER
        self._numbers = {_digest(token): number for token, number in tokens.items()}

    def number(self, token: str) -> int | None:
        """Number of an annotator, `REVIEWER`, or `None` for a token that is not known."""
        return self._numbers.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
