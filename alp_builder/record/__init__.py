"""Narrate images of one's own in the browser: voices, traces and captions become Localized Narratives.

    alps record photos --out narrated --annotators "Ann, Ben" --redundancy 2

A small server shows each annotator their images, one at a time. The page records voice and pointer on one
clock; the annotator types what they said; the server writes the narrative to disk before it says that it is
safe, aligns the caption with the voice in a worker process, and keeps `narratives.jsonl` up to date.

`server` opens a folder (`people`, `images`, `sharing`, `store`) and serves it; `guard` decides who may ask;
`narrate` and `review` answer the two pages of `static/`; `uploads` takes narratives in; `jobs` and `work` do
what comes after; `publish` writes the result. It imports neither spaCy nor torch; the worker loads spaCy.
"""

from alp_builder.record.config import RecordConfig
from alp_builder.record.server import RecordRequest, serve

__all__ = ["RecordConfig", "RecordRequest", "serve"]
