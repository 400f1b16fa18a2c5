"""Which container a recording is in, told by its first bytes and never by what a browser says of it.

Browsers record voices as WebM or Ogg (Opus), or as MP4 (AAC, Safari). Whatever begins otherwise is refused.
"""

from __future__ import annotations

HEAD = 4_096
"""Bytes of a recording's start that `sniff` wants to see."""

MEDIA_TYPES = {".webm": "audio/webm", ".ogg": "audio/ogg", ".m4a": "audio/mp4"}
"""What a recording is served as, by the ending of its file."""

_EBML = b"\x1a\x45\xdf\xa3"
_DOC_TYPE = b"\x42\x82"


def sniff(head: bytes) -> str | None:
    r"""The ending of a recording's file, or `None` where it is none.

    >>> sniff(b"OggS\x00\x02" + 22 * b"\x00" + b"OpusHead"), sniff(b"<html>")
    ('.ogg', None)
    """
    head = head[:HEAD]
    if head.startswith(_EBML):
        at = head.find(_DOC_TYPE, 0, 64)
        # DocType: two bytes of id, one of length, then the text.
        return ".webm" if at >= 0 and head[at + 3 : at + 7] == b"webm" else None
    if head.startswith(b"OggS") and (b"OpusHead" in head or b"\x01vorbis" in head):
        return ".ogg"
    if head[4:8] == b"ftyp":
        return ".m4a"
    return None
